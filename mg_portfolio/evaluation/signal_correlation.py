"""Pairwise rank correlations of signals: the mean over days of the Spearman correlation of every pair."""

from collections.abc import Mapping

import numpy as np

from mg_axes import FLAGS, PANEL, aligned, bare
from mg_portfolio.arguments import EvaluationError, flags
from mg_portfolio.evaluation.rank_ic import sort_rows
from mg_portfolio.evaluation.rank_kernels import add_pair_correlations

CHUNK = 1 << 22  # values of all signals sorted at once: 32 MB


@aligned(EvaluationError, by=("universe",), signals=PANEL, universe=FLAGS)
def signal_correlations(
    signals: Mapping[str, np.ndarray] | np.ndarray, universe: np.ndarray, min_stocks: int = 30
) -> np.ndarray:
    """Mean over days of the Spearman correlation between signals.

    Parameters
    ----------
    signals : mapping of str to ndarray of float (D, S) or labelled, or ndarray of float (N, D, S)
        Labelled ones (:mod:`mg_axes`) are aligned on the dates and symbols of ``universe``.
    universe : ndarray of bool (D, S), or labelled
    min_stocks : int
        A day on which a pair shares fewer stocks is not in that pair's mean.

    Returns
    -------
    ndarray of float64 (N, N)
        Symmetric, in the order of the signals; NaN where no day counts.

    Notes
    -----
    Source: Huatai 2023-12-08, chart 61, and the factor correlation tables of the same report.
    """
    stack = np.stack(list(signals.values())) if isinstance(signals, Mapping) else signals
    total, used = correlation_sums(stack, universe, min_stocks)
    return np.where(used > 0, total / np.maximum(used, 1), np.nan)


def correlation_sums(stack: np.ndarray, universe: np.ndarray, min_stocks: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Sum over days of the Spearman correlation of every pair of signals, and the days that count.

    Sums of parts of the days add up, so that signals need not be in memory for all days at once.

    Parameters
    ----------
    stack : ndarray of float (N, D, S)
    universe : ndarray of bool (D, S)
    min_stocks : int
        A day on which a pair shares fewer stocks does not count.

    Returns
    -------
    total : ndarray of float64 (N, N)
    used : ndarray of int64 (N, N)

    Raises
    ------
    EvaluationError
        A stack that is not three-dimensional, or a universe of another shape.
    """
    stack = np.asarray(bare("signals", stack, EvaluationError))
    if stack.ndim != 3:
        raise EvaluationError(f"signals had shape {stack.shape}, expected (signal, day, stock)")
    universe = flags("universe", universe, stack.shape[1:])
    count, days, stocks = stack.shape
    total, used = np.zeros((count, count)), np.zeros((count, count), np.int64)
    step = max(1, CHUNK // max(count * stocks, 1))
    for start in range(0, days, step):
        rows = slice(start, start + step)
        part = np.ascontiguousarray(stack[:, rows], np.float64)
        order = np.stack([sort_rows(values, universe[rows])[0] for values in part])
        add_pair_correlations(part, universe[rows], order, min_stocks, total, used)
    below = np.tril_indices(count, -1)
    total[below], used[below] = total.T[below], used.T[below]
    return total, used
