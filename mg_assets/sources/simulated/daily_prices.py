"""From log returns to a day's open, high, low, close and vwap on the tick, inside the limits."""

from dataclasses import dataclass

import numpy as np

from mg_assets.sources.simulated.random_streams import RandomStream, generator
from mg_portfolio.exchange_rules import CHINEXT, SSE_MAIN, STAR, in_force

NIGHT = 0.25  # share of the day's variance that falls between the close and the open
FIRST_DAY_UP, FIRST_DAY_DOWN = 44, 36  # percent, of a stock's first day on any board


@dataclass(frozen=True)
class DayPrices:
    """Prices of the S stocks in ticks."""

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    vwap: np.ndarray


def limits(
    reference: np.ndarray, board: np.ndarray, st: np.ndarray, fresh: np.ndarray, date: np.datetime64
) -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower price limits in ticks, rounded half up as the exchanges do.

    Parameters
    ----------
    reference : ndarray of int (S,)
        Reference price in ticks.
    board : ndarray of str (S,)
        ``main``, ``star`` or ``chinext``.
    st, fresh : ndarray of bool (S,)
        Under special treatment; on the first day after listing.
    date : datetime64[D]
        That of the rules; only main-board stocks carry ST.

    Returns
    -------
    up, down : ndarray of int (S,)
        Ticks.
    """
    percent = np.select(
        [st, board == "star", board == "chinext"],
        [_percent("price_limit_st", SSE_MAIN, date), *(_percent("price_limit", b, date) for b in (STAR, CHINEXT))],
        _percent("price_limit", SSE_MAIN, date),
    )
    up = (reference * (100 + np.where(fresh, FIRST_DAY_UP, percent)) + 50) // 100
    down = (reference * (100 - np.where(fresh, FIRST_DAY_DOWN, percent)) + 50) // 100
    return up, np.maximum(down, 1)


def _percent(rule: str, board: int, date: np.datetime64) -> int:
    return int(in_force(rule, board, date))


def form_prices(
    seed: int,
    day: int,
    reference: np.ndarray,
    up: np.ndarray,
    down: np.ndarray,
    log_return: np.ndarray,
    overnight: np.ndarray,
    news: np.ndarray,
    day_std: np.ndarray,
    suspended: np.ndarray,
) -> DayPrices:
    """Draw a day's prices in ticks.

    The close is the reference price moved by the whole return and clipped to the limits (what is
    clipped is lost, so that a limit foretells nothing). The open splits the ordinary return as a
    Brownian bridge does at a quarter of the day's variance; ``overnight`` (moves gathered while
    suspended) and half of the news come before it. High and low are exact draws of the bridge's
    extremes between open and close.

    Returns
    -------
    DayPrices
    """
    n = len(reference)
    rng = generator(seed, RandomStream.PRICES, day)
    night, tilt = rng.standard_normal((2, n))
    u = rng.random((3, n))
    gap = NIGHT * (log_return - news) + np.sqrt(NIGHT * (1 - NIGHT)) * day_std * night
    gap += np.where(u[0] < 0.5, news, 0.0) + overnight
    base = np.log(reference)
    opened = _tick(base + gap, down, up)
    closed = _tick(base + log_return + overnight, down, up)
    a, b = np.log(opened), np.log(closed)
    variance = (1 - NIGHT) * day_std**2
    reach = (b - a) ** 2
    high = (a + b + np.sqrt(reach - 2 * variance * np.log(1 - u[1]))) / 2
    low = (a + b - np.sqrt(reach - 2 * variance * np.log(1 - u[2]))) / 2
    locked = (opened == closed) & ((opened == up) | (opened == down))
    top = np.where(locked, closed, np.maximum(_tick(high, down, up), np.maximum(opened, closed)))
    bottom = np.where(locked, closed, np.minimum(_tick(low, down, up), np.minimum(opened, closed)))
    middle = (a + b) / 4 + (np.log(top) + np.log(bottom)) / 4 + 0.08 * tilt * (np.log(top) - np.log(bottom))
    vwap = _tick(middle, bottom, top)
    still = [np.where(suspended, reference, x) for x in (opened, top, bottom, closed, vwap)]
    return DayPrices(*still)


def _tick(log_price: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    rounded = np.floor(np.exp(np.minimum(log_price, 20.0)) + 0.5).astype(np.int64)
    return np.clip(rounded, low, high)
