"""How alike signals are: the mean over days of the Spearman correlation of every pair."""

import numpy as np
from numba import njit

from mg_portfolio.arguments import EvaluationError, flags
from mg_portfolio.evaluation.rank_ic import MIN_PAIRS, _correlation, _ranks, _ranks_within, sort_rows

CHUNK = 1 << 22  # values of all signals sorted at once: 32 MB


@njit(nogil=True, cache=True)
def _unit_ranks(rank, present, size, out):
    """Ranks less their mean, of length one, 0 where absent; False where the cross-section is flat."""
    mean = 0.5 * (size + 1.0)
    square = 0.0
    for s in range(len(rank)):
        out[s] = rank[s] - mean if present[s] else 0.0
        square += out[s] * out[s]
    if square == 0.0:
        return False
    square = np.sqrt(square)
    for s in range(len(rank)):
        out[s] /= square
    return True


@njit(nogil=True, cache=True)
def _pair_rank_correlations(signals, universe, order, minimum, total, used):
    """Add the days' Spearman correlations of every pair of signals, each over the stocks that have both.

    A signal is sorted once a day. Signals that cover the same stocks share their ranks with one another; other pairs
    rank anew by walking the orders, so no pair sorts again.
    """
    count, days, stocks = signals.shape
    sizes = np.empty(count, np.int64)
    same = np.empty(count, np.int64)  # the first signal that covers the same stocks
    varies = np.empty(count, np.bool_)
    rank = np.empty((count, stocks))
    unit = np.empty((count, stocks))
    rank_a = np.empty(stocks)
    rank_b = np.empty(stocks)
    x = np.empty(stocks)
    y = np.empty(stocks)
    present = np.empty((count, stocks), np.bool_)
    for d in range(days):
        for a in range(count):
            n = 0
            for s in range(stocks):
                present[a, s] = universe[d, s] and np.isfinite(signals[a, d, s])
                n += present[a, s]
            sizes[a] = n
            same[a] = a
            for b in range(a):
                if same[b] == b and sizes[b] == n:
                    s = 0
                    while s < stocks and present[a, s] == present[b, s]:
                        s += 1
                    if s == stocks:
                        same[a] = b
                        break
            _ranks(signals[a, d], n, order[a, d], rank[a])
            varies[a] = n >= MIN_PAIRS and _unit_ranks(rank[a], present[a], n, unit[a])
        for a in range(count):
            for b in range(a, count):
                if same[a] == same[b]:
                    if sizes[a] < minimum or not (varies[a] and varies[b]):
                        continue
                    value = 0.0
                    for s in range(stocks):
                        value += unit[a, s] * unit[b, s]
                    value = min(1.0, max(-1.0, value))
                else:
                    n = _ranks_within(signals[a, d], order[a, d], sizes[a], present[b], rank_a)
                    if n < minimum:
                        continue
                    _ranks_within(signals[b, d], order[b, d], sizes[b], present[a], rank_b)
                    m = 0
                    for s in range(stocks):
                        if present[a, s] and present[b, s]:
                            x[m] = rank_a[s]
                            y[m] = rank_b[s]
                            m += 1
                    value = _correlation(x, y, m)
                if np.isfinite(value):
                    total[a, b] += value
                    used[a, b] += 1


def correlations(signals: dict[str, np.ndarray] | np.ndarray, universe: np.ndarray, min_stocks: int = 30) -> np.ndarray:
    """Mean over days of the Spearman correlation between signals.

    Parameters
    ----------
    signals : dict of str to ndarray (D, S), or ndarray of float (N, D, S)
    universe : ndarray of bool (D, S)
    min_stocks : int
        A day on which a pair shares fewer stocks is left out of that pair's mean.

    Returns
    -------
    ndarray of float64 (N, N)
        Symmetric; NaN where no day counts.

    Notes
    -----
    Source: Huatai 2023-12-08, chart 61, and the factor correlation tables of the same report.
    """
    stack = np.stack(list(signals.values())) if isinstance(signals, dict) else np.asarray(signals)
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

    Returns
    -------
    total : ndarray of float64 (N, N)
    used : ndarray of int64 (N, N)
    """
    stack = np.asarray(stack)
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
        _pair_rank_correlations(part, universe[rows], order, min_stocks, total, used)
    below = np.tril_indices(count, -1)
    total[below], used[below] = total.T[below], used.T[below]
    return total, used
