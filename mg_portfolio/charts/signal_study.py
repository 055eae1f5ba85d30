"""Charts of the signal study: RankIC beside the published one, and the correlations of signals."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from mg_axes import bare
from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts.style import BLUE, BRICK, GREY, INK, LINE, styled

NUMBERED = 24  # with more names a number would be smaller than print
_DIVERGING = LinearSegmentedColormap.from_list("correlation", [BRICK, "#e3c1b8", "#ffffff", "#b9cbe0", BLUE])
_WORDS = {"ours": "ours", "published": "published", "rank_ic": "RankIC"}


@styled
def correlation_chart(names: Sequence[str], matrix: np.ndarray, common: int = 0, width: float = 9.6) -> Figure:
    """Correlations as a heat map, numbers in the cells where there is room for them.

    Parameters
    ----------
    names : sequence of str (N,)
        The last ``common`` are common factors, set apart by a line.
    matrix : ndarray of float (N, N)
        NaN where two share no day: grey.
    common : int
    width : float
        Inches.

    Returns
    -------
    Figure

    Raises
    ------
    EvaluationError
        A matrix that does not match the names.
    """
    matrix = np.asarray(bare("matrix", matrix, EvaluationError), float)
    count = len(names)
    if matrix.shape != (count, count):
        raise EvaluationError(f"matrix had shape {matrix.shape}, expected ({count}, {count}) for its names")
    numbered = count <= NUMBERED
    side = width - 2.2
    font = min(8.0, 0.7 * 72 * side / max(count, 1))  # a name keeps within its row
    fig = Figure(figsize=(width, max(2.6, 1.3 + side * min(1.0, max(count, 4) / 14))), layout="constrained")
    ax = fig.add_subplot()
    colours = _DIVERGING.with_extremes(bad="#d9dde2")
    image = ax.imshow(np.ma.masked_invalid(matrix), cmap=colours, vmin=-1, vmax=1, aspect="auto", interpolation="none")
    ax.set_xticks(range(count), names, rotation=90 if count > 8 else 30, ha="center" if count > 8 else "right")
    ax.set_yticks(range(count), names)
    ax.tick_params(labelsize=font, labelcolor=INK, length=0)
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    if 0 < common < count:
        edge = count - common - 0.5
        ax.axhline(edge, color=INK, linewidth=0.9)
        ax.axvline(edge, color=INK, linewidth=0.9)
    for i in range(count if numbered else 0):
        for j in range(count):
            value = matrix[i, j]
            if np.isfinite(value):
                dark = abs(value) > 0.72
                text = "1" if i == j else f"{value:.2f}".replace("-0.00", "0.00")
                ax.text(j, i, text, ha="center", va="center", fontsize=7, color="white" if dark else INK)
    bar = fig.colorbar(image, ax=ax, shrink=0.6, pad=0.015, aspect=30, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, length=0)
    return fig


@styled
def published_comparison_chart(
    names: Sequence[str],
    ours: Sequence[float],
    published: Sequence[float],
    labels: Mapping[str, str] | None = None,
    width: float = 9.6,
) -> Figure:
    """One figure of each signal as a dot, the published one as a ring on the same line.

    Parameters
    ----------
    names : sequence of str (N,)
    ours, published : sequence of float (N,)
        Fractions; NaN where there is none.
    labels : mapping, optional
        Texts for ``ours``, ``published`` and ``rank_ic``.
    width : float
        Inches.

    Returns
    -------
    Figure

    Raises
    ------
    EvaluationError
        Figures that do not match the names.
    """
    words = {**_WORDS, **(labels or {})}
    mine, theirs = np.asarray(ours, float), np.asarray(published, float)
    if not len(names) == len(mine) == len(theirs):
        raise EvaluationError(f"{len(names)} names had {len(mine)} figures of ours and {len(theirs)} published")
    fig = Figure(figsize=(width, 0.9 + 0.22 * max(len(names), 1)), layout="constrained")
    ax = fig.add_subplot()
    position = np.arange(len(names))
    both = np.isfinite(mine) & np.isfinite(theirs)
    ax.hlines(
        position[both],
        np.minimum(mine, theirs)[both],
        np.maximum(mine, theirs)[both],
        color=LINE,
        linewidth=1.4,
        zorder=1,
    )
    ax.scatter(
        theirs, position, s=34, facecolors="white", edgecolors=BRICK, linewidths=1.3, zorder=2, label=words["published"]
    )
    ax.scatter(mine, position, s=26, color=BLUE, zorder=3, label=words["ours"])
    ax.axvline(0, color=GREY, linewidth=0.8)
    ax.set_yticks(position, names, color=INK)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(False, axis="y")
    ax.grid(True, axis="x")
    ax.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f}%")
    ax.set_title(words["rank_ic"])
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
    return fig
