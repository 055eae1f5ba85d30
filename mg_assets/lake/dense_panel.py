"""Columns of many partitions as dense arrays over days and symbols."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class DensePanel:
    """Values of some columns of a table as dense ``(D, S)`` arrays.

    Attributes
    ----------
    days : ndarray of str (D,)
        Partition keys, ascending.
    symbols : ndarray of str (S,)
        Ascending, or as given.
    values : dict of str to ndarray (D, S)
        NaN (False for bool columns, None for strings) where a symbol is absent that day.
    present : ndarray of bool (D, S)
        Whether the table has the row.
    """

    days: np.ndarray
    symbols: np.ndarray
    values: dict[str, np.ndarray]
    present: np.ndarray

    def __getitem__(self, column: str) -> np.ndarray:
        return self.values[column]

    def stack(self, columns: Sequence[str]) -> np.ndarray:
        """The columns as one ``(D, S, F)`` float array."""
        return np.stack([self.values[c] for c in columns], axis=-1)


def dense_panel(
    days: Sequence[str],
    parts: Sequence[tuple[str, pa.Table]],
    columns: Sequence[str],
    symbols: Sequence[str] | np.ndarray | None = None,
    dtype: type = np.float64,
) -> DensePanel:
    """Scatter the rows of partitions into arrays.

    Parameters
    ----------
    days : sequence of str
        Partition keys of the first axis, ascending.
    parts : sequence of (str, Table)
        Key and rows of those that are there, ``symbol`` and the columns.
    columns : sequence of str
    symbols : sequence of str, optional
        The second axis; by default every symbol found, ascending.
    dtype : type
        Of numeric columns.

    Returns
    -------
    DensePanel
    """
    found = dict(parts)
    if symbols is None:
        every = {s for _, part in parts for s in pc.unique(part["symbol"]).to_pylist()}
        axis = np.array(sorted(every), dtype=object)
    else:
        axis = np.asarray(symbols, dtype=object)
    index = pd.Index(axis)
    shape = (len(days), len(axis))
    present = np.zeros(shape, bool)
    values: dict[str, np.ndarray] = {}
    for row, day in enumerate(days):
        part = found.get(day)
        if part is None or not len(part):
            continue
        at = index.get_indexer(part["symbol"].to_numpy(zero_copy_only=False))
        keep = at >= 0
        present[row, at[keep]] = True
        for column in columns:
            data = part[column]
            if column not in values:
                values[column] = _blank(data.type, shape, dtype)
            values[column][row, at[keep]] = _numpy(data, values[column].dtype)[keep]
    for column in columns:
        values.setdefault(column, np.full(shape, np.nan, dtype))
    return DensePanel(np.array(days, dtype=object), axis, values, present)


def _blank(kind: pa.DataType, shape: tuple[int, int], dtype: type) -> np.ndarray:
    if pa.types.is_boolean(kind):
        return np.zeros(shape, bool)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.full(shape, None, object)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return np.full(shape, np.datetime64("NaT", "D"), "datetime64[D]")
    return np.full(shape, np.nan, dtype)


def _numpy(data: pa.ChunkedArray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "b":
        return pc.fill_null(data, False).to_numpy(zero_copy_only=False).astype(bool)
    if dtype.kind == "f":
        return data.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return data.to_numpy(zero_copy_only=False)
