"""Exponentially weighted covariances with Newey and West's correction, per day.

Means are taken as zero: a day's mean return is a hundredth of its deviation, and its estimate is noise.
"""

import numpy as np


def decay(count: int, half_life: float) -> np.ndarray:
    """Weights ``(count,)`` that halve every ``half_life`` rows before the last and sum to one."""
    w = 0.5 ** (np.arange(count - 1, -1, -1) / half_life)
    return w / w.sum()


def long_run_covariance(x: np.ndarray, half_life: float, lags: int) -> np.ndarray:
    """Long-run covariance of the rows of ``x (T, F)``.

    Newey and West (1987) on the rows times the root of their weights, so that the result is positive semidefinite for
    any weights.

    Returns
    -------
    (F, F) float
        Per day.
    """
    g = np.sqrt(decay(len(x), half_life))[:, None] * x
    out = g.T @ g
    for lag in range(1, min(lags, len(x) - 1) + 1):
        cross = g[lag:].T @ g[:-lag]
        out += (1.0 - lag / (lags + 1.0)) * (cross + cross.T)
    return out


def factor_covariance(
    x: np.ndarray, volatility_half_life: float, correlation_half_life: float, lags: int
) -> np.ndarray:
    """Covariance ``(F, F)`` per day: correlations of one half-life, volatilities of another; positive semidefinite."""
    slow = long_run_covariance(x, correlation_half_life, lags)
    if volatility_half_life == correlation_half_life:
        return slow
    fast = np.diag(long_run_covariance(x, volatility_half_life, lags))
    known = np.diag(slow)
    scale = np.sqrt(np.divide(fast, known, out=np.zeros_like(fast), where=known > 0.0))
    return scale[:, None] * slow * scale


def long_run_variance(x: np.ndarray, half_life: float, lags: int) -> np.ndarray:
    """Long-run variance ``(N,)`` of each column of ``x (T, N)`` over the days that it has; NaN where it has none."""
    seen = np.isfinite(x)
    w = decay(len(x), half_life)
    g = np.sqrt(w)[:, None] * np.where(seen, x, 0.0)
    total = np.einsum("tn,tn->n", g, g)
    for lag in range(1, min(lags, len(x) - 1) + 1):
        total += 2.0 * (1.0 - lag / (lags + 1.0)) * np.einsum("tn,tn->n", g[lag:], g[:-lag])
    weight = w @ seen
    return np.divide(total, weight, out=np.full(x.shape[1], np.nan), where=weight > 0.0)


def regime_multiplier(x: np.ndarray, variance_half_life: float, half_life: float) -> float:
    """How far the squares of ``x (T, F)`` were from their forecasts of late; multiplies a variance.

    The forecast of each day is the exponentially weighted mean square of the days before it. The mean over the columns
    of the squares divided by their forecasts, weighted with ``half_life``, is the volatility regime multiplier of
    Menchero, Orr and Wang (The Barra US Equity Model, 2011).

    Returns
    -------
    float
        1 where there is nothing to compare.
    """
    keep = 0.5 ** (1.0 / variance_half_life)
    total, weight = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    ratio = np.full(len(x), np.nan)
    for day, row in enumerate(x):
        seen = np.isfinite(row)
        known = seen & (weight > 0.5 * _saturated(keep, day)) & (total > 0.0)
        if day >= 20 and known.any():
            ratio[day] = np.mean(row[known] ** 2 * weight[known] / total[known])
        total = keep * total + np.where(seen, row, 0.0) ** 2
        weight = keep * weight + seen
    w = np.where(np.isfinite(ratio), decay(len(x), half_life), 0.0)
    return float(w @ np.nan_to_num(ratio) / w.sum()) if w.sum() > 0.0 else 1.0


def _saturated(keep: float, days: int) -> float:
    """Weight of a column with a value on each of ``days`` days."""
    return (1.0 - keep**days) / (1.0 - keep)
