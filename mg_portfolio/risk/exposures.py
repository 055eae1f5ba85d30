"""Style exposures that daily bars hold, each from the days up to its own."""

import numpy as np

from mg_axes import bare
from mg_portfolio.errors import ProblemError

BAR_STYLES = ("beta", "momentum", "reversal", "volatility", "amount")
"""Columns of :func:`bar_styles`."""

CUT = 3.0
"""Standard deviations, by the median absolute deviation, beyond which an exposure is cut."""


def bar_styles(returns: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Compute exposures to beta, momentum, reversal, volatility and traded amount; row t as known at day t's close.

    Beta with the equally weighted market and volatility over 126 days, momentum the sum of the returns from 252 to 21
    days before, reversal that of the last 21, amount the logarithm of the mean over 63 days. A stock needs half of the
    days. Each day is cut at three deviations and z-scored over its stocks.

    Parameters
    ----------
    returns : (T, N) float
        Daily, NaN where the stock did not trade.
    amount : (T, N) float
        Traded value in any unit, or price times volume.

    Returns
    -------
    (T, N, 5) float32
        NaN where a stock has too few days.

    Raises
    ------
    ProblemError
        The two panels differ in shape.
    """
    r = np.asarray(bare("returns", returns, ProblemError), np.float64)
    a = np.asarray(bare("amount", amount, ProblemError), np.float64)
    if r.ndim != 2 or r.shape != a.shape:
        raise ProblemError(f"returns had shape {r.shape} and amount {a.shape}, expected one shape (days, stocks)")
    seen = np.isfinite(r)
    x = np.where(seen, r, 0.0)
    count = seen.sum(1, keepdims=True)
    market = np.divide(x.sum(1, keepdims=True), count, out=np.zeros_like(count, np.float64), where=count > 0)
    out = np.empty((*r.shape, len(BAR_STYLES)), np.float32)

    n = _window(seen, 126)
    enough = n >= 63
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_market, mean = _window(seen * market, 126) / n, _window(x, 126) / n
        cov = _window(x * market, 126) / n - mean * mean_market
        var = _window(seen * market**2, 126) / n - mean_market**2
        beta = np.where(enough & (var > 1e-12), cov / var, np.nan)
        out[:, :, 0] = _standard(beta)
        out[:, :, 3] = _standard(np.where(enough, np.sqrt(np.maximum(_window(x**2, 126) / n - mean**2, 0.0)), np.nan))
        year = _window(x, 252) - _window(x, 21)
        out[:, :, 1] = _standard(np.where(_window(seen, 252) >= 126, year, np.nan))
        out[:, :, 2] = _standard(np.where(_window(seen, 21) >= 11, _window(x, 21), np.nan))
        traded = np.isfinite(a) & (a > 0.0)
        days = _window(traded, 63)
        mean = _window(np.where(traded, a, 0.0), 63) / days
        out[:, :, 4] = _standard(np.where((days >= 32) & (mean > 0.0), np.log(np.maximum(mean, 1e-300)), np.nan))
    return out


def _window(x: np.ndarray, days: int) -> np.ndarray:
    """Sum of each column over the last ``days`` rows, fewer at the start."""
    total = np.cumsum(x, axis=0, dtype=np.float64)
    total[days:] -= total[:-days].copy()
    return total


def _standard(x: np.ndarray) -> np.ndarray:
    """Each row cut at CUT robust deviations from its median, then of mean 0 and deviation 1; NaN stays."""
    out = np.full(x.shape, np.nan, np.float32)
    for row, values in enumerate(x):
        at = np.isfinite(values)
        if at.sum() < 2:
            continue
        v = values[at]
        middle = np.median(v)
        spread = 1.4826 * np.median(np.abs(v - middle))
        if spread > 0.0:
            v = np.clip(v, middle - CUT * spread, middle + CUT * spread)
        deviation = v.std()
        out[row, at] = (v - v.mean()) / deviation if deviation > 0.0 else 0.0
    return out
