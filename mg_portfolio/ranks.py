"""Rank statistics of many days at once, on dense ``(day, stock)`` arrays.

Ties share the mean of their ranks, so that no result depends on the order of the stocks. A day whose cross-section is
flat, or has fewer than `MIN_PAIRS` stocks, has no correlation: NaN.
"""

import numpy as np
from numba import njit

from mg_portfolio.arguments import EvaluationError, dense, flags

MIN_PAIRS = 3
CHUNK = 256  # days sorted at once: 10 MB an array at 5,000 stocks


@njit(nogil=True, cache=True)
def _ranks(values, count, order, ranks):
    """Average ranks 1..count into ``ranks``, of the entries that ``order[:count]`` lists in ascending order."""
    first = 0
    while first < count:
        last = first
        tie = values[order[first]]
        while last + 1 < count and values[order[last + 1]] == tie:
            last += 1
        for k in range(first, last + 1):
            ranks[order[k]] = 0.5 * (first + last) + 1.0
        first = last + 1


@njit(nogil=True, cache=True)
def _correlation(x, y, count):
    """Pearson correlation of the first ``count`` pairs; NaN where a side is flat. Two passes keep it exact to 1e-15."""
    if count < MIN_PAIRS:
        return np.nan
    mx = my = 0.0
    for i in range(count):
        mx += x[i]
        my += y[i]
    mx /= count
    my /= count
    xx = yy = xy = 0.0
    for i in range(count):
        dx = x[i] - mx
        dy = y[i] - my
        xx += dx * dx
        yy += dy * dy
        xy += dx * dy
    # A constant that is no exact binary fraction leaves rounding of about 1e-32 of its square
    if xx <= 1e-24 * count * mx * mx or yy <= 1e-24 * count * my * my or xx == 0.0 or yy == 0.0:
        return np.nan
    return min(1.0, max(-1.0, xy / np.sqrt(xx * yy)))


@njit(nogil=True, cache=True)
def _weighted_correlation(x, y, w, count):
    """Pearson correlation of the first ``count`` pairs under weights ``w`` (any positive scale)."""
    if count < MIN_PAIRS:
        return np.nan
    total = mx = my = 0.0
    for i in range(count):
        total += w[i]
        mx += w[i] * x[i]
        my += w[i] * y[i]
    mx /= total
    my /= total
    xx = yy = xy = 0.0
    for i in range(count):
        dx = x[i] - mx
        dy = y[i] - my
        xx += w[i] * dx * dx
        yy += w[i] * dy * dy
        xy += w[i] * dx * dy
    if xx <= 1e-24 * total * mx * mx or yy <= 1e-24 * total * my * my or xx == 0.0 or yy == 0.0:
        return np.nan
    return min(1.0, max(-1.0, xy / np.sqrt(xx * yy)))


@njit(nogil=True, cache=True)
def _rank_rows(values, order, counts):
    out = np.full(values.shape, np.nan)
    for d in range(len(values)):
        _ranks(values[d], counts[d], order[d], out[d])
    return out


