"""Windows of daily series as scalar loops: means, deviations, correlations and a regression.

Every window is summed afresh about its own mean, in two passes: a running sum would carry the rounding of
all days before it. What is not finite is left out; a window with too few observations is NaN.
"""

import math

import numpy as np

from mg_assets.factors.kernels.cache import kernel
from mg_assets.factors.kernels.moments import FLAT, corr, ratio

WEEK, SHORT, MONTH, QUARTER, YEAR, TWO_YEARS = 5, 10, 21, 63, 252, 504
DECAY = 3.0 * 4.0  # days: exp(-age / N / 4) with N = 3 months
BETA_LEAST = 120
FINITE_SHARE = 0.6


@kernel(nogil=True, inline="always")
def least(window):
    """Observations that a window needs: 60% of its days, rounded up."""
    return math.ceil(FINITE_SHARE * window - 1e-9)


@kernel(nogil=True, inline="always")
def since(day, window):
    """First day of the window that ends on ``day``."""
    return max(0, day + 1 - window)


@kernel(nogil=True, error_model="numpy")
def mean(x, needed):
    """Mean of the finite values; NaN where they are fewer than ``needed``."""
    n = 0
    total = 0.0
    for i in range(len(x)):
        if math.isfinite(x[i]):
            n += 1
            total += x[i]
    return total / n if n >= needed else np.nan


@kernel(nogil=True, error_model="numpy")
def deviation(x, needed):
    """Population standard deviation of the finite values, 0 where flat; NaN where they are fewer than ``needed``."""
    n = 0
    total = largest = 0.0
    for i in range(len(x)):
        if math.isfinite(x[i]):
            n += 1
            total += x[i]
            largest = max(largest, abs(x[i]))
    if n < needed:
        return np.nan
    centre = total / n
    m2 = 0.0
    for i in range(len(x)):
        if math.isfinite(x[i]):
            m2 += (x[i] - centre) ** 2
    std = math.sqrt(m2 / n)
    return 0.0 if std <= FLAT * largest else std


@kernel(nogil=True, error_model="numpy")
def slope(y, x, needed):
    """Slope of y on x with an intercept, over the pairs with both finite; NaN where few or where x is flat."""
    n = 0
    sum_x = sum_y = largest = 0.0
    for i in range(len(x)):
        if math.isfinite(x[i]) and math.isfinite(y[i]):
            n += 1
            sum_x += x[i]
            sum_y += y[i]
            largest = max(largest, abs(x[i]))
    if n < needed:
        return np.nan
    mean_x = sum_x / n
    mean_y = sum_y / n
    xx = xy = 0.0
    for i in range(len(x)):
        if math.isfinite(x[i]) and math.isfinite(y[i]):
            xx += (x[i] - mean_x) ** 2
            xy += (x[i] - mean_x) * (y[i] - mean_y)
    return np.nan if math.sqrt(xx / n) <= FLAT * largest else xy / xx


@kernel(nogil=True, error_model="numpy")
def endpoint_return(close, returns, day, window):
    """``close / close_{-window} - 1``; NaN where too few days between have a return."""
    if day < window:
        return np.nan
    n = 0
    for i in range(day + 1 - window, day + 1):
        if math.isfinite(returns[i]):
            n += 1
    return close[day] / close[day - window] - 1.0 if n >= least(window) else np.nan


@kernel(nogil=True, error_model="numpy")
def decayed_return(returns, turnover, decay, day, window):
    """Mean return weighted by turnover and ``decay[age]``."""
    n = 0
    total = weights = 0.0
    for i in range(since(day, window), day + 1):
        if math.isfinite(returns[i]) and math.isfinite(turnover[i]):
            n += 1
            weight = turnover[i] * decay[day - i]
            total += weight * returns[i]
            weights += weight
    return ratio(total, weights) if n >= least(window) else np.nan


