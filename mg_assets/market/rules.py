"""Exchange rules: boards, ticks and daily price limits of A-shares.

Limits of a stock on a day, around the reference price (the previous close after ex-rights):

| board | from | normal | ST | after listing |
|---|---|---|---|---|
| main | | 10% | 5% | listed before 2014: day 1 none; before 2023-04-10: day 1 +44% / -36%; then: 5 days none |
| ChiNext | | 10% | 5% | as main |
| ChiNext | 2020-08-24 | 20% | 20% | 5 days none |
| STAR | 2019-07-22 | 20% | 20% | 5 days none |
| Beijing | 2021-11-15 | 30% | 30% | day 1 none |

Not covered, since no daily table has them: the first day back of a restructured stock and the first
day of the delisting period (no limit).

Source: trading rules of the Shanghai, Shenzhen and Beijing stock exchanges.
"""

import datetime as dt

import numpy as np

TICK = 0.01
"""Price step of A-shares, yuan."""

BOARDS = ("main", "chinext", "star", "bse")
MAIN, CHINEXT, STAR, BSE = range(4)

CHINEXT_REFORM = np.datetime64(dt.date(2020, 8, 24), "D")
MAIN_REGISTRATION = np.datetime64(dt.date(2023, 4, 10), "D")
FIRST_DAY_LIMITS = np.datetime64(dt.date(2014, 1, 1), "D")


def board_codes(symbols: np.ndarray) -> np.ndarray:
    """Index into :data:`BOARDS` for symbols such as ``688001.SH``.

    Returns
    -------
    ndarray of int8 (S,)

    Raises
    ------
    ValueError
        A symbol names no exchange.
    """
    out = np.empty(len(symbols), np.int8)
    for i, symbol in enumerate(symbols):
        code, _, exchange = str(symbol).partition(".")
        if exchange == "SH":
            out[i] = STAR if code.startswith("68") else MAIN
        elif exchange == "SZ":
            out[i] = CHINEXT if code.startswith("30") else MAIN
        elif exchange == "BJ":
            out[i] = BSE
        else:
            raise ValueError(f"symbol was {symbol!r}; write it as 600000.SH, 000001.SZ or 830799.BJ")
    return out


def board_of(symbols: np.ndarray) -> np.ndarray:
    """Board names of symbols, object ``(S,)``: ``main``, ``chinext``, ``star`` or ``bse``."""
    return np.array(BOARDS, dtype=object)[board_codes(symbols)]


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
        Index into :data:`BOARDS`.
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
    wide = (board == STAR) | ((board == CHINEXT) & (day >= CHINEXT_REFORM))
    up = np.where(board == BSE, 30.0, np.where(wide, 20.0, np.where(st, 5.0, 10.0)))
    down = up.copy()
    if session is None:
        return up, down
    listed = day if listed is None else listed
    free_days = np.where(board == BSE, 1, np.where(wide, 5, 0))
    main_like = ~wide & (board != BSE)
    free_days = np.where(main_like & (listed >= MAIN_REGISTRATION), 5, free_days)
    free_days = np.where(main_like & (listed < FIRST_DAY_LIMITS), 1, free_days)
    capped = main_like & (session == 1) & (listed >= FIRST_DAY_LIMITS) & (listed < MAIN_REGISTRATION)
    up, down = np.where(capped, 44.0, up), np.where(capped, 36.0, down)
    free = (session >= 1) & (session <= free_days)
    return np.where(free, np.nan, up), np.where(free, np.nan, down)


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
