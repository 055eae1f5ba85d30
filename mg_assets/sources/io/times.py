"""Exchange times of any vendor's form, as milliseconds of the day.

Forms: ``09:15:00.020``, ``2023.02.01T09:15:00.040``, ``2023-02-01 09:15:00``, ``2023/2/1 9:15``,
``2023-02-01T01:15:00Z``, ``20230201091500020``, ``2023020109150002`` (hundredths), ``91500020`` (HMMSSmmm),
``93100`` (HMMSS), ``93100.02``, ``931`` (HMM), ``202302010931``, ``20230201 093100``, counts of seconds,
milliseconds, micro- or nanoseconds since 1970, Arrow times and timestamps. A time with a zone, and a count, are
moved to Shanghai's clock.

Arrow parses one fixed form, without fractions of a second, and pandas took 4 s for a million clock times (0.04 s here).
"""

import datetime as dt

import numpy as np
import pyarrow as pa

from mg_assets.sources.io import dates as day_stamps
from mg_assets.sources.io.dates import (
    EPOCH,
    MEAN_TIME_MINUTES,
    epoch_unit,
    first_text,
    on_shanghai_clock,
    shanghai_time,
)
from mg_models.kernel_cache import cached_njit

UNREADABLE = -1
"""Milliseconds of a text that is no time."""
OTHER_DAY = -2
"""Milliseconds of a time that carries another day's date."""

BLANK, QUOTE, PLUS, MINUS, POINT, ZERO, COLON, T, Z = 32, 34, 43, 45, 46, 48, 58, 84, 90  # ASCII
SEPARATORS = (45, 46, 47, 32, 84)  # - . / blank T, between a date's parts and before the clock
DAY_MS = 86_400_000
SHANGHAI_MINUTES = 480  # before Greenwich
NO_ZONE, BAD_ZONE = 10_000, 20_000
SESSION_MS = (9 * 3_600_000, 16 * 3_600_000)

kernel = cached_njit(__file__, day_stamps.__file__)
"""``numba.njit(cache=True)`` for this file, which takes a constant from the other."""


def milliseconds_of_day(column: pa.ChunkedArray, day: dt.date) -> np.ndarray:
    """Milliseconds since midnight, ``int64 (n,)``; ``UNREADABLE`` or ``OTHER_DAY`` where it fails."""
    dates, values = days_and_milliseconds(column)
    number = day.year * 10_000 + day.month * 100 + day.day
    return np.where((dates != 0) & (dates != number) & (values >= 0), OTHER_DAY, values)