@kernel(nogil=True, error_model="numpy")
def residual_deviation(y, x, needed, basis, rest):
    """Population std of the residual of an ordinary regression of y on the columns of x and a constant.

    Parameters
    ----------
    y : ndarray (n,)
    x : ndarray (n, k)
    needed : int
        Least number of finite rows.
    basis, rest : ndarray (k, n), (n,)
        Scratch.

    Returns
    -------
    float
        0 where flat, NaN with too few rows.
    """
    # Gram-Schmidt, each column taken out twice; a column that the others explain is left out, as by least squares
    count, columns = x.shape
    n = 0
    largest = 0.0
    for i in range(count):
        whole = math.isfinite(y[i])
        for k in range(columns):
            whole = whole and math.isfinite(x[i, k])
        if whole:
            rest[n] = y[i]
            for k in range(columns):
                basis[k, n] = x[i, k]
            largest = max(largest, abs(y[i]))
            n += 1
    if n < needed:
        return np.nan
    _centre(rest[:n])
    for k in range(columns):
        column = basis[k, :n]
        _centre(column)
        before = _norm(column)
        for _ in range(2):
            for j in range(k):
                _take_out(column, basis[j, :n])
        after = _norm(column)
        if after <= 1e-10 * before:
            column[:] = 0.0
            continue
        for i in range(n):
            column[i] /= after
        for _ in range(2):
            _take_out(rest[:n], column)
    std = _norm(rest[:n]) / math.sqrt(n)
    return 0.0 if std <= FLAT * largest else std


@kernel(nogil=True, error_model="numpy")
def _centre(x):
    total = 0.0
    for i in range(len(x)):
        total += x[i]
    centre = total / len(x)
    for i in range(len(x)):
        x[i] -= centre


@kernel(nogil=True, error_model="numpy")
def _norm(x):
    total = 0.0
    for i in range(len(x)):
        total += x[i] * x[i]
    return math.sqrt(total)


@kernel(nogil=True, error_model="numpy")
def _take_out(x, unit):
    along = 0.0
    for i in range(len(x)):
        along += x[i] * unit[i]
    for i in range(len(x)):
        x[i] -= along * unit[i]


@kernel(nogil=True, error_model="numpy")
def window_factors(lo, hi, first, before, returns, turnover, volume, close, factor, prices, styles, out):
    """Fill ``out (D - first, S, 24)`` for the stocks ``lo..hi-1``, columns ``daily.WINDOWED``.

    Series are ``(S, D)``, ``turnover`` has ``before`` days more in front. ``volume`` is adjusted, NaN without
    trades; ``close`` adjusted and carried; ``prices`` are adjusted close, open, high, low, vwap, NaN without
    trades; ``styles (D, 3)``.
    """
    days = returns.shape[1]
    decay = np.exp(-np.arange(QUARTER) / DECAY)
    basis = np.empty((styles.shape[1], MONTH))
    rest = np.empty(MONTH)
    for s in range(lo, hi):
        ret = returns[s]
        turn = turnover[s, before:]
        vol = volume[s]
        for d in range(first, days):
            row = out[d - first, s]
            if not math.isfinite(vol[d]):  # no trades
                row[:] = np.nan
                continue
            end = d + 1
            month = since(d, MONTH)
            short = since(d, SHORT)
            needed = least(MONTH)
            row[0] = endpoint_return(close[s], ret, d, WEEK)
            row[1] = endpoint_return(close[s], ret, d, MONTH)
            row[2] = decayed_return(ret, turn, decay, d, QUARTER)
            row[3] = deviation(ret[month:end], needed)
            row[4] = deviation(vol[month:end], needed) * factor[s, d]  # in shares of today
            row[5] = residual_deviation(ret[month:end], styles[month:end], needed, basis, rest)
            row[6] = mean(turn[month:end], needed)
            row[7] = deviation(turn[month:end], needed)
            long = turnover[s, since(d + before, TWO_YEARS) : end + before]
            row[8] = ratio(row[6], mean(long, least(TWO_YEARS)))
            needed = least(SHORT)
            row[9] = deviation(ret[short:end], needed)
            row[10] = deviation(vol[short:end], needed) * factor[s, d]  # in shares of today
            row[11] = deviation(turn[short:end], needed)
            for k in range(len(prices)):
                row[12 + k] = corr(ret[short:end], prices[k][s, short:end], needed)
                row[19 + k] = corr(vol[short:end], prices[k][s, short:end], needed)
            row[17] = corr(ret[short:end], vol[short:end], needed)
            row[18] = corr(ret[short:end], turn[short:end], needed)


@kernel(nogil=True, error_model="numpy")
def common_windows(lo, hi, first, returns, turnover, amount, close, market, out):
    """Fill ``out (D - first, S, 4)`` with reversal, mean amount, turnover and beta of the stocks ``lo..hi-1``."""
    days = returns.shape[1]
    for s in range(lo, hi):
        for d in range(first, days):
            row = out[d - first, s]
            end = d + 1
            month = since(d, MONTH)
            row[0] = endpoint_return(close[s], returns[s], d, MONTH)
            row[1] = mean(amount[s, month:end], least(MONTH))
            row[2] = mean(turnover[s, month:end], least(MONTH))
            year = since(d, YEAR)
            row[3] = slope(returns[s, year:end], market[year:end], BETA_LEAST)
