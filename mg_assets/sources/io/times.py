"""Exchange times of any vendor's form, as milliseconds of the day.

Forms: ``09:15:00.020``, ``2023.02.01T09:15:00.040``, ``2023-02-01 09:15:00``, ``20230201091500020``,
``2023020109150002`` (hundredths), ``91500020`` (HMMSSmmm), ``93100`` (HMMSS), ``931`` (HMM),
``202302010931``, Arrow times and timestamps.

Arrow parses one fixed form, without fractions of a second, and pandas took 4 s for a million clock times (0.04 s here).
"""

import datetime as dt

import numba
import numpy as np
import pyarrow as pa

UNREADABLE = -1
"""Milliseconds of a text that is no time."""
OTHER_DAY = -2
"""Milliseconds of a time that carries another day's date."""

BLANK, QUOTE, POINT, ZERO, COLON = 32, 34, 46, 48, 58  # ASCII
SEPARATORS = (45, 46, 47, 32, 84)  # - . / blank T, between a date's parts and before the clock


def milliseconds_of_day(column: pa.ChunkedArray, day: dt.date) -> np.ndarray:
    """Milliseconds since midnight, ``int64 (n,)``; ``UNREADABLE`` or ``OTHER_DAY`` where it fails."""
    kind = column.type
    parts = [_chunk(chunk, kind, day) for chunk in column.chunks]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def days_and_milliseconds(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Date as a number (20230201; 0 where the text has none) and milliseconds, ``int64 (n,)`` each."""
    if pa.types.is_timestamp(column.type):
        stamps = column.cast(pa.timestamp("ms")).to_numpy(zero_copy_only=False).astype("datetime64[ms]")
        days = stamps.astype("datetime64[D]")
        return day_number(days), np.where(np.isnat(stamps), UNREADABLE, (stamps - days).astype(np.int64))
    parts = [_text(chunk) for chunk in column.cast(pa.string()).chunks]
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def day_number(days: np.ndarray) -> np.ndarray:
    """20230201 for 2023-02-01; 0 for a missing date."""
    months = days.astype("datetime64[M]")
    years = days.astype("datetime64[Y]")
    number = (
        (years.astype(np.int64) + 1970) * 10_000
        + ((months - years).astype(np.int64) + 1) * 100
        + (days - months).astype(np.int64)
        + 1
    )
    return np.where(np.isnat(days), 0, number)


def _chunk(chunk: pa.Array, kind: pa.DataType, day: dt.date) -> np.ndarray:
    if pa.types.is_timestamp(kind):
        dates, values = days_and_milliseconds(pa.chunked_array([chunk]))
        return _same_day(dates, values, day)
    if pa.types.is_time(kind):
        micro = chunk.cast(pa.time64("us")).cast(pa.int64())
        return micro.fill_null(UNREADABLE * 1000).to_numpy(zero_copy_only=False) // 1000
    if pa.types.is_floating(kind):
        chunk = chunk.cast(pa.int64(), safe=False)
    dates, values = _text(chunk.cast(pa.string()))
    return _same_day(dates, values, day)


def _same_day(dates: np.ndarray, values: np.ndarray, day: dt.date) -> np.ndarray:
    number = day.year * 10_000 + day.month * 100 + day.day
    return np.where((dates != 0) & (dates != number) & (values >= 0), OTHER_DAY, values)


def _text(chunk: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    _, offsets, data = chunk.buffers()
    starts = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    raw = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    dates, values = np.zeros(len(chunk), np.int64), np.empty(len(chunk), np.int64)
    _parse_times(raw, starts, dates, values)
    return dates, values  # a null has no characters and so is unreadable


@numba.njit(cache=True)
def _parse_times(raw, starts, dates, values):
    """Dates (as numbers; 0 where there is none) and milliseconds of the texts ``raw[starts[i]:starts[i + 1]]``."""
    for i in range(len(values)):
        low, high = starts[i], starts[i + 1]
        while low < high and (raw[low] == BLANK or raw[low] == QUOTE):
            low += 1
        while high > low and (raw[high - 1] == BLANK or raw[high - 1] == QUOTE):
            high -= 1
        colon = low
        while colon < high and raw[colon] != COLON:
            colon += 1
        date, value = _read_digits(raw, low, high) if colon == high else _read_clock(raw, low, colon, high)
        values[i] = value
        if value != UNREADABLE:
            dates[i] = date


@numba.njit(cache=True)
def _read_digits(raw, low, high):
    """Date and milliseconds of digits alone: their count says which form they have."""
    size = high - low
    if size > 18:
        return 0, UNREADABLE
    number, milli, date = _number(raw, low, high), 0, 0
    if number < 0:
        return 0, UNREADABLE
    if size == 16:  # hundredths of a second
        number *= 10
        size = 17
    if size == 17 or size == 14 or size == 12:
        scale = 1_000_000_000 if size == 17 else 1_000_000 if size == 14 else 10_000
        date, number = number // scale, number % scale
    elif size not in (3, 4, 5, 6, 8, 9):
        return 0, UNREADABLE
    if size in (17, 8, 9):
        number, milli = number // 1000, number % 1000
    elif size in (3, 4, 12):  # no seconds
        number *= 100
    return date, _milliseconds(number // 10_000, number // 100 % 100, number % 100, milli)


@numba.njit(cache=True)
def _read_clock(raw, low, colon, high):
    """Date and milliseconds of ``[date]H:MM[:SS[.fraction]]``; ``colon`` is the position of the first one."""
    at = colon
    while at > low and _is_digit(raw[at - 1]):
        at -= 1
    if colon - at < 1 or colon - at > 2:
        return 0, UNREADABLE
    date = _date_before(raw, low, at)
    hour, minute, second, milli = _number(raw, at, colon), _two_digits(raw, colon + 1, high), 0, 0
    at = colon + 3
    if at < high:
        second = _two_digits(raw, at + 1, high) if raw[at] == COLON else -1
        at += 3
    if at < high:
        milli = _fraction(raw, at + 1, high) if raw[at] == POINT else -1
    if date < 0 or milli < 0:
        return 0, UNREADABLE
    return date, _milliseconds(hour, minute, second, milli)


@numba.njit(cache=True)
def _date_before(raw, low, high):
    """The date of eight digits with any of ``- . / blank T`` among them; 0 of an empty text, -1 of any other."""
    date, digits = 0, 0
    for j in range(low, high):
        if _is_digit(raw[j]):
            date = date * 10 + (raw[j] - ZERO)
            digits += 1
        elif raw[j] not in SEPARATORS:
            return -1
    return date if digits == 8 or low == high else -1


@numba.njit(cache=True)
def _milliseconds(hour, minute, second, milli):
    """Milliseconds of the day; ``UNREADABLE`` where a part is negative or beyond its range."""
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        return UNREADABLE
    return ((hour * 60 + minute) * 60 + second) * 1000 + milli


@numba.njit(cache=True)
def _number(raw, low, high):
    """The digits of a text as a number; -1 where there are none or other characters."""
    number = 0 if low < high else -1
    for j in range(low, high):
        if not _is_digit(raw[j]):
            return -1
        number = number * 10 + (raw[j] - ZERO)
    return number


@numba.njit(cache=True)
def _two_digits(raw, at, high):
    """The number of the two digits at a position; -1 where they are not both digits."""
    return _number(raw, at, at + 2) if at + 2 <= high else -1


@numba.njit(cache=True)
def _fraction(raw, low, high):
    """Milliseconds of a second's decimals, cut after the third; -1 where they are not all digits."""
    milli, weight = 0, 100
    for j in range(low, high):
        if not _is_digit(raw[j]):
            return -1
        milli += weight * (raw[j] - ZERO)
        weight //= 10
    return milli


@numba.njit(cache=True)
def _is_digit(character):
    return 48 <= character <= 57
