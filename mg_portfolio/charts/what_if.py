"""Chart of a what-if comparison: the largest changes of weight, and the active exposures of both sides."""

import numpy as np
from matplotlib.figure import Figure

from mg_portfolio.charts.style import BLUE, GOLD, INK, LINE, styled, svg
from mg_portfolio.optimization.what_if import MIN_WEIGHT, Comparison


@styled
def what_if_chart(c: Comparison) -> Figure:
    """Draw weights and active exposures before and after.

    Parameters
    ----------
    c : Comparison
        From :func:`mg_portfolio.compare`.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels: up to 14 weights that change most, up to 10 industries, and the styles.
    """
    stocks = (
        100 * c.weights.loc[c.weights["change"].abs() > MIN_WEIGHT].head(14).set_index("symbol")[["before", "after"]]
    )
    kind = c.exposures.index.str.split("[").str[0]
    industries = 100 * c.exposures.loc[kind == "industry", ["before", "after"]]
    moved = (industries["after"] - industries["before"]).abs() + 1e-3 * industries.abs().max(axis=1)
    industries = industries.loc[moved.sort_values(ascending=False).index[:10]]
    styles = c.exposures.loc[kind == "style", ["before", "after"]]
    lines = max(len(stocks), len(industries) + len(styles) + 3, 5)

    fig = Figure(figsize=(8.0, 0.8 + 0.22 * lines), layout="constrained")
    grid = fig.add_gridspec(2, 2, height_ratios=[max(len(industries), 1), max(len(styles), 1) + 0.5])
    panels = (
        (fig.add_subplot(grid[:, 0]), stocks, "weights, %"),
        (fig.add_subplot(grid[0, 1]), industries, "industry deviation, %"),
        (fig.add_subplot(grid[1, 1]), styles, "style deviation, std"),
    )
    for ax, frame, title in panels:
        frame = frame.iloc[::-1]
        at = np.arange(len(frame))
        names = [str(name).partition("[")[2].rstrip("]") or str(name) for name in frame.index]
        ax.barh(at + 0.18, frame["before"], height=0.34, color=GOLD, linewidth=0, label="before")
        ax.barh(at - 0.18, frame["after"], height=0.34, color=BLUE, linewidth=0, label="after")
        ax.set_yticks(at, names, color=INK, fontsize=7.5)
        ax.axvline(0, color=LINE, linewidth=0.8)
        ax.set_title(title)
        ax.grid(False, axis="y")
        ax.grid(True, axis="x")
    panels[0][0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.06), ncol=2)
    return fig


def what_if_html(c: Comparison) -> str:
    """The comparison's tables with the chart among them, as HTML without a head."""
    return c.to_html(svg(what_if_chart(c), c.title or "what if"))
