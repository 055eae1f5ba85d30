"""The charts of the report and of the assets' metadata.

Each function takes arrays and returns a matplotlib `Figure`; `png`, `svg` and `markdown_image` write it out. Texts are
passed as ``labels`` (English by default), so that one chart serves both languages.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullLocator

from mg_axes import BY_DAY, DAYS, aligned, as_days, bare
from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts.deviations import exposures_chart, weights_chart
from mg_portfolio.charts.evaluation import LAYERS
from mg_portfolio.charts.style import (
    BLUE,
    BRICK,
    GOLD,
    GREY,
    INK,
    LINE,
    SERIES,
    SLATE,
    TEAL,
    date_axis,
    labels_with,
    markdown_image,
    percent_axis,
    png,
    spread_labels,
    styled,
    svg,
    thin,
)

__all__ = [
    "bars_chart",
    "exposures_chart",
    "ic_chart",
    "layers_chart",
    "long_short_chart",
    "markdown_image",
    "nav_chart",
    "png",
    "svg",
    "training_curves",
    "weights_chart",
]

MAX_BARS = 160
LOG_ABOVE = 6.0
_PAIR = (BLUE, GOLD, TEAL, SLATE)


def _days(days: np.ndarray) -> np.ndarray:
    return as_days(days)


def _same_length(days: np.ndarray, **series: np.ndarray) -> None:
    for name, values in series.items():
        if len(values) != len(days):
            raise EvaluationError(f"{name} had {len(values)} values on {len(days)} days")


@styled
@aligned(EvaluationError, days=DAYS, rank_ic=BY_DAY)
def ic_chart(
    days: np.ndarray, rank_ic: np.ndarray, every: int = 1, offset: int = 0, labels: Mapping[str, str] | None = None
) -> Figure:
    """RankIC as bars and its running sum as a line.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
    rank_ic : ndarray of float (D,), or labelled by date
        NaN where a day has none.
    every, offset : int
        One track's days, ``rank_ic[offset::every]``. More than 160 of them are shown as monthly means.
    labels : mapping, optional
        Texts to replace.

    Returns
    -------
    Figure

    Raises
    ------
    EvaluationError
        Values that do not match the days.
    """
    text, days, rank_ic = labels_with(labels), _days(days), np.asarray(rank_ic, float)
    _same_length(days, rank_ic=rank_ic)
    days, rank_ic = days[offset::every], rank_ic[offset::every]
    days, rank_ic = days[np.isfinite(rank_ic)], rank_ic[np.isfinite(rank_ic)]
    fig = Figure(figsize=(7.2, 2.7), layout="constrained")
    ax = fig.add_subplot()
    name, bar_days, bars = text["rank_ic"], days, rank_ic
    if len(days) > MAX_BARS:
        name = text["rank_ic_month"]
        month = days.astype("datetime64[M]")
        bar_days, index = np.unique(month, return_inverse=True)
        bars = np.bincount(index, rank_ic) / np.bincount(index)
        bar_days = bar_days.astype("datetime64[D]") + 14
    width = np.median(np.diff(bar_days).astype(int)) * 0.72 if len(bar_days) > 1 else 1.0
    ax.bar(bar_days, bars, width=width, color=np.where(bars >= 0, "#8fb0d3", "#dba594"), linewidth=0)
    ax.axhline(0, color=LINE, linewidth=0.8)
    right = ax.twinx()
    right.grid(False)
    line_days, line = thin(days, np.cumsum(rank_ic))
    right.plot(line_days, line, color=INK)
    _align_zero(ax, right)
    ax.set_title(name)
    right.set_title(text["cumulative"], loc="right", fontweight="normal", color=GREY, fontsize=8)
    date_axis(ax, days)
    return fig


def _align_zero(left: Axes, right: Axes) -> None:
    """Give both y axes the zero at the same height."""
    share = 0.0
    for ax in (left, right):
        low, high = ax.get_ylim()
        low, high = min(low, 0.0), max(high, 0.0)
        share = max(share, -low / (high - low) if high > low else 0.5)
    share = min(max(share, 0.04), 0.96)
    for ax in (left, right):
        low, high = ax.get_ylim()
        high = max(high, -min(low, 0.0) * (1 - share) / share)
        ax.set_ylim(-high * share / (1 - share), high)


@styled
def layers_chart(
    days: np.ndarray,
    layer_nav: np.ndarray,
    names: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    height: float = 3.2,
    width: float = 7.2,
) -> Figure:
    """NAV of each layer relative to the universe, named at the line's end.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
    layer_nav : ndarray of float (G, D)
        The highest signal first; NaN before the first purchase.
    names : sequence of str, optional
        ``layer 1`` .. by default.
    labels : mapping, optional
    height, width : float
        Inches.

    Returns
    -------
    Figure

    Raises
    ------
    EvaluationError
        Layers that do not match the days.
    """
    layer_nav = np.asarray(bare("layer_nav", layer_nav, EvaluationError), float)
    text, days = labels_with(labels), _days(days)
    if layer_nav.ndim != 2 or layer_nav.shape[1] != len(days):
        raise EvaluationError(f"layer_nav had shape {layer_nav.shape}, expected (layer, {len(days)})")
    count = len(layer_nav)
    names = [f"{text['layer']} {g + 1}" for g in range(count)] if names is None else list(names)
    right = 0.42 + 0.08 * max(map(len, names), default=0)
    fig = _fixed_figure(width, height, left=0.42, right=right, bottom=0.27, top=0.12)
    ax = fig.add_subplot()
    ax.axhline(1, color=LINE, linewidth=0.8)
    ends, colours = [], [LAYERS(g / max(count - 1, 1)) for g in range(count)]
    for g, nav in enumerate(layer_nav):
        held = np.isfinite(nav)
        line_days, line = thin(days[held], nav[held])
        ax.plot(line_days, line, color=colours[g], linewidth=1.8 if g in (0, count - 1) else 1.1)
        ends.append(line[-1] if len(line) else np.nan)
    low, high = ax.get_ylim()
    shown = [g for g in range(count) if np.isfinite(ends[g])]
    heights = spread_labels([ends[g] for g in shown], (high - low) * 0.066)
    for g, height in zip(shown, heights, strict=True):
        ax.annotate(
            f"{names[g]}  {ends[g]:.2f}", (1.01, height), xycoords=("axes fraction", "data"), va="center",
            color=colours[g], fontsize=7.5, fontweight="bold" if g in (0, count - 1) else "normal",
        )  # fmt: skip
    date_axis(ax, days)
    return fig


@styled
@aligned(EvaluationError, days=DAYS, nav=BY_DAY, benchmark=BY_DAY)
def nav_chart(
    days: np.ndarray,
    nav: np.ndarray,
    benchmark: np.ndarray | None = None,
    labels: Mapping[str, str] | None = None,
    height: float = 3.9,
    width: float = 7.2,
) -> Figure:
    """A portfolio's NAV with its benchmark, and below them the relative NAV over its drawdown.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
    nav, benchmark : ndarray of float (D,), or labelled by date
        Rebased to 1. Without a benchmark the lower panel is the NAV's own drawdown.
    labels : mapping, optional
    height, width : float
        Inches.

    Returns
    -------
    Figure

    Raises
    ------
    EvaluationError
        Values that do not match the days.
    """
    text, days, nav = labels_with(labels), _days(days), np.asarray(nav, float)
    _same_length(days, nav=nav)
    nav = nav / nav[:1]
    fig = Figure(figsize=(width, height), layout="constrained")
    upper, lower = fig.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 2.2]})
    line_days, line = thin(days, nav)
    upper.plot(line_days, line, color=BLUE, label=text["portfolio"])
    relative = nav
    if benchmark is not None:
        benchmark = np.asarray(benchmark, float)
        _same_length(days, benchmark=benchmark)
        benchmark = benchmark / benchmark[:1]
        upper.plot(line_days, thin(days, benchmark)[1], color=SLATE, label=text["benchmark"])
        relative = nav / benchmark
    _log_if_wide(upper, nav, *(() if benchmark is None else (benchmark,)))
    upper.legend(loc="upper left", ncols=2, borderaxespad=0)
    upper.margins(y=0.12)
    _relative_panel(lower, days, relative, text, None if benchmark is None else text["relative"])
    return fig


def _relative_panel(ax: Axes, days: np.ndarray, nav: np.ndarray, text: Mapping[str, str], name: str | None) -> None:
    """NAV as a line on the left, its drawdown as a shade that hangs from the top on the right."""
    drawdown = nav / np.maximum.accumulate(nav) - 1.0
    deepest = int(np.argmin(drawdown)) if len(nav) else 0
    shade = ax.twinx()
    shade.grid(False)
    line_days, under = thin(days, drawdown)
    if 1 < len(under) < len(days):
        # Deepest of the days that a kept point represents, so that no trough is lost
        under = np.minimum.reduceat(drawdown, np.searchsorted(days, line_days))
    shade.fill_between(line_days, under, 0, color="#ecd3cb", linewidth=0)
    # Above a line the shade keeps to the upper half; alone it has the panel to itself
    shade.set_ylim(min(drawdown.min(initial=0.0) * (1.1 if name is None else 2.2), -0.01), 0)
    shade.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    percent_axis(shade, 1 if drawdown.min(initial=0.0) > -0.02 else 0)
    shade.tick_params(axis="y", labelcolor=BRICK)
    ax.set_zorder(shade.get_zorder() + 1)
    ax.patch.set_visible(False)
    if name is not None:
        ax.plot(*thin(days, nav), color=INK)
        _log_if_wide(ax, nav)
        ax.set_title(name)
        ax.margins(y=0.1)
    else:
        ax.set_yticks([])
    worst = f"{text['drawdown']}: {100 * drawdown[deepest]:.1f}% ({days[deepest]})" if len(nav) else text["drawdown"]
    shade.set_title(worst, loc="right", color=BRICK, fontweight="normal", fontsize=8)
    date_axis(ax, days)


def _log_if_wide(ax: Axes, *lines: np.ndarray) -> None:
    """Log scale with plain numbers where a line grows so much that its first years would look flat."""
    lines = tuple(line for line in lines if len(line))
    if not lines:
        return
    low, high = min(line.min() for line in lines), max(line.max() for line in lines)
    if high <= LOG_ABOVE * low:
        return
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
    ax.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    ax.yaxis.set_minor_locator(NullLocator())


@styled
@aligned(EvaluationError, days=DAYS, returns=BY_DAY)
def long_short_chart(
    days: np.ndarray,
    returns: np.ndarray,
    name: str | None = None,
    labels: Mapping[str, str] | None = None,
    height: float = 2.2,
    width: float = 5.2,
) -> Figure:
    """Daily compounded long-short NAV over its drawdown.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
    returns : ndarray of float (D,), or labelled by date
        Top minus bottom tenth, fractions; NaN days are left out.
    name : str, optional
        Title of the line.
    labels : mapping, optional
    height, width : float
        Inches.

    Returns
    -------
    Figure

    Raises
    ------
    EvaluationError
        Values that do not match the days.
    """
    text, days, returns = labels_with(labels), _days(days), np.asarray(returns, float)
    _same_length(days, returns=returns)
    held = np.isfinite(returns)
    fig = _fixed_figure(width, height, left=0.5, right=0.5, bottom=0.27, top=0.25)
    ax = fig.add_subplot()
    _relative_panel(ax, days[held], np.cumprod(1.0 + returns[held]), text, name or text["long_short"])
    return fig


@styled
def bars_chart(
    groups: Mapping[str, Mapping[str, float]],
    height: float = 2.2,
    width: float = 2.9,
    by_sign: tuple[str, str] | None = None,
) -> Figure:
    """Returns side by side. Several series: each period on its own scale, since their sizes differ by tens.

    Parameters
    ----------
    groups : mapping of series name to mapping of period name to value
        ``{"long-short": {"week": 0.004, "month": 0.01, "year": 0.11}, ...}``, fractions; NaN is left blank.
    height, width : float
        Inches.
    by_sign : tuple of str, optional
        Colours of gains and losses, in place of a colour a series.

    Returns
    -------
    Figure
    """
    fig = _fixed_figure(width, height, left=0.05, right=0.05, bottom=0.32, top=0.25)
    periods = list(next(iter(groups.values()), {}))
    if not periods:
        return fig
    values = np.array([[groups[name].get(period, np.nan) for period in periods] for name in groups], float)
    # Each period has its own scale and baseline, drawn in one axes: a third of the time of three
    shown = np.where(np.isfinite(values), values, 0.0)
    low, high = np.minimum(shown.min(axis=0), 0.0), np.maximum(shown.max(axis=0), 0.0)
    if len(groups) == 1:  # alone on its own scale every bar would be as high
        low[:], high[:] = low.min(), high.max()
    scale = 1.0 / np.maximum(high - low, 1e-12)
    ax = fig.add_subplot()
    step = len(groups) + 0.9
    for i, name in enumerate(groups):
        positions = np.arange(len(periods)) * step + i
        colour = _PAIR[i % 4] if by_sign is None else np.where(shown[i] >= 0, *by_sign)
        ax.bar(positions, shown[i] * scale, bottom=-low * scale, width=0.68, color=colour, linewidth=0, label=name)
        for j in range(len(periods)):
            if not np.isfinite(values[i, j]):
                continue
            up = values[i, j] >= 0
            text = f"{100 * values[i, j]:.1f}%".replace("-0.0%", "0.0%")
            ax.annotate(
                text, (positions[j], (shown[i, j] - low[j]) * scale[j]), (0, 2 if up else -2),
                textcoords="offset points", ha="center", va="bottom" if up else "top", fontsize=6.8,
            )  # fmt: skip
    for j, period in enumerate(periods):
        ends = [j * step - 0.55, j * step + len(groups) - 0.45]
        ax.plot(ends, [-low[j] * scale[j]] * 2, color=LINE, linewidth=0.9)
        ax.annotate(period, (np.mean(ends), 1), (0, 5), xycoords=("data", "axes fraction"), textcoords="offset points",
                    ha="center", va="bottom", color=GREY, fontsize=8)  # fmt: skip
    ax.set_ylim(-0.12, 1.12)
    ax.axis("off")
    if by_sign is None or len(groups) > 1:
        fig.legend(loc="lower center", ncols=len(groups), fontsize=7.5, columnspacing=1.2, borderaxespad=0.1)
    else:
        fig.text(0.5, 0.06, next(iter(groups)), ha="center", color=GREY, fontsize=8)
    return fig


def _fixed_figure(width: float, height: float, left: float, right: float, bottom: float, top: float) -> Figure:
    """A figure with margins in inches: twice as fast as a constrained layout, for charts drawn by the dozen."""
    fig = Figure(figsize=(width, height))
    fig.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)
    return fig


@styled
def training_curves(
    curves: Mapping[int, Mapping[str, Sequence[float]]], labels: Mapping[str, str] | None = None
) -> Figure:
    """Validation RankIC and losses per check, one colour a seed, the chosen check marked.

    Parameters
    ----------
    curves : mapping of seed to mapping
        Keys ``rank_ic`` (validation RankIC per check), ``loss`` (training loss per check) and, optional, ``valid_loss``
        and ``best`` (index of the check whose weights were kept; the highest RankIC by default).
    labels : mapping, optional

    Returns
    -------
    Figure
    """
    text = labels_with(labels)
    fig = Figure(figsize=(7.2, 2.7), layout="constrained")
    left, right = fig.subplots(1, 2)
    for i, (seed, curve) in enumerate(curves.items()):
        colour = SERIES[i % len(SERIES)]
        rank_ic = np.asarray(curve["rank_ic"], float)
        checks = np.arange(1, len(rank_ic) + 1)
        left.plot(checks, rank_ic, color=colour, label=f"{text['seed']} {seed}")
        if np.isfinite(rank_ic).any():
            best = int(curve["best"]) if "best" in curve else int(np.nanargmax(rank_ic))  # type: ignore[call-overload]
            left.plot(best + 1, rank_ic[best], "o", color=colour, markersize=4.5)
        loss = np.asarray(curve["loss"], float)
        right.plot(np.arange(1, len(loss) + 1), loss, color=colour, label=text["train"] if i == 0 else None)
        if "valid_loss" in curve:
            valid = np.asarray(curve["valid_loss"], float)
            name = text["valid"] if i == 0 else None
            right.plot(np.arange(1, len(valid) + 1), valid, color=colour, linestyle=(0, (3, 2)), label=name)
    left.set_title(text["validation"])
    right.set_title(text["loss"])
    for ax in (left, right):
        ax.set_xlabel(text["check"])
        ax.xaxis.get_major_locator().set_params(integer=True)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(loc="best")
    return fig
