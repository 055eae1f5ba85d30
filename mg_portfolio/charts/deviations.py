"""Charts of how a portfolio differs from its benchmark: industries, styles, stocks."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mg_portfolio.charts.style import BRICK, DOWN, GREY, INK, LINE, UP, labels_with, styled

LEAST = 0.1  # the least reach of an axis, percent or standard deviations: a neutral portfolio has no bars
ROUNDING = 1e-7


@styled
def exposures_chart(
    industry: Mapping[str, float],
    styles: Mapping[str, float],
    industry_limit: float | None = None,
    style_limits: Mapping[str, float] | None = None,
    labels: Mapping[str, str] | None = None,
    width: float = 7.2,
) -> Figure:
    """Deviations from the benchmark: industry weights and styles, with their limits.

    Parameters
    ----------
    industry : mapping of name to weight minus benchmark weight
        Fractions; the 16 largest in size are shown.
    styles : mapping of name to exposure minus the benchmark's
        Standard deviations; size is one of them.
    industry_limit : float, optional
    style_limits : mapping of name to float, optional
        NaN or absent where a style has none.
    labels : mapping, optional
    width : float
        Inches; the height follows the number of bars.

    Returns
    -------
    Figure
    """
    text = labels_with(labels)
    shown = sorted(industry.items(), key=lambda item: -abs(item[1]))[:16]
    shown.sort(key=lambda item: item[1])
    rows = max(len(shown), len(styles), 4)
    fig = Figure(figsize=(width, 0.7 + 0.185 * rows), layout="constrained")
    left, right = fig.subplots(1, 2, gridspec_kw={"width_ratios": [1.15, 1]})
    _deviation_bars(left, dict(shown), 100.0, "%", text["industry"])
    _deviation_bars(right, dict(reversed(list(styles.items()))), 1.0, "", text["style"])
    if industry_limit is not None:
        for side in (-1, 1):
            left.axvline(side * 100 * industry_limit, color=BRICK, linewidth=0.9, linestyle=(0, (3, 2)))
        left.set_xlim(*_around(left, 100 * industry_limit))
    limits = style_limits or {}
    widest = max((v for v in limits.values() if np.isfinite(v)), default=0.0)
    for i, name in enumerate(reversed(list(styles))):
        limit = limits.get(name, np.nan)
        if np.isfinite(limit):
            right.plot([-limit, -limit, np.nan, limit, limit], [i - 0.42, i + 0.42, np.nan, i - 0.42, i + 0.42],
                       color=BRICK, linewidth=1.1)  # fmt: skip
    right.set_xlim(*_around(right, widest))
    _fill_from_top(left, len(shown), rows)
    _fill_from_top(right, len(styles), rows)
    return fig


def _fill_from_top(ax: Axes, count: int, rows: int) -> None:
    """Room for ``rows`` bars of which ``count`` are there, so that both panels' bars are of one thickness."""
    ax.set_ylim(count - rows - 0.6, count - 0.4)


def _around(ax: Axes, limit: float) -> tuple[float, float]:
    reach = max(*(abs(v) for v in ax.get_xlim()), 1.12 * limit, LEAST)
    return -reach, reach


def _deviation_bars(ax: Axes, values: Mapping[str, float], scale: float, unit: str, title: str) -> None:
    heights = scale * np.array(list(values.values()), float)
    heights[np.abs(heights) < ROUNDING] = 0.0
    ax.barh(np.arange(len(heights)), heights, height=0.62, color=np.where(heights >= 0, UP, DOWN), linewidth=0)
    ax.axvline(0, color=LINE, linewidth=0.8)
    ax.set_yticks(np.arange(len(heights)), list(values), color=INK, fontsize=7.5)
    ax.grid(False, axis="y")
    ax.grid(True, axis="x")
    ax.margins(x=0.18, y=0.02)
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(axis="x", length=0)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}{unit}")
    ax.set_title(title)


@styled
def weights_chart(
    overweights: Mapping[str, float],
    underweights: Mapping[str, float],
    labels: Mapping[str, str] | None = None,
    width: float = 7.2,
) -> Figure:
    """Largest active weights on either side.

    Parameters
    ----------
    overweights, underweights : mapping of stock to weight minus benchmark weight
        Fractions, the largest first.
    labels : mapping, optional
    width : float
        Inches; the height follows the number of bars.

    Returns
    -------
    Figure
    """
    text = labels_with(labels)
    rows = max(len(overweights), len(underweights), 4)
    fig = Figure(figsize=(width, 0.7 + 0.185 * rows), layout="constrained")
    left, right = fig.subplots(1, 2)
    for ax, values, title in (
        (left, overweights, text["overweight"]),
        (right, underweights, text["underweight"]),
    ):
        _deviation_bars(ax, dict(reversed(list(values.items()))), 100.0, "%", title)
        low, high = ax.get_xlim()
        ax.set_xlim(min(low, 0), max(high, 0))
        for i, value in enumerate(reversed(list(values.values()))):
            ax.annotate(
                f"{100 * value:+.2f}%", (100 * value, i), (3 if value >= 0 else -3, 0), textcoords="offset points",
                va="center", ha="left" if value >= 0 else "right", fontsize=6.8, color=GREY,
            )  # fmt: skip
        _fill_from_top(ax, len(values), rows)
    return fig
