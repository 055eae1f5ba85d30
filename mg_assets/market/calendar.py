"""The Shanghai exchange's trading days, weeks, months and half-years.

Source: ``exchange_calendars`` (XSHG), from the exchange's first session on. The setting ``first_day`` says where the
graph's partitions begin.
"""

import datetime as dt
from functools import lru_cache

import numpy as np
import pandas as pd

from mg_models.data.bar_panels import month_of as month_of
from mg_models.data.bar_panels import week_of as week_of

OPENING = "1990-12-19"  # the exchange's first session
Day = dt.date | str | np.datetime64


@lru_cache(maxsize=1)
def _sessions() -> np.ndarray:
    import exchange_calendars

    return exchange_calendars.get_calendar("XSHG", start=OPENING).sessions.to_numpy().astype("datetime64[D]")


def trading_days(start: Day = OPENING, end: Day | None = None) -> np.ndarray:
    """Trading days from ``start`` to ``end``, both inclusive.

    Parameters
    ----------
    start, end : date, str or datetime64
        By default the first and the last session of the calendar.

    Returns
    -------
    ndarray of datetime64[D] (n,)
    """
    days = _sessions()
    first = np.searchsorted(days, np.datetime64(str(start), "D"))
    last = len(days) if end is None else np.searchsorted(days, np.datetime64(str(end), "D"), side="right")
    return days[first:last]


def is_trading_day(day: Day) -> bool:
    """Whether the exchange is open on ``day``."""
    return len(trading_days(day, day)) == 1


def shift(day: Day, sessions: int) -> np.datetime64:
    """The trading day ``sessions`` after ``day`` (before, where negative).

    From a closed day, 1 is the next session and -1 the last one.

    Returns
    -------
    datetime64[D]

    Raises
    ------
    ValueError
        That day is outside the calendar.
    """
    days = _sessions()
    key = np.datetime64(str(day), "D")
    at = np.searchsorted(days, key)
    if sessions > 0 and (at == len(days) or days[at] != key):
        at -= 1
    index = at + sessions
    if not 0 <= index < len(days):
        raise ValueError(f"{sessions} sessions from {day} is outside the calendar {days[0]}..{days[-1]}")
    return days[index]


def half_year_of(days: np.ndarray) -> np.ndarray:
    """First calendar day (January or July the 1st) of each day's half-year, ``datetime64[D]``."""
    months = np.asarray(days, "datetime64[D]").astype("datetime64[M]").astype("int64")
    return (months - months % 6).astype("datetime64[M]").astype("datetime64[D]")


def half_year_name(start: Day) -> str:
    """Name of a half-year by its first day: ``2017H1`` for 2017-01-01."""
    day = pd.Timestamp(str(start))
    return f"{day.year}H{1 if day.month < 7 else 2}"


def half_year_start(name: str) -> dt.date:
    """First calendar day of a half-year: 2017-01-01 for ``2017H1`` (ValueError for another form)."""
    year, _, half = name.partition("H")
    if not (year.isdigit() and half in ("1", "2")):
        raise ValueError(f"half-year was {name!r}; write it as 2017H1 or 2017H2")
    return dt.date(int(year), 1 if half == "1" else 7, 1)
