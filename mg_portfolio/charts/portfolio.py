"""Charts of a backtest: rebalancing-weekday sensitivity, placebos, attribution of the excess, turnover."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts.style import (
    BLUE,
    BRICK,
    GREY,
    INK,
    LINE,
    SERIES,
    SLATE,
    date_axis,
    labels_with,
    percent_axis,
    spread_labels,
    styled,
    thin,
)


@styled
def weekday_paths_chart(
    days: np.ndarray,
    relative_nav: Mapping[str, np.ndarray],
    chosen: str = "fri",
    width: float = 7.2,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Rebalancing-weekday sensitivity: relative NAV of a portfolio decided on each weekday, their range shaded.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
    relative_nav : mapping of weekday to ndarray of float (D,)
        1 on the first day.
    chosen : str
        The portfolio's own weekday, drawn heavier.
    width : float
        Inches.
    labels : mapping, optional
        Texts to replace.

    Returns
    -------
    Figure

    Raises
    ------
    EvaluationError
        A path that does not match the days.
    """
    days = np.asarray(days, "datetime64[D]")
    lines = np.stack([np.asarray(v, float) for v in relative_nav.values()])
    if lines.shape[1] != len(days):
        raise EvaluationError(f"relative_nav had {lines.shape[1]} values on {len(days)} days")
    fig = Figure(figsize=(width, 3.0), layout="constrained")
    ax = fig.add_subplot()
    ax.axhline(1, color=LINE, linewidth=0.8)
    low, high = lines.min(axis=0), lines.max(axis=0)
    band_days, under, over = thin(days, low, high)
    ax.fill_between(band_days, under, over, color="#dce6f0", linewidth=0)
    for i, name in enumerate(relative_nav):
        own = name == chosen
        colour = INK if own else SERIES[i % len(SERIES)]
        ax.plot(*thin(days, lines[i]), color=colour, linewidth=1.9 if own else 1.0)
    bottom, top = ax.get_ylim()
    heights = spread_labels(list(lines[:, -1]), (top - bottom) * 0.07)
    for i, (name, height) in enumerate(zip(relative_nav, heights, strict=True)):
        own = name == chosen
        ax.annotate(
            f"{name}  {lines[i, -1]:.3f}", (1.01, height), xycoords=("axes fraction", "data"), va="center",
            color=INK if own else SERIES[i % len(SERIES)], fontsize=7.5, fontweight="bold" if own else "normal",
        )  # fmt: skip
    text = labels_with(labels)
    ax.set_title(text["weekdays"])
    spread = high[-1] - low[-1]
    ax.set_title(f"{text['spread']}: {100 * spread:.1f}%", loc="right", color=GREY, fontweight="normal", fontsize=8)
    date_axis(ax, days)
    return fig


