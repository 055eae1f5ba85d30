"""Specific volatilities: each stock's own, the structural one where its history is short, shrunk in buckets."""

import numpy as np

from mg_portfolio.risk.covariance import long_run_variance
from mg_portfolio.risk.settings import RiskSettings

LEAST_STOCKS = 3
"""Stocks per explanatory variable below which the structural model is the median."""


def specific_variance(
    residuals: np.ndarray, features: np.ndarray, size: np.ndarray | None, settings: RiskSettings
) -> np.ndarray:
    """Specific variance of each stock.

    Parameters
    ----------
    residuals : (T, N) float
        NaN where there is none.
    features : (N, M) float
        Explain the logarithm of the structural volatility; industries and styles.
    size : (N,) float or None
        Buckets of shrinkage; NaN is the smallest.
    settings : RiskSettings
        Half-life, lags, lengths of history and shrinkage.

    Returns
    -------
    (N,) float
        Per day, positive wherever any stock's is.
    """
    own = np.sqrt(long_run_variance(residuals, settings.specific_half_life, settings.newey_west_lags))
    observed = np.isfinite(residuals).sum(0)
    short, long = settings.short_history, settings.long_history
    long = min(long, max(int(observed.max(initial=0)), short + 1))  # a short window has no longer ones to learn from
    trust = np.clip((observed - short) / (long - short), 0.0, 1.0)
    trust[~np.isfinite(own) | (own == 0.0)] = 0.0
    structural = structural_volatility(own, trust >= 1.0, features)
    blended = trust * np.nan_to_num(own) + (1.0 - trust) * structural
    if settings.shrinkage == 0.0:
        return blended**2
    by = structural if size is None else np.where(np.isfinite(size), size, -np.inf)
    return shrunk(blended, by, settings.buckets, settings.shrinkage) ** 2


def structural_volatility(own: np.ndarray, known: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Volatility that a stock's industry and styles suggest, from the stocks ``known`` to have a long history.

    The logarithm is regressed on ``features``; the exponential is scaled so that it has the stocks' mean.

    Returns
    -------
    (N,) float
        Per day; the median where the known stocks are too few for a regression.
    """
    if not known.any():
        known = np.isfinite(own) & (own > 0.0)
    if not known.any():
        return np.zeros(len(own))
    used = features[known].any(0)  # an industry without such a stock has the mean of the others
    if known.sum() < LEAST_STOCKS * (used.sum() + 1):
        return np.full(len(own), np.median(own[known]))
    x = np.column_stack([np.ones(len(own)), features[:, used]])
    slope = np.linalg.lstsq(x[known].T @ x[known], x[known].T @ np.log(own[known]), rcond=1e-10)[0]
    fitted = x @ slope
    low, high = fitted[known].min(), fitted[known].max()
    out = np.exp(np.clip(fitted, low, high))
    return out * own[known].mean() / out[known].mean()


def shrunk(volatility: np.ndarray, by: np.ndarray, buckets: int, shrinkage: float) -> np.ndarray:
    """Volatilities drawn to the mean of their bucket of ``by``, the further the more.

    ``v = q |s - m| / (d + q |s - m|)`` is the weight of the bucket's mean ``m``, ``d`` its standard deviation
    (Menchero, Orr and Wang, The Barra US Equity Model, 2011).

    Returns
    -------
    (N,) float
        In the unit of ``volatility``.
    """
    order = np.argsort(by, kind="stable")
    out = volatility.copy()
    for rows in np.array_split(order, min(buckets, len(order))):
        mean, spread = volatility[rows].mean(), volatility[rows].std()
        if spread > 0.0:
            far = shrinkage * np.abs(volatility[rows] - mean)
            out[rows] += far / (spread + far) * (mean - volatility[rows])
    return out
