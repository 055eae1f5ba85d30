"""Charts of an evaluation: IC decay, calendar years with the spread between tracks, and turnover."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts.style import BLUE, GOLD, GREY, INK, LINE, date_axis, labels_with, percent_axis, styled


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
