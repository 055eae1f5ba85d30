"""Kernels of rank statistics: ranks, correlations, and the loops over days and signals that use them.

numba's cache of a kernel is stamped by the kernel's own file alone: after an edit of another file whose kernel or
constant it takes in, the old machine code would still be loaded. So a kernel of this package takes in nothing from
another file (``tests/mg_portfolio/test_kernels.py``), and all that need ranks or correlations are here.
"""

import numpy as np
from numba import njit

MIN_PAIRS = 3
"""Fewer stocks have no correlation."""


@njit(nogil=True, cache=True)
def average_ranks(values, count, order, ranks):
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
def tied_ranks(values, count, ranks):
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
def ranks_within(values, order, size, other, ranks):
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


@njit(nogil=True, cache=True)
def correlation(x, y, count):
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
def weighted_correlation(x, y, w, count):
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
def ranks_of_rows(values, order, counts):
    """Average ranks within each row, ``(D, S)``; NaN where an entry is not among the ``counts`` first of ``order``."""
    out = np.full(values.shape, np.nan)
    for d in range(len(values)):
        average_ranks(values[d], counts[d], order[d], out[d])
    return out


@njit(nogil=True, cache=True)
def share_beyond(x, y, n, low, high, median, side):
    """Share of the entries [low, high) of ascending ``x`` whose return is beyond the median on ``side``."""
    # Stocks that tie across an end of the range count with the share of their tied block that lies inside
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
def statistics_of_days(signal, order, counts, forward, forward_order, forward_counts, minimum):
    """Stocks, RankIC, IC, both weighted, precision of the top and of the bottom tenth: ``(D, 7)``."""
    days, stocks = signal.shape
    out = np.full((days, 7), np.nan)
    x = np.empty(stocks)
    y = np.empty(stocks)
    rx = np.empty(stocks)
    ry = np.empty(stocks)
    weight = np.empty(stocks)
    name = np.empty(stocks, np.int64)
    position = np.full(stocks, -1, np.int64)  # of a stock among the day's, from the lowest signal up
    ranked = np.empty(stocks, np.int64)  # positions by ascending return
    risen = np.empty(stocks)
    rank = np.empty(stocks)
    for d in range(days):
        n = 0
        for k in range(counts[d]):
            s = order[d, k]
            if np.isfinite(forward[d, s]):
                name[n] = s
                position[s] = n
                x[n] = signal[d, s]
                y[n] = forward[d, s]
                n += 1
        out[d, 0] = n
        if n >= minimum and n > 0:
            m = 0
            for k in range(forward_counts[d]):
                at = position[forward_order[d, k]]
                if at >= 0:
                    ranked[m] = at
                    risen[m] = y[at]
                    m += 1
            tied_ranks(x, n, rx)
            tied_ranks(risen, n, rank)
            for k in range(n):
                ry[ranked[k]] = rank[k]
                weight[k] = 0.5 ** (2.0 * (n - rx[k]) / n)  # rank 0 = the highest signal
            out[d, 1] = correlation(rx, ry, n)
            out[d, 2] = correlation(x, y, n)
            out[d, 3] = weighted_correlation(rx, ry, weight, n)
            out[d, 4] = weighted_correlation(x, y, weight, n)
            if not np.isnan(out[d, 1]):
                median = 0.5 * (risen[(n - 1) // 2] + risen[n // 2])
                tenth = (n + 9) // 10
                out[d, 5] = share_beyond(x, y, n, n - tenth, n, median, 1.0)
                out[d, 6] = share_beyond(x, y, n, 0, tenth, median, -1.0)
        for k in range(n):
            position[name[k]] = -1
    return out


@njit(nogil=True, cache=True)
def rank_ic_by_shift(signal, order, counts, later, later_order, later_counts, shifts, minimum):
    """RankIC of day d's signal with ``later`` of day ``d + shifts[i]``: ``(shift, D)``."""
    days, stocks = signal.shape
    out = np.full((len(shifts), days), np.nan)
    x = np.empty(stocks)
    y = np.empty(stocks)
    rx = np.empty(stocks)
    ry = np.empty(stocks)
    rank = np.empty(stocks)
    position = np.full(stocks, -1, np.int64)
    ranked = np.empty(stocks, np.int64)
    for d in range(days):
        for i in range(len(shifts)):
            e = d + shifts[i]
            if e >= days:
                continue
            n = 0
            for k in range(counts[d]):
                s = order[d, k]
                if np.isfinite(later[e, s]):
                    position[s] = n
                    x[n] = signal[d, s]
                    n += 1
                else:
                    position[s] = -1
            if n < minimum:
                continue
            m = 0
            for k in range(later_counts[e]):
                s = later_order[e, k]
                if position[s] >= 0:
                    ranked[m] = position[s]
                    y[m] = later[e, s]
                    m += 1
            tied_ranks(x, n, rx)
            tied_ranks(y, n, rank)
            for k in range(n):
                ry[ranked[k]] = rank[k]
            out[i, d] = correlation(rx, ry, n)
        for k in range(counts[d]):
            position[order[d, k]] = -1
    return out


@njit(nogil=True, cache=True)
def unit_ranks(rank, present, size, out):
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
def mark_present(signals, universe, d, present, sizes, same):
    """Stocks that each signal covers on day ``d``, how many, and the first signal that covers the same ones."""
    count, _, stocks = signals.shape
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


@njit(nogil=True, cache=True)
def add_pair_correlations(signals, universe, order, minimum, total, used):
    """Add the days' Spearman correlations of every pair of signals, each over the stocks that have both.

    A signal is sorted once a day. Signals that cover the same stocks share their ranks with one another; other pairs
    take their ranks from a walk along both orders, so no pair sorts again.
    """
    count, days, stocks = signals.shape
    sizes = np.empty(count, np.int64)
    same = np.empty(count, np.int64)
    varies = np.empty(count, np.bool_)
    rank = np.empty((count, stocks))
    unit = np.empty((count, stocks))
    rank_a = np.empty(stocks)
    rank_b = np.empty(stocks)
    x = np.empty(stocks)
    y = np.empty(stocks)
    present = np.empty((count, stocks), np.bool_)
    for d in range(days):
        mark_present(signals, universe, d, present, sizes, same)
        for a in range(count):
            average_ranks(signals[a, d], sizes[a], order[a, d], rank[a])
            varies[a] = sizes[a] >= MIN_PAIRS and unit_ranks(rank[a], present[a], sizes[a], unit[a])
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
                    n = ranks_within(signals[a, d], order[a, d], sizes[a], present[b], rank_a)
                    if n < minimum:
                        continue
                    ranks_within(signals[b, d], order[b, d], sizes[b], present[a], rank_b)
                    m = 0
                    for s in range(stocks):
                        if present[a, s] and present[b, s]:
                            x[m] = rank_a[s]
                            y[m] = rank_b[s]
                            m += 1
                    value = correlation(x, y, m)
                if np.isfinite(value):
                    total[a, b] += value
                    used[a, b] += 1
