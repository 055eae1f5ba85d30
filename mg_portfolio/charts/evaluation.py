"""Charts of an evaluation: IC decay, years, turnover, cumulative RankIC, and grids with a panel a factor or signal."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts.style import (
    BLUE,
    DOWN,
    GOLD,
    GREY,
    INK,
    LINE,
    SERIES,
    UP,
    date_axis,
    labels_with,
    percent_axis,
    spread_labels,
    styled,
    thin,
)

LAYERS = LinearSegmentedColormap.from_list("layers", [UP, "#6f94bb", "#9a9a9a", "#cc8a76", DOWN])
GRID_COLUMNS = 5
GRID_POINTS = 160  # of a line in a panel two inches wide


@styled
def decay_chart(rank_ic: np.ndarray, labels: Mapping[str, str] | None = None) -> Figure:
    """IC decay: RankIC with the return of each single day after the purchase.

    Parameters
    ----------
    rank_ic : ndarray of float (L,)
        Mean RankIC at lags 1..L.
    labels : mapping, optional
        Texts to replace.

    Returns
    -------
    Figure

    Raises
    ------
    EvaluationError
        An empty array, or one that is not one-dimensional.
    """
    rank_ic = np.asarray(rank_ic, float)
    if rank_ic.ndim != 1 or not len(rank_ic):
        raise EvaluationError(f"rank_ic had shape {rank_ic.shape}, expected one value a lag")
    lags = np.arange(1, len(rank_ic) + 1)
    fig = Figure(figsize=(7.2, 2.2), layout="constrained")
    ax = fig.add_subplot()
    ax.bar(lags, rank_ic, width=0.7, color=np.where(rank_ic >= 0, "#8fb0d3", "#dba594"), linewidth=0)
    ax.axhline(0, color=LINE, linewidth=0.8)
    ax.set_title(labels_with(labels)["decay"])
    ax.set_xticks(lags)
    ax.grid(False, axis="x")
    return fig


@styled
def years_chart(by_year_and_track: pd.DataFrame, labels: Mapping[str, str] | None = None) -> Figure:
    """RankIC and the top layer's excess of every year: mean over tracks, and a line from the worst to the best.

    Parameters
    ----------
    by_year_and_track : DataFrame
        Of `mg_portfolio.evaluation.result.Evaluation`: index year and track, columns ``rank_ic_mean``,
        ``top_excess_annual``, ...
    labels : mapping, optional
        Texts to replace.

    Returns
    -------
    Figure
    """
    text = labels_with(labels)
    fig = Figure(figsize=(7.2, 2.4), layout="constrained")
    panels = (
        ("rank_ic_mean", text["year_rank_ic"], BLUE),
        ("top_excess_annual", text["year_excess"], GOLD),
    )
    for i, (metric, title, colour) in enumerate(panels):
        ax = fig.add_subplot(1, 2, i + 1)
        grouped = by_year_and_track[metric].groupby("year")
        mean, low, high = grouped.mean(), grouped.min(), grouped.max()
        position = np.arange(len(mean))
        ax.bar(position, mean, width=0.6, color=colour, linewidth=0, alpha=0.85)
        ax.vlines(position, low, high, color=INK, linewidth=1.0)
        ax.axhline(0, color=LINE, linewidth=0.8)
        ax.set_xticks(position, [str(y) for y in mean.index], color=GREY, fontsize=7.5)
        ax.set_title(title)
        ax.grid(False, axis="x")
        ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        if metric == "top_excess_annual":
            percent_axis(ax)
    return fig


@styled
def turnover_chart(days: np.ndarray, turnover: np.ndarray, labels: Mapping[str, str] | None = None) -> Figure:
    """Two-way turnover of a portfolio's rebalances, mean of each month.

    Parameters
    ----------
    days : ndarray of datetime64[D] (R,)
        Of the rebalances, of all tracks.
    turnover : ndarray of float (R,)
        Fractions, 2 where everything is replaced; NaN is left out.
    labels : mapping, optional
        Texts to replace.

    Returns
    -------
    Figure
    """
    held = np.isfinite(turnover)
    month, at = np.unique(np.asarray(days, "datetime64[M]")[held], return_inverse=True)
    means = np.bincount(at, np.asarray(turnover)[held]) / np.maximum(np.bincount(at), 1)
    fig = Figure(figsize=(7.2, 2.0), layout="constrained")
    ax = fig.add_subplot()
    ax.plot(
        month.astype("datetime64[D]") + 14, means, color=BLUE, marker="o" if len(month) < 30 else None, markersize=3
    )
    ax.set_ylim(0, max(2.0, 1.05 * means.max(initial=0.0)))
    ax.set_title(labels_with(labels)["turnover"])
    percent_axis(ax)
    date_axis(ax, month.astype("datetime64[D]"))
    return fig


@styled
def cumulative_chart(
    lines: Mapping[str, tuple[np.ndarray, np.ndarray]], height: float = 3.2, width: float = 7.2
) -> Figure:
    """Running sums, each with its name and value at its end: one line, or several to compare.

    Parameters
    ----------
    lines : mapping of str to (days, values)
        ``datetime64[D] (D,)`` and ``float (D,)``: what is added each day, NaN where nothing is.
    height, width : float
        Inches.

    Returns
    -------
    Figure

    Raises
    ------
    EvaluationError
        Values that do not match their days.
    """
    fig = Figure(figsize=(width, height))
    ax = fig.add_subplot()
    widest = max(map(len, lines), default=0)
    fig.subplots_adjust(0.42 / width, 0.27 / height, 1 - (0.45 + 0.068 * widest) / width, 1 - 0.12 / height)
    ax.axhline(0, color=LINE, linewidth=0.8)
    ends, axis = {}, np.array([], "datetime64[D]")
    for i, (name, (days, values)) in enumerate(lines.items()):
        if len(days) != len(values):
            raise EvaluationError(f"{name} had {len(values)} values on {len(days)} days")
        held = np.isfinite(values)
        at, line = thin(days[held], np.cumsum(values[held]))
        ax.plot(at, line, color=SERIES[i % len(SERIES)])
        if len(line):
            ends[name] = (line[-1], SERIES[i % len(SERIES)])
            axis = np.union1d(axis, at[[0, -1]])
    low, high = ax.get_ylim()
    heights = spread_labels([end for end, _ in ends.values()], (high - low) * 0.075)
    for (name, (end, colour)), at in zip(ends.items(), heights, strict=True):
        ax.annotate(
            f"{name}  {end:.2f}".strip(), (1.01, at), xycoords=("axes fraction", "data"), va="center", color=colour,
            fontsize=7.5,
        )  # fmt: skip
    date_axis(ax, axis)
    return fig


@styled
def layers_grid(panels: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """NAV of the layers relative to the universe, a small panel a factor or signal.

    Parameters
    ----------
    panels : mapping of str to (days, layer_nav)
        ``datetime64[D] (D,)`` and ``float (G, D)``, the highest signal first.

    Returns
    -------
    Figure
    """
    fig, axes = _grid(list(panels))
    for ax, (days, nav) in zip(axes, panels.values(), strict=True):
        held = np.isfinite(nav).any(axis=0)
        thinned = thin(days[held], *nav[:, held], limit=GRID_POINTS)
        for g, line in enumerate(thinned[1:]):
            edge = g in (0, len(nav) - 1)
            ax.plot(thinned[0], line, color=LAYERS(g / max(len(nav) - 1, 1)), linewidth=1.2 if edge else 0.7)
        _few_years(ax, days[held])
    return fig


@styled
def cumulative_grid(panels: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Cumulative RankIC, a small panel a factor or signal.

    Parameters
    ----------
    panels : mapping of str to (days, rank_ic)
        ``datetime64[D] (D,)`` and ``float (D,)``, NaN on days that are not counted.

    Returns
    -------
    Figure
    """
    fig, axes = _grid(list(panels))
    for ax, (days, rank_ic) in zip(axes, panels.values(), strict=True):
        held = np.isfinite(rank_ic)
        ax.axhline(0, color=LINE, linewidth=0.7)
        ax.plot(*thin(days[held], np.cumsum(rank_ic[held]), limit=GRID_POINTS), color=BLUE, linewidth=1.1)
        _few_years(ax, days[held])
    return fig


def _grid(names: list[str]) -> tuple[Figure, list[Axes]]:
    rows = max(1, -(-len(names) // GRID_COLUMNS))
    width, height = 11.5, 1.45 * rows + 0.1
    fig = Figure(figsize=(width, height))
    fig.subplots_adjust(0.03, 0.22 / height, 0.995, 1 - 0.22 / height, wspace=0.16, hspace=0.42)
    axes = [fig.add_subplot(rows, GRID_COLUMNS, i + 1) for i in range(len(names))]
    for ax, name in zip(axes, names, strict=True):
        ax.set_title(name, fontsize=7.5, pad=3)
        ax.tick_params(labelsize=6.5, pad=1)
        ax.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    return fig, axes


def _few_years(ax: Axes, days: np.ndarray) -> None:
    """First and last day as the only dates of a small panel."""
    if not len(days):
        ax.set_xticks([])
        return
    ends = days[[0, -1]]
    ax.set_xticks(ends.astype("datetime64[D]"), [str(day)[:7] for day in ends])
    ax.get_xticklabels()[0].set_horizontalalignment("left")
    ax.get_xticklabels()[1].set_horizontalalignment("right")
