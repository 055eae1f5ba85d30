"""Any vendor's date column as ``datetime64[D]``."""

import datetime as dt
import re

import numpy as np
import pyarrow as pa

_DATE = re.compile(r"(\d{4})\D?(\d{1,2})\D?(\d{1,2})(?:[T ].*)?")


def to_date(value: object) -> np.datetime64:
    """``2008.01.02``, ``20080102``, ``2008-01-02 00:00:00``, a date; NaT where it is none."""
    if isinstance(value, dt.datetime):
        value = value.date()
    if isinstance(value, dt.date):
        return np.datetime64(value, "D")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    match = _DATE.fullmatch(str(value).strip())
    if not match:
        return np.datetime64("NaT", "D")
    try:
        return np.datetime64(dt.date(int(match[1]), int(match[2]), int(match[3])), "D")
    except ValueError:
        return np.datetime64("NaT", "D")


def dates_of(column: pa.ChunkedArray) -> np.ndarray:
    """A date column of any form, ``datetime64[D] (n,)``; NaT where a value is no date."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return column.to_numpy(zero_copy_only=False).astype("datetime64[D]")
    if not pa.types.is_dictionary(kind):
        column = column.dictionary_encode()
    out = []
    for chunk in column.chunks:
        words = [to_date(w) for w in chunk.dictionary.to_pylist()]
        table = np.array([*words, np.datetime64("NaT", "D")], "datetime64[D]")
        out.append(table[chunk.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)])
    return np.concatenate(out) if out else np.empty(0, "datetime64[D]")
