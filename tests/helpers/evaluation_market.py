"""A small random market with gaps and a signal that predicts it."""

import numpy as np


def market(seed: int = 0, days: int = 80, stocks: int = 70) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Signal, execution prices, tradable stocks ``(D, S)`` and days ``(D,)``."""
    rng = np.random.default_rng(seed)
    signal = np.round(rng.standard_normal((days, stocks)), 2)  # with ties
    returns = 0.02 * rng.standard_normal((days, stocks))
    returns[2:] += 0.004 * signal[:-2]
    price = 10 * np.cumprod(1 + returns, axis=0)
    price[rng.random(price.shape) < 0.05] = np.nan
    signal[rng.random(price.shape) < 0.05] = np.nan
    calendar = np.busday_offset("2022-11-01", np.arange(days), roll="forward")
    return signal, price, rng.random(price.shape) < 0.95, calendar
