"""Rank statistics of many days at once, on dense ``(day, stock)`` arrays.

Ties share the mean of their ranks, so that no result depends on the order of the stocks. A day whose cross-section is
flat, or has fewer than `MIN_PAIRS` stocks, has no correlation: NaN.
"""

import numpy as np

from mg_axes import FLAGS, PANEL, aligned
from mg_portfolio.arguments import EvaluationError, dense, flags
from mg_portfolio.evaluation import rank_kernels
from mg_portfolio.evaluation.rank_kernels import MIN_PAIRS

CHUNK = 256  # days sorted at once: 10 MB an array at 5,000 stocks


def sort_rows(values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ascending order of each row's usable entries: those in the mask and finite.

    Parameters
    ----------
    values : ndarray of float (D, S)
    mask : ndarray of bool (D, S)

    Returns
    -------
    order : ndarray of int32 (D, S)
        The first ``counts[d]`` entries of row d are its usable columns, lowest value first, ties in any order.
    counts : ndarray of int64 (D,)
    """
    order = np.empty(values.shape, np.int32)
    counts = np.empty(len(values), np.int64)
    for start in range(0, len(values), CHUNK):
        rows = slice(start, start + CHUNK)
        usable = mask[rows] & np.isfinite(values[rows])
        # numpy's argsort is five times numba's, and five times its own over NaN: what is not usable sorts last as inf
        order[rows] = np.argsort(np.where(usable, values[rows], np.inf), axis=1)
        counts[rows] = usable.sum(axis=1)
    return order, counts


Sorted = tuple[np.ndarray, np.ndarray]
"""What `sort_rows` returns."""


def daily_statistics(
    signal: np.ndarray, forward: np.ndarray, ordered: Sorted, forward_ordered: Sorted, minimum: int
) -> np.ndarray:
    """Correlations and precisions of each day's cross-section.

    Parameters
    ----------
    signal, forward : ndarray of float64 (D, S)
    ordered, forward_ordered : tuple
        Of `sort_rows` over the same universe, so that many signals share one sort of the returns.
    minimum : int
        A day with fewer usable stocks has the count and NaN.

    Returns
    -------
    ndarray of float64 (D, 7)
        Stocks, RankIC, IC, weighted RankIC, weighted IC, precision of the top tenth, of the bottom tenth.
    """
    return rank_kernels.statistics_of_days(signal, *ordered, forward, *forward_ordered, minimum)


@aligned(EvaluationError, by=("values",), result="ds", values=PANEL, mask=FLAGS)
def rank_rows(values: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Average-tied ascending ranks 1..n within each row.

    Parameters
    ----------
    values : ndarray of float (D, S), or labelled
        See :mod:`mg_axes`.
    mask : ndarray of bool (D, S), or labelled, optional
        Only these entries are ranked; all by default. Entries that are not finite are never ranked.

    Returns
    -------
    ndarray of float64 (D, S), or DataFrame
        With the labels of labelled values. NaN where an entry is not ranked.
    """
    values = dense("values", values)
    mask = np.ones(values.shape, bool) if mask is None else flags("mask", mask, values.shape)
    return rank_kernels.ranks_of_rows(values, *sort_rows(values, mask))


@aligned(EvaluationError, by=("forward_return",), result="d", signal=PANEL, forward_return=PANEL, universe=FLAGS)
def rank_ic_by_day(
    signal: np.ndarray, forward_return: np.ndarray, universe: np.ndarray, min_stocks: int = MIN_PAIRS
) -> np.ndarray:
    """Spearman correlation, day by day, of a signal with its forward return.

    Parameters
    ----------
    signal, forward_return : ndarray of float (D, S), or labelled
        Labelled panels (:mod:`mg_axes`) are aligned on the dates and symbols of ``forward_return``.
    universe : ndarray of bool (D, S), or labelled
    min_stocks : int
        A day with fewer usable stocks (in the universe, both values finite) is NaN.

    Returns
    -------
    ndarray of float64 (D,), or Series
        By date where the returns are labelled. Equal to ``scipy.stats.spearmanr`` over the usable stocks; NaN where a
        side is flat.
    """
    signal = dense("signal", signal)
    forward_return = dense("forward_return", forward_return, signal.shape)
    universe = flags("universe", universe, signal.shape)
    ordered, forward_ordered = sort_rows(signal, universe), sort_rows(forward_return, universe)
    return daily_statistics(signal, forward_return, ordered, forward_ordered, min_stocks)[:, 1]
