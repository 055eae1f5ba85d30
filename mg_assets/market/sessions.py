"""Exchange rules by symbol that the tick suites need."""

import datetime as dt
from typing import Any

import numpy as np

from mg_portfolio.exchange_rules import BOARDS, board_codes, in_force

LIMIT_COLUMNS = ("up_limit", "down_limit")

CLOSE = dt.time(15, 0)
SHORT_SESSIONS = {dt.date(2016, 1, 4): dt.time(13, 34), dt.date(2016, 1, 7): dt.time(9, 59)}
"""Days on which trading ended before 15:00, and when: the circuit breaker of January 2016 closed both exchanges."""
HALTS = {
    dt.date(2016, 1, 4): (dt.time(13, 12), dt.time(13, 28)),
    dt.date(2016, 1, 7): (dt.time(9, 42), dt.time(9, 58)),
}
"""Minutes of a session, first and behind the last, in which neither exchange traded: the breaker's first step."""

HALT_SESSIONS = 60
"""Sessions without a row after which a stock counts as delisted where nothing says so: since 2018 the exchanges let a
stock be halted for at most 25, and the longer halts of the years before have later rows."""


def session_end(day: dt.date) -> dt.time:
    """When the day's trading ended: 15:00, but for the days of :data:`SHORT_SESSIONS`."""
    return SHORT_SESSIONS.get(day, CLOSE)


def lot_rule(symbols: np.ndarray, day: dt.date) -> np.ndarray:
    """0 where buy orders come in whole lots of the least volume, else that volume, above which one share is a step."""
    lots = _of_boards("buy_lot", symbols, day, (0, 0))
    return np.array([0 if step == least else least for least, step in lots], np.int64)


def larger_is_active(symbols: np.ndarray) -> np.ndarray:
    """2 in Shenzhen, where the larger order number is the active side by rule; 0 elsewhere."""
    return np.where(np.char.endswith(np.asarray(symbols, dtype=str), ".SZ"), 2, 0).astype(np.int8)


def closing_auction(symbols: np.ndarray, day: dt.date) -> np.ndarray:
    """Whether the symbol's day ends in a call auction."""
    return np.array([times is not None for times in _of_boards("closing_auction", symbols, day, ())], bool)


def trades_after_close(symbols: np.ndarray, day: dt.date) -> np.ndarray:
    """Whether the symbol's daily volume may hold fixed-price trades after the close, which are in no minute bar."""
    return np.array([times is not None for times in _of_boards("after_close", symbols, day, None)], bool)


def _of_boards(rule: str, symbols: np.ndarray, day: dt.date, otherwise: Any) -> list[Any]:
    """What a rule says on a day of each symbol's board; ``otherwise`` of a symbol that names no exchange."""
    values = [in_force(rule, board, day) for board in range(len(BOARDS))]
    named = [str(s).endswith((".SH", ".SZ", ".BJ")) for s in symbols]
    return [values[board_codes([s])[0]] if ok else otherwise for s, ok in zip(symbols, named, strict=True)]
