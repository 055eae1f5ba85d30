"""Read access to one partition for quality suites: rows by whole symbols, other tables of the day, earlier days."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from cachetools import LRUCache

from mg_assets.lake.parquet_layout import groups_between
from mg_assets.lake.store import Lake
from mg_assets.market.schema import SCHEMAS

LISTING = ("symbol", "list_date", "delist_date", "suspended", "up_limit", "down_limit")
CACHED = 160  # summaries of partitions and small frames; the longest look-back is 101 partitions


@dataclass
class SuiteRun:
    """Shared by all partitions of a run: the lake, the keys of each table, a cache of bounded size."""

    lake: Lake
    table: str
    history: list[str]  # keys that count as the table's past, ascending
    light: bool = False  # leave out what computes again or reads months of a table
    _keys: dict[str, list[str]] = field(default_factory=dict)
    _cache: LRUCache = field(default_factory=lambda: LRUCache(CACHED))

    def keys(self, table: str) -> list[str]:
        """Keys of a table as they were when the run began."""
        if table not in self._keys:
            self._keys[table] = self.lake.keys(table)
        return self._keys[table]

    def before(self, key: str, count: int) -> list[str]:
        """The last ``count`` keys of this table's history before ``key``."""
        at = int(np.searchsorted(np.array(self.history, dtype=str), key)) if self.history else 0
        return self.history[max(0, at - count) : at]

    def cached(self, name: tuple, make: Callable[[], Any]) -> Any:
        """``make()``, cached; the least recently used of ``CACHED`` entries is dropped."""
        if name not in self._cache:
            self._cache[name] = make()
        return self._cache[name]


class View:
    """One partition of one table.

    Parameters
    ----------
    run : SuiteRun
    key : str
        The partition.
    """

    def __init__(self, run: SuiteRun, key: str):
        self.run = run
        self.key = key
        self.lake = run.lake
        self.table = run.table

    @property
    def day(self) -> dt.date:
        """The partition's date (a week's Monday, a month's first)."""
        return dt.date.fromisoformat(self.key)

    @property
    def metadata(self) -> dict:
        """The metadata stored with the partition."""
        return self.lake.metadata(self.table, self.key)

    def has(self, table: str) -> bool:
        """Whether another table has this partition."""
        keys = self.run.keys(table)
        at = int(np.searchsorted(np.array(keys, dtype=str), self.key)) if keys else 0
        return at < len(keys) and keys[at] == self.key

    def other(self, table: str, columns: Sequence[str] | None = None) -> pd.DataFrame | None:
        """Another table's small partition of the same key, or None where it is absent, empty or not of its schema."""
        if not self.has(table) or not fits_schema(self.lake, table, self.key):
            return None
        frame = self.lake.day(table, self.key, columns)
        return frame if len(frame) else None

    def reference(self) -> pd.DataFrame | None:
        """The day's `LISTING` columns of the reference, dates as datetime64, or None where the lake has none."""
        return self.run.cached(("reference", self.key), self._reference)

    def _reference(self) -> pd.DataFrame | None:
        if not self.has("reference") or not fits_schema(self.lake, "reference", self.key):
            return None
        part = self.lake.table("reference", self.key, LISTING)
        return part.to_pandas(date_as_object=False) if len(part) else None

    def trailing(self, count: int, summary: Callable[[Lake, str, str], Any], name: str) -> list:
        """``summary(lake, table, key)`` of the last ``count`` partitions before this one."""
        found = []
        for key in self.run.before(self.key, count):
            found.append(self.run.cached((name, key), partial(summary, self.lake, self.table, key)))
        return found


