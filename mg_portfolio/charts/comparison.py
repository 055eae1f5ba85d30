"""Bars and lines of several models or portfolios, as the studies show them; the table below a chart is its legend."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mg_axes import as_days, bare
from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts.style import (
    BLUE,
    BRICK,
    GOLD,
    GREY,
    INK,
    LINE,
    SLATE,
    TEAL,
    date_axis,
    percent_axis,
    spread_labels,
    styled,
    thin,
)

COLOURS = (BLUE, GOLD, TEAL, "#6d5a9c", SLATE, "#7a4a2b")
"""Of the series, in their order; brick is the published numbers'."""
WIDTH = 5.2  # inches: a line of text stays readable on a phone, and two fit beside each other on a screen
FINE = 0.1  # lines that keep within it get a third decimal
LONG = 8  # more bars in a series are drawn across


def colour_of(number: int) -> str:
    """Colour of a series, by its number."""
    return COLOURS[number % len(COLOURS)]


def _figure(height: float, left: float, right: float, bottom: float, top: float = 0.1) -> Figure:
    """A figure with margins in inches: twice as fast as a constrained layout, and the pages have dozens."""
    fig = Figure(figsize=(WIDTH, height))
    fig.subplots_adjust(left / WIDTH, bottom / height, 1 - right / WIDTH, 1 - top / height)
    return fig


@styled
def grouped_bars_chart(
    values: np.ndarray, published: np.ndarray, categories: Sequence[str], percent: bool = True
) -> Figure:
    """Bars of several series by category, a mark at each published number.

    Parameters
    ----------
    values, published : ndarray of float (R, C)
        A row a series, a column a category; NaN where there is none. Fractions where ``percent``.
    categories : sequence of str (C,)
        Lines of a name separated by a line feed. More than eight are drawn across, from the top.
    percent : bool
        Write the axis as percent.

    Returns
    -------
    Figure

    Raises
    ------
    EvaluationError
        Panels of other shapes.
    """
    values = np.asarray(bare("values", values, EvaluationError), float)
    published = np.asarray(bare("published", published, EvaluationError), float)
    if values.ndim != 2 or values.shape != published.shape or values.shape[1] != len(categories):
        raise EvaluationError(
            f"values had shape {values.shape}, published {published.shape}, expected a column for each of "
            f"{len(categories)} categories"
        )
    rows, count = values.shape
    across = count > LONG
    step, thick = rows + 0.8, 0.86
    if across:
        fig = _figure(0.5 + 0.115 * step * count, 1.3, 0.15, 0.3)
    else:
        lines = max((c.count("\n") + 1 for c in categories), default=1)
        fig = _figure(2.35, 0.55, 0.1, 0.12 + 0.15 * lines)
    ax = fig.add_subplot()
    middle = np.arange(count) * step + (rows - 1) / 2
    for i in range(rows):
        at, shown = np.arange(count) * step + i, np.where(np.isfinite(values[i]), values[i], 0.0)
        draw, mark = (ax.barh, ax.vlines) if across else (ax.bar, ax.hlines)
        draw(at, shown, thick, color=colour_of(i), linewidth=0)
        known = np.isfinite(published[i])
        mark(
            published[i][known], at[known] - 0.5 * thick, at[known] + 0.5 * thick, color=BRICK, linewidth=1.8, zorder=3
        )
    axis, zero = (ax.yaxis, ax.axvline) if across else (ax.xaxis, ax.axhline)
    zero(0, color=GREY, linewidth=0.8)
    axis.set_ticks(middle, list(categories))
    axis.set_tick_params(labelsize=6.8 if count == LONG else 7.5, labelcolor=INK, length=0)
    scale = ax.xaxis if across else ax.yaxis
    scale.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    if across:
        ax.set_ylim(count * step - 0.9, -0.9)
        ax.grid(False, axis="y")
        ax.grid(True, axis="x")
    ax.margins(x=0.08) if across else ax.margins(y=0.08)
    if percent:
        low, high = scale.get_view_interval()
        digits = 0 if high - low > 0.04 else 1
        scale.set_major_formatter(lambda x, _: f"{100 * x:.{digits}f}%")
    return fig


@styled
def compared_lines_chart(
    days: np.ndarray, lines: Sequence[np.ndarray], base: float = 1.0, percent: bool = False
) -> Figure:
    """Curves of several models or portfolios, the last value at each line's end.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
    lines : sequence of ndarray of float (D,)
        In the order of the colours; NaN where a line has no value.
    base : float
        Height of the horizontal line: 1 of NAVs, 0 of sums.
    percent : bool
        Write the values as percent.

    Returns
    -------
    Figure

    Raises
    ------
    EvaluationError
        A line that does not match the days.
    """
    days = as_days(days)
    lines = [np.asarray(bare("line", line, EvaluationError), float) for line in lines]
    if any(line.shape != days.shape for line in lines):
        raise EvaluationError(f"lines had {sorted({len(line) for line in lines})} values on {len(days)} days")
    fig = _figure(2.5, 0.5, 0.62, 0.28)
    ax = fig.add_subplot()
    ax.axhline(base, color=LINE, linewidth=0.8)
    ends, colours = [], []
    for i, line in enumerate(lines):
        held = np.isfinite(line)
        if held.any():
            ax.plot(*thin(days[held], line[held]), color=colour_of(i))
            ends.append(float(line[held][-1]))
            colours.append(colour_of(i))
    low, high = ax.get_ylim()
    for end, height, colour in zip(ends, spread_labels(ends, (high - low) * 0.075), colours, strict=True):
        text = f"{100 * end:.1f}%" if percent else f"{end:.{3 if high - low < FINE else 2}f}"
        ax.annotate(text, (1.015, height), xycoords=("axes fraction", "data"), va="center", color=colour, fontsize=7.5)
    if percent:
        percent_axis(ax, 0 if high - low > 0.04 else 1)
    date_axis(ax, days)
    return fig
