"""Daily price limits of A-shares, computed from the exchanges' dated rules.

Limits of a stock on a day, around the reference price (the previous close after ex-rights), follow from the board, the
day, special treatment and the sessions since the listing; :mod:`mg_portfolio.exchange_rules` is the table, with its
sources, and docs/market_rules.md shows it.

Not applied, since no daily table has them: the first day back of a stock whose listing was suspended and the first day
of the delisting period (no limit).
"""

import logging
from functools import cache

import numpy as np

from mg_portfolio.exchange_rules import BOARDS, BSE, Date, in_force_each, unknown_since
from mg_portfolio.exchange_rules import board_codes as board_codes
from mg_portfolio.exchange_rules import in_force as in_force

TICK: float = in_force("tick", BSE, "2021-11-15")
"""Price step of A-shares, yuan."""
SLACK = 0.002
"""Of a price, beside half a tick: limits are rounded to the tick, and adjusted prices are rounded back."""


def board_of(symbols: np.ndarray) -> np.ndarray:
    """Board names of symbols, object ``(S,)``: of :data:`mg_portfolio.exchange_rules.BOARDS`."""
    return np.array(BOARDS, dtype=object)[board_codes(symbols)]


def unknown_rules(last: Date) -> str:
    """What a note says of rules applied up to a day that the table does not cover, ``""`` of others; logged once."""
    if text := unknown_since(last):
        _log_once(text)
    return text


@cache
def _log_once(text: str) -> None:
    logging.getLogger(__name__).warning(text)


def round_to_tick(price: np.ndarray, tick: float = TICK) -> np.ndarray:
    """Prices on the tick, half up; NaN stays NaN."""
    # a computed half is a hair below itself in binary (10.125 * 0.9), hence the 1e-6 of a tick
    steps = round(1 / tick)
    return np.floor(np.asarray(price, np.float64) * steps + 0.5 + 1e-6) / steps


def limit_percent(
    board: np.ndarray,
    day: np.ndarray,
    st: np.ndarray,
    session: np.ndarray | None = None,
    listed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Percent up and down that a price may move; NaN where there is no limit.

    Parameters
    ----------
    board : ndarray of int (n,)
        Index into :data:`mg_portfolio.exchange_rules.BOARDS`.
    day : ndarray of datetime64[D] (n,) or scalar
    st : ndarray of bool (n,)
        Under special treatment.
    session : ndarray of int (n,), optional
        1 on the listing day, 2 on the next session; 0 where unknown or long ago.
    listed : ndarray of datetime64[D] (n,), optional
        Listing day; by default ``day``, which is right while ``session`` is small.

    Returns
    -------
    up, down : ndarray of float64 (n,)
    """
    board = np.asarray(board)
    day = np.broadcast_to(np.asarray(day, "datetime64[D]"), board.shape)
    plain, special = (in_force_each(name, board, day) for name in ("price_limit", "price_limit_st"))
    up = np.where(st, special, plain)
    down = up.copy()
    if session is None:
        return up, down
    listed = np.where(np.isnat(listed), day, listed) if listed is not None else day
    first = session == 1
    high, low = (in_force_each("first_day_limit", board, listed, part) for part in (0, 1))
    up, down = np.where(first & np.isfinite(high), high, up), np.where(first & np.isfinite(low), low, down)
    free = (session >= 1) & (session <= in_force_each("free_sessions", board, listed))
    return np.where(free, np.nan, up), np.where(free, np.nan, down)


def beyond_limit(returned: np.ndarray, price: np.ndarray, up: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Whether a return exceeds the percent that a price may move.

    Parameters
    ----------
    returned : ndarray of float64 (n,)
        Fractions; NaN where unknown.
    price : ndarray of float64 (n,)
        Yuan, whose tick the limits are rounded to.
    up, down : ndarray of float64 (n,)
        Percent, from :func:`limit_percent`.

    Returns
    -------
    ndarray of bool (n,)
        By more than :data:`SLACK` of the price and half a tick, as prices may be adjusted and rounded back.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        slack = SLACK + TICK / 2 / price
        return (returned > up / 100 + slack) | (returned < -down / 100 - slack)


def price_limits(prev_close: np.ndarray, up: np.ndarray, down: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Limit prices, rounded half up to 0.01 yuan, at least one tick away from the reference.

    Exact in integer cents: ``floor((cents * (100 + percent) + 50) / 100)``.

    Parameters
    ----------
    prev_close : ndarray of float64 (n,)
        Reference price, yuan.
    up, down : ndarray of float64 (n,)
        Percent, from :func:`limit_percent`.

    Returns
    -------
    up_limit, down_limit : ndarray of float64 (n,)
        Yuan; NaN where the reference is unknown or there is no limit.
    """
    cents = np.rint(np.asarray(prev_close, np.float64) * 100)
    high = np.floor((cents * (100 + up) + 50) / 100)
    low = np.floor((cents * (100 - down) + 50) / 100)
    high = np.where(np.isnan(high), np.nan, np.maximum(high, cents + 1))
    low = np.where(np.isnan(low), np.nan, np.maximum(np.minimum(low, cents - 1), 1))
    return high / 100, low / 100
