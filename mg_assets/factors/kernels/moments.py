"""Pearson correlation, skewness and kurtosis as scalar loops, about the mean, in two passes.

A value that is not finite is left out. A series is flat where its population standard deviation
is at most 1e-12 of its largest absolute value; a flat side makes a correlation, a skew or a
kurtosis NaN, and so does a count below ``least``. Sums are taken in the order of the values: a compiler that may choose
(numba's ``fastmath``) chooses otherwise in the process that fills numba's cache than in those that read it.
"""

import math

import numpy as np

from mg_assets.factors.kernels.cache import kernel

FLAT = 1e-12
LEAST_PAIRS = 10
LEAST_PAIRS_SESSION = 5  # the early and the late session have 30 bars only
LEAST_OBSERVATIONS = 5


@kernel(nogil=True, error_model="numpy")
def corr(x, y, least):
    """Pearson correlation of the pairs with both sides finite, clamped to [-1, 1]."""
    n = 0
    for i in range(len(x)):
        n += math.isfinite(x[i]) & math.isfinite(y[i])
    if n < least:
        return np.nan
    if n == len(x):
        return _corr(x, y)
    a = np.empty(n + 1)
    b = np.empty(n + 1)
    n = 0
    for i in range(len(x)):  # a pair that is left out is overwritten by the next
        a[n] = x[i]
        b[n] = y[i]
        n += math.isfinite(x[i]) & math.isfinite(y[i])
    return _corr(a[:n], b[:n])


@kernel(nogil=True, error_model="numpy")
def _corr(x, y):
    n = len(x)
    sum_x = sum_y = max_x = max_y = 0.0
    for i in range(n):
        sum_x += x[i]
        sum_y += y[i]
        max_x = max(max_x, abs(x[i]))
        max_y = max(max_y, abs(y[i]))
    mean_x = sum_x / n
    mean_y = sum_y / n
    xx = yy = xy = 0.0
    for i in range(n):
        dx = x[i] - mean_x
        dy = y[i] - mean_y
        xx += dx * dx
        yy += dy * dy
        xy += dx * dy
    return _correlation(n, xx, yy, xy, max_x, max_y)


@kernel(nogil=True, error_model="numpy")
def _correlation(n, xx, yy, xy, max_x, max_y):
    if math.sqrt(xx / n) <= FLAT * max_x or math.sqrt(yy / n) <= FLAT * max_y:
        return np.nan
    return min(1.0, max(-1.0, xy / (math.sqrt(xx) * math.sqrt(yy))))


@kernel(nogil=True, error_model="numpy")
def central_moments(x):
    """Count, second, third and fourth central moment of the finite values; (n, 0, 0, 0) where flat."""
    n = 0
    for i in range(len(x)):
        n += math.isfinite(x[i])
    if n == 0:
        return 0, 0.0, 0.0, 0.0
    if n == len(x):
        return _central_moments(x)
    kept = np.empty(n + 1)
    n = 0
    for i in range(len(x)):
        kept[n] = x[i]
        n += math.isfinite(x[i])
    return _central_moments(kept[:n])


@kernel(nogil=True, error_model="numpy")
def _central_moments(x):
    n = len(x)
    total = largest = 0.0
    for i in range(n):
        total += x[i]
        largest = max(largest, abs(x[i]))
    mean = total / n
    m2 = m3 = m4 = 0.0
    for i in range(n):
        d = x[i] - mean
        d2 = d * d
        m2 += d2
        m3 += d2 * d
        m4 += d2 * d2
    if math.sqrt(m2 / n) <= FLAT * largest:
        return n, 0.0, 0.0, 0.0
    return n, m2 / n, m3 / n, m4 / n


@kernel(nogil=True, error_model="numpy")
def sum_of_squares(x):
    """Sum of the squares of finite values."""
    total = 0.0
    for i in range(len(x)):
        total += x[i] * x[i]
    return total


@kernel(nogil=True, error_model="numpy")
def skew(x):
    """Biased skewness g1 = m3 / m2^1.5; NaN below 5 observations or where flat."""
    return skew_kurt(x)[0]


@kernel(nogil=True, error_model="numpy")
def skew_kurt(x):
    """Biased skewness and excess kurtosis (m4 / m2^2 - 3); NaN below 5 observations or where flat."""
    n, m2, m3, m4 = central_moments(x)
    if n < LEAST_OBSERVATIONS or m2 == 0.0:
        return np.nan, np.nan
    return m3 / (m2 * math.sqrt(m2)), m4 / (m2 * m2) - 3.0


@kernel(nogil=True, error_model="numpy")
def mean_over_std(x):
    """Mean divided by population standard deviation of all values; NaN where flat."""
    n = len(x)
    total = largest = 0.0
    for i in range(n):
        total += x[i]
        largest = max(largest, abs(x[i]))
    mean = total / n
    m2 = 0.0
    for i in range(n):
        m2 += (x[i] - mean) ** 2
    std = math.sqrt(m2 / n)
    return np.nan if std <= FLAT * largest else mean / std


@kernel(nogil=True, error_model="numpy", inline="always")
def ratio(a, b):
    """``a / b``, NaN where b is 0."""
    return np.nan if b == 0.0 else a / b
