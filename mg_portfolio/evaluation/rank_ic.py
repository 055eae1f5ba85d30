"""Rank statistics of many days at once, on dense ``(day, stock)`` arrays.

Ties share the mean of their ranks, so that no result depends on the order of the stocks. A day whose cross-section is
flat, or has fewer than `MIN_PAIRS` stocks, has no correlation: NaN.
"""

import numpy as np
from numba import njit

from mg_portfolio.arguments import dense, flags

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
def _tied_ranks(values, count, ranks):
    """Average ranks 1..count of ascending values."""
    first = 0
    while first < count:
        last = first
        while last + 1 < count and values[last + 1] == values[first]:
            last += 1
        for k in range(first, last + 1):
            ranks[k] = 0.5 * (first + last) + 1.0
        first = last + 1


@njit(nogil=True, cache=True)
def _daily_statistics(signal, order, counts, forward, forward_order, forward_counts, minimum):
    days, stocks = signal.shape
    out = np.full((days, 7), np.nan)
    x = np.empty(stocks)
    y = np.empty(stocks)
    rx = np.empty(stocks)
    ry = np.empty(stocks)
    weight = np.empty(stocks)
    name = np.empty(stocks, np.int64)
    place = np.full(stocks, -1, np.int64)  # of a stock among the day's, from the lowest signal up
    ranked = np.empty(stocks, np.int64)  # places by ascending return
    risen = np.empty(stocks)
    rank = np.empty(stocks)
    for d in range(days):
        n = 0
        for k in range(counts[d]):
            s = order[d, k]
            if np.isfinite(forward[d, s]):
                name[n] = s
                place[s] = n
                x[n] = signal[d, s]
                y[n] = forward[d, s]
                n += 1
        out[d, 0] = n
        if n >= minimum and n > 0:
            m = 0
            for k in range(forward_counts[d]):
                at = place[forward_order[d, k]]
                if at >= 0:
                    ranked[m] = at
                    risen[m] = y[at]
                    m += 1
            _tied_ranks(x, n, rx)
            _tied_ranks(risen, n, rank)
            for k in range(n):
                ry[ranked[k]] = rank[k]
                weight[k] = 0.5 ** (2.0 * (n - rx[k]) / n)  # rank 0 = the highest signal
            out[d, 1] = _correlation(rx, ry, n)
            out[d, 2] = _correlation(x, y, n)
            out[d, 3] = _weighted_correlation(rx, ry, weight, n)
            out[d, 4] = _weighted_correlation(x, y, weight, n)
            if not np.isnan(out[d, 1]):
                median = 0.5 * (risen[(n - 1) // 2] + risen[n // 2])
                tenth = (n + 9) // 10
                out[d, 5] = _share_beyond(x, y, n, n - tenth, n, median, 1.0)
                out[d, 6] = _share_beyond(x, y, n, 0, tenth, median, -1.0)
        for k in range(n):
            place[name[k]] = -1
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


def sort_rows(values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ascending order of each row's usable entries: those in the mask and finite.

    Parameters
    ----------
    values : ndarray of float (D, S)
    mask : ndarray of bool (D, S)

    Returns
    -------
    order : ndarray of int32 (D, S)
        The first ``counts[d]`` places of row d list its usable columns, lowest value first, ties in any order.
    counts : ndarray of int64 (D,)
    """
    order = np.empty(values.shape, np.int32)
    counts = np.empty(len(values), np.int64)
    for start in range(0, len(values), CHUNK):
        rows = slice(start, start + CHUNK)
        usable = mask[rows] & np.isfinite(values[rows])
        # numpy's argsort is five times numba's, and five times its own over NaN: what is left out sorts last as inf
        order[rows] = np.argsort(np.where(usable, values[rows], np.inf), axis=1)
        counts[rows] = usable.sum(axis=1)
    return order, counts


Sorted = tuple[np.ndarray, np.ndarray]
"""What `sort_rows` returns."""


def daily_statistics(
    signal: np.ndarray, forward: np.ndarray, ordered: Sorted, forward_ordered: Sorted, minimum: int
) -> np.ndarray:
    """Everything that one day's cross-section says about a signal.

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
    return _daily_statistics(signal, *ordered, forward, *forward_ordered, minimum)


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
    return _rank_rows(values, *sort_rows(values, mask))


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
    universe = flags("universe", universe, signal.shape)
    ordered, forward_ordered = sort_rows(signal, universe), sort_rows(forward_return, universe)
    return daily_statistics(signal, forward_return, ordered, forward_ordered, min_stocks)[:, 1]
