"""Between Arrow batches and the compiled scans: arguments of a scan, and its marks as measures."""

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.lake.table_view import View, numbers
from mg_assets.market.sessions import LIMIT_COLUMNS
from mg_assets.quality.suite import Measures


def day_limits(view: View, measures: Measures, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Limits of the day by symbol code; NaN where the reference has none."""
    reference = view.reference()
    if reference is None:
        measures.notes.append("price limits: no reference that day")
        return np.full(len(words), np.nan), np.full(len(words), np.nan)
    at = pd.Index(reference["symbol"]).get_indexer(words)
    up, down = (np.where(at >= 0, reference[c].to_numpy(np.float64)[at], np.nan) for c in LIMIT_COLUMNS)
    return up, down


def unsorted_symbols(
    measures: Measures, codes: np.ndarray, words: np.ndarray, offset: int, last: str | None
) -> np.ndarray:
    """Symbols of the batch in order of rows; counts those that do not ascend."""
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    met = np.where(codes[starts] >= 0, words[codes[starts]] if len(words) else "", "").astype(object)
    before = np.r_[np.array([last], object), met[:-1]]
    bad = np.array([b is not None and m <= b for b, m in zip(before, met, strict=True)])
    measures.add("unsorted", int(np.count_nonzero(bad)))
    for at in np.flatnonzero(bad)[:3]:
        measures.examples.setdefault("unsorted", []).append({"row": int(starts[at]) + offset + 1, "symbol": met[at]})
    return met


def keep_marks(measures: Measures, rules: tuple[str, ...], found: np.ndarray, part: pa.Table, offset: int) -> None:
    """Move a kernel's counts and first rows into the measures."""
    for rule, row in zip(rules, found, strict=True):
        measures.add(rule, row[0])
        if row[0]:
            measures.example(rule, row[1:][row[1:] >= 0], offset, **{c: part[c] for c in part.column_names})


def since_midnight(view: View, part: pa.Table) -> np.ndarray:
    """Milliseconds since the midnight of the partition's day, ``int64 (N,)``."""
    return numbers(part["time"]) - np.datetime64(view.key, "ms").astype(np.int64)
