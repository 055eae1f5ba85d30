"""Whether prices can be yuan: how high they are, and whether they ever fall between two whole numbers."""

import numpy as np

MOST_YUAN = 3_000.0
"""No A share has cost as much: the dearest was 600519.SH at 2,627.88 on 2021-02-18."""
LEAST_YUAN = 0.5
SAMPLED = 20_000
MANY_PRICES = 8
"""So many distinct prices are hardly all whole yuan, for they step by 0.01: round ones are liked, one trade in five."""
FINE_STEPS = 100.0
"""Whole prices that are as high step by less than 1%; lower ones would be of stocks below 1 yuan."""
MOST_RATIO = 2.0
"""A traded value over its volume and price is nearer to 1 where the three are in yuan and shares."""
INTEGER_UNITS = (1e-4, 1e-3, 1e-2)


def unit_of_prices(prices: np.ndarray, confirmed: bool = False) -> tuple[float, float] | None:
    """The unit of prices that cannot be yuan: they are too high, or all whole and so high that they step by 0.01.

    Parameters
    ----------
    prices : ndarray of float64 (n,)
        Of stocks; those that are not above 0 do not count.
    confirmed : bool
        Whether amounts beside them are price x volume in yuan and shares: then they may all be whole.

    Returns
    -------
    (float, float) or None
        Their median, and how many yuan one of their units is (NaN where they may be adjusted instead); None where they
        can be yuan.
    """
    good = prices[np.isfinite(prices) & (prices > 0)]
    good = good[:: max(len(good) // SAMPLED, 1)]
    if not len(good):
        return None
    level = float(np.median(good))
    whole = bool(np.all(good == np.rint(good))) and len(np.unique(good)) >= MANY_PRICES
    if level <= MOST_YUAN and (confirmed or not whole or level < FINE_STEPS):
        return None
    for unit in INTEGER_UNITS:
        fen = good * unit * 100
        if level * unit > LEAST_YUAN and np.all(np.abs(fen - np.rint(fen)) < 1e-6):
            return level, unit
    return level, np.nan


def are_yuan_and_shares(amount: np.ndarray, volume: np.ndarray, price: np.ndarray) -> bool:
    """Whether traded values are price x volume, none of the three in another unit; False where there are none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = amount / volume / price
    ratio = ratio[np.isfinite(ratio) & (ratio > 0)]
    return bool(len(ratio)) and 1 / MOST_RATIO < float(np.median(ratio)) < MOST_RATIO