@styled
def placebo_chart(
    days: np.ndarray,
    relative_nav: np.ndarray,
    placebos: np.ndarray,
    width: float = 7.2,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Relative NAV of a portfolio over those of its placebos, their range shaded and their mean dashed.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
    relative_nav : ndarray of float (D,)
        The portfolio's.
    placebos : ndarray of float (N, D)
        Of each random signal.
    width : float
        Inches.
    labels : mapping, optional
        Texts to replace.

    Returns
    -------
    Figure

    Raises
    ------
    EvaluationError
        A path that does not match the days.
    """
    days = np.asarray(days, "datetime64[D]")
    lines = np.vstack([relative_nav, placebos])
    if lines.shape[1] != len(days):
        raise EvaluationError(f"relative_nav had {lines.shape[1]} values on {len(days)} days")
    lines = lines / lines[:, :1]
    own, mean = lines[0], np.exp(np.log(lines[1:]).mean(axis=0))
    text = labels_with(labels)
    fig = Figure(figsize=(width, 3.0), layout="constrained")
    ax = fig.add_subplot()
    ax.axhline(1, color=LINE, linewidth=0.8)
    band_days, under, over = thin(days, lines[1:].min(axis=0), lines[1:].max(axis=0))
    ax.fill_between(band_days, under, over, color="#eef1f4", linewidth=0)
    for line in lines[1:]:
        ax.plot(*thin(days, line), color="#c3cad2", linewidth=0.6)
    ax.plot(*thin(days, mean), color=SLATE, linewidth=1.3, linestyle=(0, (4, 2)))
    ax.plot(*thin(days, own), color=BLUE, linewidth=1.9)
    bottom, top = ax.get_ylim()
    ends = ((text["portfolio"], own[-1], BLUE, "bold"), (text["placebo_mean"], mean[-1], SLATE, "normal"))
    heights = spread_labels([value for _, value, _, _ in ends], (top - bottom) * 0.07)
    for (name, value, colour, weight), height in zip(ends, heights, strict=True):
        ax.annotate(
            f"{name}  {value:.3f}", (1.01, height), xycoords=("axes fraction", "data"), va="center",
            color=colour, fontsize=7.5, fontweight=weight,
        )  # fmt: skip
    ax.set_title(f"{text['placebos']} ({len(lines) - 1})")
    date_axis(ax, days)
    return fig


@styled
def tracking_error_chart(days: np.ndarray, forecast: np.ndarray, active: np.ndarray, width: float = 7.2) -> Figure:
    """Active return of each holding period within two forecast tracking errors.

    Parameters
    ----------
    days : ndarray of datetime64[D] (R,)
        Trading days of the rebalances.
    forecast : ndarray of float (R,)
        Tracking error of the period that begins there.
    active : ndarray of float (R,)
        Return over the index's.
    width : float
        Inches.

    Returns
    -------
    Figure
    """
    days = np.asarray(days, "datetime64[D]")
    forecast, active = np.asarray(forecast, float), np.asarray(active, float)
    outside = np.abs(active) > 2 * forecast
    fig = Figure(figsize=(width, 2.5), layout="constrained")
    ax = fig.add_subplot()
    ax.axhline(0, color=LINE, linewidth=0.8)
    for times, colour in ((2, "#eef1f4"), (1, "#dce6f0")):
        ax.fill_between(days, -100 * times * forecast, 100 * times * forecast, color=colour, linewidth=0)
    ax.plot(days[~outside], 100 * active[~outside], ".", color=BLUE, markersize=4)
    ax.plot(days[outside], 100 * active[outside], ".", color=BRICK, markersize=5)
    ax.set_title("active return of each period, %, and one and two forecast tracking errors")
    ax.set_title(f"{outside.mean():.0%} beyond two", loc="right", color=GREY, fontweight="normal", fontsize=8)
    date_axis(ax, days)
    return fig


@styled
def attribution_chart(days: np.ndarray, parts: Mapping[str, np.ndarray], width: float = 7.2) -> Figure:
    """Running sums of the parts of the excess, named at their ends, and of the excess itself.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
    parts : mapping of name to ndarray of float (D,)
        Linked daily effects, fractions; their sum is the excess.
    width : float
        Inches.

    Returns
    -------
    Figure

    Raises
    ------
    EvaluationError
        A part that does not match the days.
    """
    days = np.asarray(days, "datetime64[D]")
    for name, values in parts.items():
        if len(values) != len(days):
            raise EvaluationError(f"{name} had {len(values)} values on {len(days)} days")
    sums = {name: np.cumsum(values) for name, values in parts.items()}
    whole = np.sum(list(sums.values()), axis=0)
    lines = {"excess": whole, **sums}
    fig = Figure(figsize=(width, 3.2), layout="constrained")
    ax = fig.add_subplot()
    ax.axhline(0, color=LINE, linewidth=0.8)
    colours = [INK, *(c for c in (*SERIES, GREY, "#8c5a2b", "#4d7a3a"))]
    for i, (name, line) in enumerate(lines.items()):
        ax.plot(*thin(days, line), color=colours[i % len(colours)], linewidth=2.0 if name == "excess" else 1.1)
    low, high = ax.get_ylim()
    ends = [float(line[-1]) for line in lines.values()]
    heights = spread_labels(ends, (high - low) * 0.068)
    for i, (name, height) in enumerate(zip(lines, heights, strict=True)):
        ax.annotate(
            f"{name}  {100 * ends[i]:+.1f}%", (1.01, height), xycoords=("axes fraction", "data"), va="center",
            color=colours[i % len(colours)], fontsize=7.5, fontweight="bold" if name == "excess" else "normal",
        )  # fmt: skip
    percent_axis(ax, 1 if high - low < 0.05 else 0)
    ax.set_title("where the excess came from, running sum")
    date_axis(ax, days)
    return fig


@styled
def industries_chart(table: pd.DataFrame, most: int = 14, width: float = 7.2) -> Figure:
    """Brinson's allocation and selection by industry, the largest totals first.

    Parameters
    ----------
    table : DataFrame
        Index of industries; columns ``allocation``, ``selection`` and ``total``, linked fractions.
    most : int
        Industries shown, by the size of their totals.
    width : float
        Inches.

    Returns
    -------
    Figure
    """
    shown = table.loc[table["total"].abs().sort_values(ascending=False).index[:most]].sort_values("total")
    fig = Figure(figsize=(width, 0.9 + 0.2 * len(shown)), layout="constrained")
    ax = fig.add_subplot()
    position = np.arange(len(shown))
    for offset, column, colour in ((0.19, "allocation", "#8fb0d3"), (-0.19, "selection", BLUE)):
        ax.barh(position + offset, 100 * shown[column], height=0.36, color=colour, linewidth=0, label=column)
    ax.plot(100 * shown["total"], position, "|", color=INK, markersize=11, markeredgewidth=1.6, label="total")
    ax.axvline(0, color=LINE, linewidth=0.8)
    ax.set_yticks(position, [str(name) for name in shown.index], color=INK, fontsize=7.5)
    ax.grid(False, axis="y")
    ax.grid(True, axis="x")
    ax.set_title("excess by industry, %")
    ax.legend(loc="lower right")
    return fig


@styled
def turnover_chart(days: np.ndarray, planned: np.ndarray, realised: np.ndarray, width: float = 7.2) -> Figure:
    """Two-way turnover of each rebalance: planned as a line, realised as bars.

    Parameters
    ----------
    days : ndarray of datetime64[D] (R,)
        Trading days of the rebalances after the first purchase.
    planned, realised : ndarray of float (R,)
    width : float
        Inches.

    Returns
    -------
    Figure
    """
    days = np.asarray(days, "datetime64[D]")
    planned, realised = np.asarray(planned, float), np.asarray(realised, float)
    fig = Figure(figsize=(width, 2.3), layout="constrained")
    ax = fig.add_subplot()
    gap = float(np.median(np.diff(days).astype(int))) if len(days) > 1 else 5.0
    ax.bar(days, realised, width=0.72 * gap, color="#8fb0d3", linewidth=0, label="realised")
    ax.plot(days, planned, color=BRICK, linewidth=1.1, label="planned")
    ax.legend(loc="upper right", ncols=2, borderaxespad=0, bbox_to_anchor=(1, 1.16))
    ax.set_title("two-way turnover of each rebalance")
    percent_axis(ax)
    date_axis(ax, days)
    return fig


@styled
def relative_chart(
    days: np.ndarray, relative_nav: Mapping[str, np.ndarray], title: str = "", width: float = 7.2
) -> Figure:
    """Cumulative excess of several portfolios, as in series 72's charts 63 and 66.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
    relative_nav : mapping of name to ndarray of float (D,)
        1 on a portfolio's first day, NaN where it has none: relative NAV, or differences compounded.
    title : str
    width : float
        Inches.

    Returns
    -------
    Figure
    """
    days = np.asarray(days, "datetime64[D]")
    fig = Figure(figsize=(width, 2.9), layout="constrained")
    ax = fig.add_subplot()
    ax.axhline(1, color=LINE, linewidth=0.8)
    colours = (BLUE, BRICK, "#2b8a82", "#c98f1d", "#6d5a9c", SLATE)
    ends = []
    for i, line in enumerate(relative_nav.values()):
        held = np.isfinite(line)
        ax.plot(*thin(days[held], np.asarray(line)[held]), color=colours[i % len(colours)])
        ends.append(float(np.asarray(line)[held][-1]))
    low, high = ax.get_ylim()
    for i, (name, height) in enumerate(zip(relative_nav, spread_labels(ends, (high - low) * 0.072), strict=True)):
        ax.annotate(
            f"{name}  {ends[i]:.3f}", (1.01, height), xycoords=("axes fraction", "data"), va="center",
            color=colours[i % len(colours)], fontsize=7.5,
        )  # fmt: skip
    ax.set_title(title or "relative NAV")
    date_axis(ax, days)
    return fig