def days_and_milliseconds(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Date as a number (20230201; 0 where there is none) and milliseconds of the day in Shanghai, ``int64 (n,)``."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _split(shanghai_time(column))
    if pa.types.is_time(kind):
        micro = column.cast(pa.time64("us")).cast(pa.int64())
        values = micro.fill_null(UNREADABLE * 1000).to_numpy() // 1000
        return np.zeros(len(values), np.int64), values
    unit = epoch_unit(first_text(column.chunks))  # one form a column
    if unit:
        return _split(_counted(column, unit))
    if pa.types.is_floating(kind):
        column = column.cast(pa.int64(), safe=False)
    parts = [_text(chunk) for chunk in column.cast(pa.string()).chunks]
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _split(stamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dates as numbers and milliseconds of the day of ``datetime64[ms]``."""
    days = stamps.astype("datetime64[D]")
    return day_number(days), np.where(np.isnat(stamps), UNREADABLE, (stamps - days).astype(np.int64))


def _counted(column: pa.ChunkedArray, unit: float) -> np.ndarray:
    """Counts since 1970 as Shanghai's time, ``datetime64[ms] (n,)``."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        counts = column.to_numpy(zero_copy_only=False).astype(np.float64)
    else:
        counts = column.cast(pa.string()).to_pandas().map(_float).to_numpy(np.float64)
    milliseconds = np.rint(counts * unit)
    clock = milliseconds[np.isfinite(milliseconds)] % DAY_MS
    # a table that lost its zone counts from Shanghai's own 1970: its times lie in the session as they stand
    as_it_stands = np.mean((clock >= SESSION_MS[0]) & (clock < SESSION_MS[1])) > 0.5 if len(clock) else False
    if not as_it_stands:
        return on_shanghai_clock(milliseconds)
    good = np.isfinite(milliseconds)
    return np.where(good, EPOCH + np.where(good, milliseconds, 0).astype("timedelta64[ms]"), np.datetime64("NaT"))


def _float(text: object) -> float:
    word = str(text).strip()
    return float(word) if epoch_unit(word) else np.nan


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


def _text(chunk: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    _, offsets, data = chunk.buffers()
    starts = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    raw = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    dates, values = np.zeros(len(chunk), np.int64), np.empty(len(chunk), np.int64)
    _parse_times(raw, starts, dates, values)
    return dates, values  # a null has no characters and so is unreadable


@kernel()
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


@kernel()
def _read_digits(raw, low, high):
    """Date and milliseconds of a text without a colon: digits alone, with decimals, or with a date apart."""
    number = _number(raw, low, high)
    if number >= 0:
        return _read_number(number, high - low, 0)
    date, begin, point = 0, low, high
    for j in range(low, high):
        if raw[j] == BLANK or raw[j] == T:  # ``20230201 093100``
            date, begin = _date_before(raw, low, j), j + 1
            if date <= 0:
                return 0, UNREADABLE
        elif raw[j] == POINT:
            point = j
    number, milli = _number(raw, begin, max(point, begin)), 0
    if point < high:
        milli = _fraction(raw, point + 1, high)
    if number < 0 or milli < 0 or (milli > 0 and point - begin not in (5, 6, 14)):
        return 0, UNREADABLE
    found, value = _read_number(number, max(point, begin) - begin, milli)
    return (date if date > 0 else found), value


@kernel()
def _read_number(number, size, milli):
    """Date and milliseconds of so many digits: their count says which form they have."""
    date = 0
    if size > 18:
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


@kernel()
def _read_clock(raw, low, colon, high):
    """Date and milliseconds of ``[date]H:MM[:SS[.fraction]][zone]``; ``colon`` is the position of the first one."""
    at = colon
    while at > low and _is_digit(raw[at - 1]):
        at -= 1
    if colon - at < 1 or colon - at > 2:
        return 0, UNREADABLE
    date = _date_before(raw, low, at)
    end = high
    while end > colon and not _is_digit(raw[end - 1]):  # ``Z``
        end -= 1
    for j in range(colon + 3, end):
        if raw[j] == PLUS or raw[j] == MINUS:
            end = j
            break
    while end > colon and raw[end - 1] == BLANK:
        end -= 1
    hour, minute, second, milli = _number(raw, at, colon), _two_digits(raw, colon + 1, end), 0, 0
    at = colon + 3
    if at < end:
        second = _two_digits(raw, at + 1, end) if raw[at] == COLON else -1
        at += 3
    if at < end:
        milli = _fraction(raw, at + 1, end) if raw[at] == POINT else -1
    if date < 0 or milli < 0:
        return 0, UNREADABLE
    value = _milliseconds(hour, minute, second, milli)
    if end == high or value == UNREADABLE:
        return date, value
    zone = _zone(raw, end, high)
    if zone == NO_ZONE:
        return date, value
    value += (SHANGHAI_MINUTES - zone) * 60_000
    if zone == BAD_ZONE or (date == 0 and not 0 <= value < DAY_MS):
        return 0, UNREADABLE
    return (_moved(date, value // DAY_MS), value % DAY_MS) if date else (0, value)


@kernel()
def _zone(raw, low, high):
    """Minutes that a zone is ahead of Greenwich: ``Z``, ``+08:00``, ``+0800``, ``-05``."""
    while low < high and raw[low] == BLANK:
        low += 1
    if low == high:
        return NO_ZONE
    if raw[low] == Z:
        return 0 if low + 1 == high else BAD_ZONE
    if raw[low] != PLUS and raw[low] != MINUS:
        return BAD_ZONE
    hours, at, minutes = _two_digits(raw, low + 1, high), low + 3, 0
    if at < high:
        at += raw[at] == COLON
        minutes = _two_digits(raw, at, high) if at + 2 == high else -1
    if not (0 <= hours <= 14 and 0 <= minutes <= 59):
        return BAD_ZONE
    zone = (hours * 60 + minutes) * (1 if raw[low] == PLUS else -1)
    return SHANGHAI_MINUTES if zone == MEAN_TIME_MINUTES else zone


@kernel()
def _moved(date, days):
    """A date as a number, one day earlier or later."""
    if days == 0:
        return date
    year, month, day = date // 10_000, date // 100 % 100, date % 100 + days
    if day < 1:
        month -= 1
        if month < 1:
            year, month = year - 1, 12
        day = _length(year, month)
    elif day > _length(year, month):
        month, day = month + 1, 1
        if month > 12:
            year, month = year + 1, 1
    return year * 10_000 + month * 100 + day


@kernel()
def _length(year, month):
    """Days of a month."""
    if month == 2:
        return 28 + (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))
    return 30 if month in (4, 6, 9, 11) else 31


@kernel()
def _date_before(raw, low, high):
    """The date of eight digits with any of ``- . / blank T`` among them, or in parts; 0 of no text, -1 of any other."""
    date, digits = 0, 0
    for j in range(low, high):
        if _is_digit(raw[j]):
            date = date * 10 + (raw[j] - ZERO)
            digits += 1
        elif raw[j] not in SEPARATORS and raw[j] < 128:
            return -1
    if digits == 8 or low == high:
        return date
    return _parted_date(raw, low, high) if 5 < digits < 8 else -1


@kernel()
def _parted_date(raw, low, high):
    """The date of year, month and day apart, ``2023/2/1``; -1 of others."""
    date, parts, size = 0, 0, 0
    for j in range(low, high + 1):
        if j < high and _is_digit(raw[j]):
            date = date * 10 + (raw[j] - ZERO)
            size += 1
            continue
        if size == 1:  # a month or a day without its zero
            date = date // 10 * 100 + date % 10
        parts += size > 0
        size = 0
    return date if parts == 3 and 10_000_000 <= date < 100_000_000 else -1


@kernel()
def _milliseconds(hour, minute, second, milli):
    """Milliseconds of the day; ``UNREADABLE`` where a part is negative or beyond its range."""
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        return UNREADABLE
    return ((hour * 60 + minute) * 60 + second) * 1000 + milli


@kernel()
def _number(raw, low, high):
    """The digits of a text as a number; -1 where there are none or other characters."""
    number = 0 if low < high else -1
    for j in range(low, high):
        if not _is_digit(raw[j]):
            return -1
        number = number * 10 + (raw[j] - ZERO)
    return number


@kernel()
def _two_digits(raw, at, high):
    """The number of the two digits at a position; -1 where they are not both digits."""
    return _number(raw, at, at + 2) if at + 2 <= high else -1


@kernel()
def _fraction(raw, low, high):
    """Milliseconds of a second's decimals, cut after the third; -1 where they are not all digits."""
    milli, weight = 0, 100
    for j in range(low, high):
        if not _is_digit(raw[j]):
            return -1
        milli += weight * (raw[j] - ZERO)
        weight //= 10
    return milli


@kernel()
def _is_digit(character):
    return 48 <= character <= 57
