"""Style exposures that daily bars hold, each from the days up to its own."""

import numpy as np

from mg_axes import bare
from mg_portfolio.errors import ProblemError

BAR_STYLES = ("beta", "momentum", "reversal", "volatility", "amount")
"""Columns of :func:`bar_styles`."""

CUT = 3.0
"""Standard deviations, by the median absolute deviation, beyond which an exposure is cut."""


BLOCK = 256
"""Stocks whose windows are summed at a time: their days fit a processor's cache."""


def bar_styles(returns: np.ndarray, amount: np.ndarray, rows: int | None = None) -> np.ndarray:
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
    rows : int, optional
        Only the last so many are computed; by default all.

    Returns
    -------
    (T, N, 5) float32
        NaN where a stock has too few days, and on the rows that were not asked for.

    Raises
    ------
    ProblemError
        The two panels differ in shape.
    """
    r = np.asarray(bare("returns", returns, ProblemError), np.float64)
    a = np.asarray(bare("amount", amount, ProblemError), np.float64)
    if r.ndim != 2 or r.shape != a.shape:
        raise ProblemError(f"returns had shape {r.shape} and amount {a.shape}, expected one shape (days, stocks)")
    days = len(r)
    first = 0 if rows is None else max(days - rows, 0)
    seen = np.isfinite(r)
    count = seen.sum(1, keepdims=True)
    total = np.where(seen, r, 0.0).sum(1, keepdims=True)
    market = np.divide(total, count, out=np.zeros_like(count, np.float64), where=count > 0)
    raw = np.empty((len(BAR_STYLES), days - first, r.shape[1]))
    for begin in range(0, r.shape[1], BLOCK):
        block = slice(begin, begin + BLOCK)
        raw[:, :, block] = _raw_styles(r[:, block], a[:, block], market, first)
    out = np.full((*r.shape, len(BAR_STYLES)), np.nan, np.float32)
    for k, values in enumerate(raw):
        out[first:, :, k] = _standard(values)
    return out


def _raw_styles(r: np.ndarray, a: np.ndarray, market: np.ndarray, first: int) -> np.ndarray:
    """Exposures before they are standardised, (5, T - first, N)."""
    seen = np.isfinite(r)
    x = np.where(seen, r, 0.0)

    def window(values: np.ndarray, days: int) -> np.ndarray:
        return _window(values, days, first)

    n = window(seen, 126)
    enough = n >= 63
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_market, mean = window(seen * market, 126) / n, window(x, 126) / n
        cov = window(x * market, 126) / n - mean * mean_market
        var = window(seen * market**2, 126) / n - mean_market**2
        beta = np.where(enough & (var > 1e-12), cov / var, np.nan)
        volatility = np.where(enough, np.sqrt(np.maximum(window(x**2, 126) / n - mean**2, 0.0)), np.nan)
        month = window(x, 21)
        momentum = np.where(window(seen, 252) >= 126, window(x, 252) - month, np.nan)
        reversal = np.where(window(seen, 21) >= 11, month, np.nan)
        traded = np.isfinite(a) & (a > 0.0)
        days = window(traded, 63)
        mean = window(np.where(traded, a, 0.0), 63) / days
        amount = np.where((days >= 32) & (mean > 0.0), np.log(np.maximum(mean, 1e-300)), np.nan)
    return np.stack([beta, momentum, reversal, volatility, amount])


def _window(x: np.ndarray, days: int, first: int) -> np.ndarray:
    """Sum of each column over the last ``days`` rows, fewer at the start; of the rows from ``first`` on."""
    total = np.cumsum(x, axis=0, dtype=np.float64)
    out = total[first:].copy()
    full = max(first, days)
    if full < len(x):
        out[full - first :] -= total[full - days : len(x) - days]
    return out


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
