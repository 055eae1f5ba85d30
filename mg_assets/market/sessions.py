"""Exchange rules by symbol that the tick suites need."""

import datetime as dt

import numpy as np

SHANGHAI_CLOSING_AUCTION = dt.date(2018, 8, 20)  # continuous to 15:00 before
LIMIT_COLUMNS = ("up_limit", "down_limit")

CLOSE = dt.time(15, 0)
SHORT_SESSIONS = {dt.date(2016, 1, 4): dt.time(13, 34), dt.date(2016, 1, 7): dt.time(9, 59)}
"""Days on which trading ended before 15:00, and when: the circuit breaker of January 2016 closed both exchanges."""
HALTS = {
    dt.date(2016, 1, 4): (dt.time(13, 12), dt.time(13, 28)),
    dt.date(2016, 1, 7): (dt.time(9, 42), dt.time(9, 58)),
}
"""Minutes of a session, first and behind the last, in which neither exchange traded: the breaker's first step."""


def session_end(day: dt.date) -> dt.time:
    """When the day's trading ended: 15:00, but for the days of :data:`SHORT_SESSIONS`."""
    return SHORT_SESSIONS.get(day, CLOSE)


def lot_rule(symbols: np.ndarray) -> np.ndarray:
    """0 where buy orders come in hundreds, else a buy's least volume: 200 on STAR, 100 in Beijing."""
    text = np.asarray(symbols, dtype=str)
    star = np.char.startswith(text, "688") | np.char.startswith(text, "689")
    return np.where(star, 200, np.where(np.char.endswith(text, ".BJ"), 100, 0)).astype(np.int64)


def larger_is_active(symbols: np.ndarray) -> np.ndarray:
    """2 in Shenzhen, where the larger order number is the active side by rule; 0 elsewhere."""
    return np.where(np.char.endswith(np.asarray(symbols, dtype=str), ".SZ"), 2, 0).astype(np.int8)


def closing_auction(symbols: np.ndarray, day: dt.date) -> np.ndarray:
    """Whether the symbol's day ends in a call auction."""
    shanghai = np.char.endswith(np.asarray(symbols, dtype=str), ".SH")
    return ~shanghai | (day >= SHANGHAI_CLOSING_AUCTION)