@njit(nogil=True, cache=True)
def _daily_statistics(signal, forward, order, forward_order, counts, minimum):
    days, stocks = signal.shape
    out = np.full((days, 7), np.nan)
    x = np.empty(stocks)
    y = np.empty(stocks)
    rx = np.empty(stocks)
    ry = np.empty(stocks)
    weight = np.empty(stocks)
    rank = np.empty(stocks)
    forward_rank = np.empty(stocks)
    for d in range(days):
        n = counts[d]
        out[d, 0] = n
        if n < minimum or n == 0:
            continue
        _ranks(signal[d], n, order[d], rank)
        _ranks(forward[d], n, forward_order[d], forward_rank)
        for k in range(n):  # from the lowest signal up
            s = order[d, k]
            x[k] = signal[d, s]
            y[k] = forward[d, s]
            rx[k] = rank[s]
            ry[k] = forward_rank[s]
            weight[k] = 0.5 ** (2.0 * (n - rx[k]) / n)  # rank 0 = the highest signal
        out[d, 1] = _correlation(rx, ry, n)
        out[d, 2] = _correlation(x, y, n)
        out[d, 3] = _weighted_correlation(rx, ry, weight, n)
        out[d, 4] = _weighted_correlation(x, y, weight, n)
        if np.isnan(out[d, 1]):
            continue
        middle = forward_order[d, (n - 1) // 2], forward_order[d, n // 2]
        median = 0.5 * (forward[d, middle[0]] + forward[d, middle[1]])
        tenth = (n + 9) // 10
        out[d, 5] = _share_beyond(x, y, n, n - tenth, n, median, 1.0)
        out[d, 6] = _share_beyond(x, y, n, 0, tenth, median, -1.0)
    return out


@njit(nogil=True, cache=True)
def _share_beyond(x, y, n, low, high, median, side):
    """Share of the places [low, high) of ascending ``x`` whose return is beyond the median on ``side``.

    Stocks that tie across an end of the range count with the share of their tied block that lies inside.
    """
    hits = 0.0
    first = 0
    while first < n:
        last = first + 1
        while last < n and x[last] == x[first]:
            last += 1
        inside = min(last, high) - max(first, low)
        if inside > 0:
            beyond = 0
            for k in range(first, last):
                if side * (y[k] - median) > 0.0:
                    beyond += 1
            hits += beyond * inside / (last - first)
        first = last
    return hits / (high - low)


@njit(nogil=True, cache=True)
def _mean_pair_rank_correlation(signals, universe, minimum):
    """Mean over days of the Spearman correlation of every pair of signals, each over the stocks that have both.

    A signal is sorted once a day; a pair's ranks come from walking that order, so no pair sorts again.
    """
    count, days, stocks = signals.shape
    total = np.zeros((count, count))
    used = np.zeros((count, count), np.int64)
    order = np.empty((count, stocks), np.int64)
    sizes = np.empty(count, np.int64)
    rank_a = np.empty(stocks)
    rank_b = np.empty(stocks)
    x = np.empty(stocks)
    y = np.empty(stocks)
    kept = np.empty(stocks)
    where = np.empty(stocks, np.int64)
    present = np.empty((count, stocks), np.bool_)
    for d in range(days):
        for a in range(count):
            n = 0
            for s in range(stocks):
                present[a, s] = universe[d, s] and np.isfinite(signals[a, d, s])
                if present[a, s]:
                    kept[n] = signals[a, d, s]
                    where[n] = s
                    n += 1
            sizes[a] = n
            ascending = np.argsort(kept[:n])
            for k in range(n):
                order[a, k] = where[ascending[k]]
        for a in range(count):
            for b in range(a, count):
                n = _ranks_within(signals[a, d], order[a], sizes[a], present[b], rank_a)
                if n < minimum:
                    continue
                _ranks_within(signals[b, d], order[b], sizes[b], present[a], rank_b)
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
    out = np.full((count, count), np.nan)
    for a in range(count):
        for b in range(a, count):
            if used[a, b] > 0:
                out[a, b] = total[a, b] / used[a, b]
                out[b, a] = out[a, b]
    return out


@njit(nogil=True, cache=True)
def _ranks_within(values, order, size, other, ranks):
    """Average ranks, among the stocks that ``other`` also has, of a row already sorted; returns how many they are."""
    n = 0
    k = 0
    while k < size:
        tie = values[order[k]]
        last = k
        inside = 0
        while last < size and values[order[last]] == tie:
            if other[order[last]]:
                inside += 1
            last += 1
        for j in range(k, last):
            ranks[order[j]] = n + 0.5 * (inside + 1)
        n += inside
        k = last
    return n


def daily_statistics(signal: np.ndarray, forward: np.ndarray, universe: np.ndarray, minimum: int) -> np.ndarray:
    """Everything that one day's cross-section says about a signal.

    Parameters
    ----------
    signal, forward : ndarray of float64 (D, S)
    universe : ndarray of bool (D, S)
    minimum : int
        A day with fewer usable stocks has the count and NaN.

    Returns
    -------
    ndarray of float64 (D, 7)
        Stocks, RankIC, IC, weighted RankIC, weighted IC, precision of the top tenth, of the bottom tenth.
    """
    out = np.empty((len(signal), 7))
    for start in range(0, len(signal), CHUNK):
        rows = slice(start, start + CHUNK)
        usable = universe[rows] & np.isfinite(signal[rows]) & np.isfinite(forward[rows])
        # numpy's argsort is five times numba's, and five times its own over NaN: what is left out sorts last as inf
        x, y = np.where(usable, signal[rows], np.inf), np.where(usable, forward[rows], np.inf)
        orders = np.argsort(x, axis=1), np.argsort(y, axis=1)
        out[rows] = _daily_statistics(x, y, *orders, usable.sum(axis=1), minimum)
    return out


def rank_rows(values: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Average-tied ascending ranks 1..n within each row.

    Parameters
    ----------
    values : ndarray of float (D, S)
    mask : ndarray of bool (D, S), optional
        Only these entries are ranked; all by default. Entries that are not finite are never ranked.

    Returns
    -------
    ndarray of float64 (D, S)
        NaN where an entry is not ranked.
    """
    values = dense("values", values)
    mask = np.ones(values.shape, bool) if mask is None else flags("mask", mask, values.shape)
    usable = mask & np.isfinite(values)
    values = np.where(usable, values, np.inf)  # sorts last
    return _rank_rows(values, np.argsort(values, axis=1), usable.sum(axis=1))


def rank_ic_by_day(
    signal: np.ndarray, forward_return: np.ndarray, universe: np.ndarray, min_stocks: int = MIN_PAIRS
) -> np.ndarray:
    """Spearman correlation, day by day, of a signal with the return that follows it.

    Parameters
    ----------
    signal, forward_return : ndarray of float (D, S)
    universe : ndarray of bool (D, S)
    min_stocks : int
        A day with fewer usable stocks (in the universe, both values finite) is NaN.

    Returns
    -------
    ndarray of float64 (D,)
        Equal to ``scipy.stats.spearmanr`` over the usable stocks; NaN where a side is flat.
    """
    signal = dense("signal", signal)
    forward_return = dense("forward_return", forward_return, signal.shape)
    return daily_statistics(signal, forward_return, flags("universe", universe, signal.shape), min_stocks)[:, 1]


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
    if stack.ndim != 3:
        raise EvaluationError(f"signals had shape {stack.shape}, expected (signal, day, stock)")
    stack = np.ascontiguousarray(stack, np.float64)
    return _mean_pair_rank_correlation(stack, flags("universe", universe, stack.shape[1:]), min_stocks)