class PartitionReader:
    """A Parquet partition read by row groups, symbols as dictionary codes."""

    def __init__(self, lake: Lake, table: str, key: str, dictionary: Sequence[str] = ("symbol",)):
        self.file = lake.opened(table, key, dictionary)
        self.schema = self.file.schema
        self.count = self.file.parquet.num_rows

    def __enter__(self) -> "PartitionReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
        """The rows in order as tables that hold whole symbols; at most a row group and a symbol are in memory.

        Yields
        ------
        tuple of int and Table
            Number of the table's first row, and the table.
        """
        rest: pa.Table | None = None
        row = 0
        groups = self.file.parquet.num_row_groups
        for number in range(groups):
            part = self.file.read_row_groups([number], columns)
            if rest is not None and len(rest):
                part = pa.concat_tables([rest, part])
            if number + 1 < groups:
                cut = _last_symbol(part)
                part, rest = part.slice(0, cut), part.slice(cut)
            if len(part):
                yield row, part
                row += len(part)

    def between(self, first: str, last: str, columns: Sequence[str]) -> pa.Table:
        """Rows of the symbols from ``first`` to ``last``, read from the row groups that may hold them."""
        wanted = groups_between(self.file.parquet, first, last)
        part = self.file.read_row_groups(wanted, columns)
        if len(wanted) == self.file.parquet.num_row_groups == 1:
            return part
        symbol = part["symbol"].cast(pa.string())
        return part.filter(pc.and_(pc.greater_equal(symbol, first), pc.less_equal(symbol, last)))


def same_type(found: pa.DataType, expected: pa.DataType) -> bool:
    """Whether a stored type satisfies the schema's; text may be plain, large or a dictionary."""
    if pa.types.is_dictionary(found):
        found = found.value_type
    if pa.types.is_string(expected):
        return pa.types.is_string(found) or pa.types.is_large_string(found)
    if pa.types.is_floating(expected):
        return pa.types.is_floating(found)
    return found == expected


def fits_schema(lake: Lake, table: str, key: str, expected: pa.Schema | None = None) -> bool:
    """Whether a partition has its schema's columns and types; where not, its own suite reports it.

    Parameters
    ----------
    lake : Lake
    table, key : str
    expected : Schema, optional
        By default the lake's schema of the table.

    Returns
    -------
    bool
    """
    if expected is None:
        expected = SCHEMAS["quarantine" if table.startswith("quarantine_") else table]
    with PartitionReader(lake, table, key, ()) as rows:
        names = rows.schema.names
        return all(
            f.name in names and (not rows.count or same_type(rows.schema.field(f.name).type, f.type)) for f in expected
        )


def _last_symbol(part: pa.Table) -> int:
    """Row at which the last symbol begins."""
    codes, _ = encode(part["symbol"])
    change = np.flatnonzero(codes[1:] != codes[:-1])
    return int(change[-1]) + 1 if len(change) else 0


def encode(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Dictionary codes ``int32 (N,)`` (-1 for null) and the words of a string column."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # no rows at all
        whole = whole.run(0) if whole.num_chunks else pa.array([], column.type)
    codes = pc.fill_null(whole.indices, -1).to_numpy(zero_copy_only=False)
    return frozen(codes.astype(np.int32, copy=False)), whole.dictionary.to_numpy(zero_copy_only=False)


def frozen(values: np.ndarray) -> np.ndarray:
    """A read-only view: Arrow hands out both kinds, and each mix would compile a kernel of its own."""
    values = np.ascontiguousarray(values).view()
    values.flags.writeable = False
    return values


def numbers(column: pa.ChunkedArray, missing: float = 0) -> np.ndarray:
    """A numeric, bool or time (as integers) column as numpy; nulls become NaN in floats, ``missing`` elsewhere."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if column.null_count:
        fill = np.nan if pa.types.is_floating(column.type) else missing
        column = pc.fill_null(column, pa.scalar(fill).cast(column.type))
    return frozen(column.to_numpy())


def size(lake: Lake, table: str, key: str) -> tuple[int, int]:
    """Rows and distinct symbols of a partition; only the symbol column is read."""
    with PartitionReader(lake, table, key) as rows:
        names = rows.schema.names
        if "symbol" not in names or not rows.count or not same_type(rows.schema.field("symbol").type, pa.string()):
            return rows.count, 0
        _, words = encode(rows.file.read(["symbol"])["symbol"])
        return rows.count, len(words)
