"""Invalid rows in quarantine tables: nothing is dropped silently."""

import json
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.sources.base import QUARANTINE_COLUMNS, no_quarantine


def quarantine_frame(
    table: str,
    file: str,
    rows: Sequence[int] | np.ndarray,
    reasons: Sequence[str],
    contents: Sequence[dict | str],
    symbols: Sequence[str | None] | None = None,
) -> pd.DataFrame:
    """Make a quarantine table of one file's invalid rows.

    Parameters
    ----------
    table : str
        The lake's table that the rows would have gone to.
    file : str
        File they came from.
    rows : sequence of int (n,)
        Lines of that file as an editor shows them (the first is 1); rows from 1 where it is no text.
    reasons : sequence of str (n,)
        Why each is invalid.
    contents : sequence of dict or str (n,)
        The rows themselves, written as JSON.
    symbols : sequence of str or None (n,), optional
        Null where the symbol could not be read.

    Returns
    -------
    DataFrame
        Columns ``QUARANTINE_COLUMNS``, one row each.
    """
    if not len(rows):
        return no_quarantine()
    text = [json.dumps(c if isinstance(c, dict) else {"line": c}, default=str, ensure_ascii=False) for c in contents]
    return pd.DataFrame(
        {
            "table": pd.Series([table] * len(rows), dtype="str"),
            "symbol": pd.Series(list(symbols) if symbols is not None else [None] * len(rows), dtype="str"),
            "file": pd.Series([file] * len(rows), dtype="str"),
            "row": np.asarray(rows, dtype="int64"),
            "reason": pd.Series(list(reasons), dtype="str"),
            "content": pd.Series(text, dtype="str"),
        }
    )


def merge_quarantines(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Several quarantine tables as one."""
    kept = [f for f in frames if len(f)]
    if not kept:
        return no_quarantine()
    return pd.concat(kept, ignore_index=True)[list(QUARANTINE_COLUMNS)]


def first_reason(count: int, checks: Sequence[tuple[np.ndarray, str]]) -> tuple[np.ndarray, np.ndarray]:
    """The first failed check of each row.

    Parameters
    ----------
    count : int
        Rows.
    checks : sequence of (ndarray of bool (count,), str)
        Mask of the rows that fail, and the reason.

    Returns
    -------
    bad : ndarray of bool (count,)
    which : ndarray of int16 (count,)
        Index into ``checks``; -1 where the row is good.
    """
    which = np.full(count, -1, np.int16)
    for index, (mask, _) in enumerate(checks):
        if mask.any():
            which[mask & (which < 0)] = index
    return which >= 0, which


def date_as_written(date: np.datetime64, text: pa.ChunkedArray | None, at: int) -> str | None:
    """The date of a row, or what stood in the file where that is no date; None where nothing stood there."""
    if not np.isnat(date):
        return str(date)
    value = None if text is None else text[at].as_py()
    return None if value is None else str(value)


def contents_of(table: pa.Table, rows: np.ndarray) -> list[dict]:
    """The given rows of an Arrow table as dicts."""
    return table.take(pa.array(rows, pa.int64())).to_pylist()
