"""Any vendor's dates and time stamps on the exchange's clock, Shanghai's.

A stamp with a time zone, and a count of seconds since 1970, are instants: they are moved to Shanghai's clock before
they become a date, so that midnight in Shanghai is no evening of the day before. A stamp without a zone is read as it
stands.
"""

import datetime as dt
import re
from collections.abc import Iterable
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa

SHANGHAI = ZoneInfo("Asia/Shanghai")
EPOCH = np.datetime64(0, "ms")
EPOCH_DIGITS = {10: 1000.0, 13: 1.0, 16: 1e-3, 19: 1e-6}
"""Digits of a count since 1970 and its unit in milliseconds, from 2001-09-09 to 2033-05-18."""

MEAN_TIME_MINUTES = 486
"""``+08:06`` is Shanghai's time before 1901, which pytz writes behind a clock that is Shanghai's of today."""

_DATE = re.compile(r"(\d{4})\D?(\d{1,2})\D?(\d{1,2})(?:日|\.0*)?(?:[T ]+(.*))?")
_CLOCK = re.compile(
    r"(?:(\d{1,2}):?(\d{2})?:?(\d{2})?(?:[.,]\d*)?)?\s*(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?|Asia/Shanghai|CST)?", re.I
)
_STAMP = re.compile(r"((?:19|20)\d{6})\d{4}(?:\d{2}(?:\d{3})?)?(?:\.0*)?")


def to_date(value: object) -> np.datetime64:
    """``2008.01.02``, ``20080102``, ``20080102.0``, ``2008-01-02 00:00:00+08:00``, a date; NaT where it is none."""
    if isinstance(value, dt.datetime):
        value = (value.astimezone(SHANGHAI) if value.tzinfo else value).date()
    if isinstance(value, dt.date):
        return np.datetime64(value, "D")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    counted = epoch_unit(text)
    if counted:
        return on_shanghai_clock(np.array([float(text)]) * counted)[0].astype("datetime64[D]")
    if stamp := _STAMP.fullmatch(text):
        text = stamp[1]
    match = _DATE.fullmatch(text)
    clock = _CLOCK.fullmatch(match[4] or "") if match else None
    if match is None or clock is None:
        return np.datetime64("NaT", "D")
    try:
        hour, minute, second = (int(c or 0) for c in clock.groups()[:3])
        day = dt.datetime(int(match[1]), int(match[2]), int(match[3]), hour, minute, second)
    except ValueError:
        return np.datetime64("NaT", "D")
    return np.datetime64(_zoned(day, clock[4] or "").date(), "D")


def _zoned(local: dt.datetime, zone: str) -> dt.datetime:
    """A time of a zone (``+08:00``, ``Z``; without one Shanghai's) on Shanghai's clock."""
    if zone[:1] not in ("+", "-") and zone.upper() not in ("Z", "UTC", "GMT"):
        return local
    sign = -1 if zone[0] == "-" else 1
    digits = zone.lstrip("+-").replace(":", "") if zone[0] in "+-" else "00"
    offset = dt.timedelta(hours=sign * int(digits[:2]), minutes=sign * int(digits[2:] or 0))
    if offset == dt.timedelta(minutes=MEAN_TIME_MINUTES):
        return local
    return local.replace(tzinfo=dt.timezone(offset)).astimezone(SHANGHAI)


def epoch_unit(text: str) -> float:
    """Milliseconds of the unit in which digits count since 1970; 0 where they are no such count."""
    whole, point, rest = text.partition(".")
    if whole[:1] != "1" or not whole.isdigit() or (point and not rest.isdigit() and rest):
        return 0.0
    return EPOCH_DIGITS.get(len(whole), 0.0)


def on_shanghai_clock(milliseconds: np.ndarray) -> np.ndarray:
    """Counts of milliseconds since 1970 as Shanghai's time, ``datetime64[ms] (n,)``; NaT where they are not finite."""
    good = np.isfinite(milliseconds)
    stamps = EPOCH + np.where(good, milliseconds, 0).astype("timedelta64[ms]")
    return shanghai_time(pd.DatetimeIndex(np.where(good, stamps, np.datetime64("NaT"))).tz_localize("UTC"))


def shanghai_time(stamps: pa.ChunkedArray | pd.DatetimeIndex) -> np.ndarray:
    """Time stamps as Shanghai's time, ``datetime64[ms] (n,)``.

    Parameters
    ----------
    stamps : ChunkedArray or DatetimeIndex
        Arrow timestamps or dates, or pandas ones, with a zone or without.

    Returns
    -------
    ndarray of datetime64[ms] (n,)
        Without a zone as they stand; NaT where null.
    """
    if not isinstance(stamps, pd.DatetimeIndex):
        values = stamps.to_numpy(zero_copy_only=False).astype("datetime64[ms]")
        zone = getattr(stamps.type, "tz", None)
        if zone is None:
            return values
        stamps = pd.DatetimeIndex(values).tz_localize("UTC")  # Arrow keeps a zone's stamps as UTC
    elif stamps.tz is None:
        return stamps.to_numpy().astype("datetime64[ms]")
    return stamps.tz_convert(SHANGHAI).tz_localize(None).to_numpy().astype("datetime64[ms]")


_date_of_word = lru_cache(1 << 15, typed=True)(to_date)
"""Files of one stock each repeat the same days: 5,000 of them have 12 million dates, and 2,500 different ones."""


def dates_of(column: pa.ChunkedArray) -> np.ndarray:
    """A date column of any form, ``datetime64[D] (n,)``; NaT where a value is no date."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return shanghai_time(column).astype("datetime64[D]")
    if not pa.types.is_dictionary(kind):
        column = column.dictionary_encode()
    out = []
    for chunk in column.chunks:
        words = [_date_of_word(w) for w in chunk.dictionary.to_pylist()]
        table = np.array([*words, np.datetime64("NaT", "D")], "datetime64[D]")
        out.append(table[chunk.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)])
    return np.concatenate(out) if out else np.empty(0, "datetime64[D]")


def first_text(chunks: Iterable[pa.Array]) -> str:
    """The first value that is none of null and empty, as text; empty where all are."""
    for chunk in chunks:
        for value in chunk:
            word = value.as_py()
            word = int(word) if isinstance(word, float) and word.is_integer() else word
            text = "" if word is None else str(word).strip()
            if text:
                return text
    return ""


def dates_of_parts(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Dates of whole numbers, ``datetime64[D] (n,)``; NaT where they are none (the 30th of February)."""
    start = ((year.astype(np.int64) - 1970) * 12 + month - 1).astype("datetime64[M]")
    dates = start.astype("datetime64[D]") + (day.astype(np.int64) - 1).astype("timedelta64[D]")
    good = (year >= 1900) & (year < 2200) & (month >= 1) & (month <= 12) & (day >= 1)
    return np.where(good & (dates.astype("datetime64[M]") == start), dates, np.datetime64("NaT", "D"))
