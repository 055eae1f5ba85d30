"""Exchange times of any vendor's form, as milliseconds of the day.

Forms: ``09:15:00.020``, ``2023.02.01T09:15:00.040``, ``2023-02-01 09:15:00``, ``20230201091500020``,
``2023020109150002`` (hundredths), ``91500020`` (HMMSSmmm), ``93100`` (HMMSS), ``931`` (HMM),
``202302010931``, Arrow times and timestamps.
"""

import datetime as dt

import numba
import numpy as np
import pyarrow as pa

UNREADABLE = -1
"""Milliseconds of a text that is no time."""
OTHER_DAY = -2
"""Milliseconds of a time that carries another day's date."""

DAY_MS = 86_400_000


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
    for i in range(len(values)):
        values[i] = UNREADABLE
        low, high = starts[i], starts[i + 1]
        while low < high and (raw[low] == 32 or raw[low] == 34):  # blanks and quotes
            low += 1
        while high > low and (raw[high - 1] == 32 or raw[high - 1] == 34):
            high -= 1
        colon = -1
        for j in range(low, high):
            if raw[j] == 58:
                colon = j
                break
        date, hour, minute, second, milli = 0, -1, -1, 0, 0
        if colon < 0:  # digits only
            size = high - low
            number = 0
            clean = size > 0
            for j in range(low, high):
                if raw[j] < 48 or raw[j] > 57:
                    clean = False
                    break
                number = number * 10 + (raw[j] - 48)
            if not clean or size > 18:
                continue
            if size == 16:  # hundredths of a second
                number *= 10
                size = 17
            if size == 17 or size == 14 or size == 12:
                scale = 1_000_000_000 if size == 17 else 1_000_000 if size == 14 else 10_000
                date = number // scale
                number = number % scale
            elif size not in (3, 4, 5, 6, 8, 9):
                continue
            if size in (17, 8, 9):
                milli = number % 1000
                number //= 1000
            if size in (3, 4, 12):
                number *= 100
            second = number % 100
            minute = number // 100 % 100
            hour = number // 10_000
        else:
            at = colon
            while at > low and raw[at - 1] >= 48 and raw[at - 1] <= 57:
                at -= 1
            if colon - at < 1 or colon - at > 2:
                continue
            hour = 0
            for j in range(at, colon):
                hour = hour * 10 + (raw[j] - 48)
            digits = 0
            clean = True
            for j in range(low, at):  # the date before it
                if raw[j] >= 48 and raw[j] <= 57:
                    date = date * 10 + (raw[j] - 48)
                    digits += 1
                elif raw[j] not in (45, 46, 47, 32, 84):  # - . / blank T
                    clean = False
            if not clean or (digits != 8 and low != at):
                continue
            minute, used = _two(raw, colon + 1, high)
            if used != 2:
                continue
            at = colon + 3
            if at < high:
                if raw[at] != 58:
                    continue
                second, used = _two(raw, at + 1, high)
                if used != 2:
                    continue
                at += 3
            if at < high:
                if raw[at] != 46:
                    continue
                weight = 100
                for j in range(at + 1, high):
                    if raw[j] < 48 or raw[j] > 57:
                        clean = False
                        break
                    milli += weight * (raw[j] - 48)
                    weight //= 10
                if not clean:
                    continue
        if hour > 23 or minute > 59 or second > 59 or hour < 0 or minute < 0:
            continue
        dates[i] = date
        values[i] = ((hour * 60 + minute) * 60 + second) * 1000 + milli


@numba.njit(cache=True)
def _two(raw, at, high):
    """The number of up to two digits at a place, and how many there were."""
    number, used = 0, 0
    while used < 2 and at + used < high and raw[at + used] >= 48 and raw[at + used] <= 57:
        number = number * 10 + (raw[at + used] - 48)
        used += 1
    return number, used
