"""A partition as a suite sees it: its rows by whole symbols, its neighbours in the lake, its past."""

import datetime as dt
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mg_assets.lake.store import Lake
from mg_assets.market.schema import SCHEMAS

LISTING = ("symbol", "list_date", "delist_date", "suspended", "up_limit", "down_limit")
CACHED = 160  # partitions' summaries and small frames kept at once: the longest look-back is 101


@dataclass
class Chunk:
    """What all partitions of a run share: the lake, the keys of each table, a cache of bounded size."""

    lake: Lake
    table: str
    history: list[str]  # keys that count as the table's past, ascending
    _keys: dict[str, list[str]] = field(default_factory=dict)
    _cache: "OrderedDict[tuple, Any]" = field(default_factory=OrderedDict)

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
        """``make()``, remembered until ``CACHED`` newer things were."""
        if name in self._cache:
            self._cache.move_to_end(name)
        else:
            self._cache[name] = make()
            while len(self._cache) > CACHED:
                self._cache.popitem(last=False)
        return self._cache[name]


class View:
    """One partition of one table.

    Parameters
    ----------
    chunk : Chunk
    key : str
        The partition.
    """

    def __init__(self, chunk: Chunk, key: str):
        self.chunk = chunk
        self.key = key
        self.lake = chunk.lake
        self.table = chunk.table

    @property
    def day(self) -> dt.date:
        """The partition's date (a week's Monday, a month's first)."""
        return dt.date.fromisoformat(self.key)

    @property
    def metadata(self) -> dict:
        """What was stored with the partition."""
        return self.lake.metadata(self.table, self.key)

    def has(self, table: str) -> bool:
        """Whether another table has this partition."""
        keys = self.chunk.keys(table)
        at = int(np.searchsorted(np.array(keys, dtype=str), self.key)) if keys else 0
        return at < len(keys) and keys[at] == self.key

    def other(self, table: str, columns: Sequence[str] | None = None) -> pd.DataFrame | None:
        """Another table's small partition of the same key, or None where it is absent, empty or unsound."""
        if not self.has(table) or not sound(self.lake, table, self.key):
            return None
        frame = self.lake.day(table, self.key, columns)
        return frame if len(frame) else None

    def reference(self) -> pd.DataFrame | None:
        """The day's `LISTING` columns of the reference, dates as datetime64, or None where the lake has none."""
        return self.chunk.cached(("reference", self.key), self._reference)

    def _reference(self) -> pd.DataFrame | None:
        if not self.has("reference") or not sound(self.lake, "reference", self.key):
            return None
        part = self.lake.table("reference", self.key, LISTING)
        return part.to_pandas(date_as_object=False) if len(part) else None

    def trailing(self, count: int, summary: Callable[[Lake, str, str], Any], name: str) -> list:
        """``summary(lake, table, key)`` of the last ``count`` partitions before this one."""
        found = []
        for key in self.chunk.before(self.key, count):
            found.append(self.chunk.cached((name, key), partial(summary, self.lake, self.table, key)))
        return found


class Rows:
    """A Parquet partition read by row groups, symbols as dictionary codes."""

    def __init__(self, lake: Lake, table: str, key: str, dictionary: Sequence[str] = ("symbol",)):
        tail = lake.path(table, key).rsplit("/", 3)[1:]
        self._handle = fsspec.open("/".join([lake.root, *tail]), "rb").open()
        footer = pq.read_metadata(self._handle)
        here = [name for name in dictionary if name in footer.schema.names]
        self.file = pq.ParquetFile(self._handle, metadata=footer, read_dictionary=here)
        self.schema = self.file.schema_arrow
        self.count = self.file.metadata.num_rows

    def __enter__(self) -> "Rows":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self._handle.close()

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
        """The rows in order, no symbol split over two tables: first row's number and table.

        At most one row group and one symbol are in memory at a time.
        """
        rest: pa.Table | None = None
        row = 0
        groups = self.file.num_row_groups
        for number in range(groups):
            part = self.file.read_row_group(number, columns=list(columns))
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
        place = self.schema.names.index("symbol")
        wanted = []
        for number in range(self.file.num_row_groups):
            stats = self.file.metadata.row_group(number).column(place).statistics
            if stats is None or not stats.has_min_max or (stats.min <= last and stats.max >= first):
                wanted.append(number)
        part = self.file.read_row_groups(wanted, columns=list(columns))
        if len(wanted) == self.file.num_row_groups == 1:
            return part
        symbol = part["symbol"].cast(pa.string())
        return part.filter(pc.and_(pc.greater_equal(symbol, first), pc.less_equal(symbol, last)))


def same_type(found: pa.DataType, expected: pa.DataType) -> bool:
    """Whether a stored type serves for a promised one; text may be plain, large or a dictionary."""
    if pa.types.is_dictionary(found):
        found = found.value_type
    if pa.types.is_string(expected):
        return pa.types.is_string(found) or pa.types.is_large_string(found)
    if pa.types.is_floating(expected):
        return pa.types.is_floating(found)
    return found == expected


def sound(lake: Lake, table: str, key: str, expected: pa.Schema | None = None) -> bool:
    """Whether a neighbouring partition has its columns and types; where not, its own suite says so.

    ``expected`` is the table's schema, for tables that have none of their own in the lake.
    """
    if expected is None:
        expected = SCHEMAS["quarantine" if table.startswith("quarantine_") else table]
    with Rows(lake, table, key, ()) as rows:
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
        whole = whole.chunk(0) if whole.num_chunks else pa.array([], column.type)
    codes = pc.fill_null(whole.indices, -1).to_numpy(zero_copy_only=False)
    return frozen(codes.astype(np.int32, copy=False)), whole.dictionary.to_numpy(zero_copy_only=False)


def frozen(values: np.ndarray) -> np.ndarray:
    """A read-only view: Arrow hands out both kinds, and each mix would compile a kernel of its own."""
    values = np.ascontiguousarray(values).view()
    values.flags.writeable = False
    return values


def numbers(column: pa.ChunkedArray, missing: float = 0) -> np.ndarray:
    """A numeric, bool or time column as numpy; nulls become NaN in floats, ``missing`` elsewhere.

    Timestamps come as their integer count.
    """
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if column.null_count:
        fill = np.nan if pa.types.is_floating(column.type) else missing
        column = pc.fill_null(column, pa.scalar(fill).cast(column.type))
    return frozen(column.to_numpy())


def size(lake: Lake, table: str, key: str) -> tuple[int, int]:
    """Rows and distinct symbols of a partition; only the symbol column is read."""
    with Rows(lake, table, key) as rows:
        names = rows.schema.names
        if "symbol" not in names or not rows.count or not same_type(rows.schema.field("symbol").type, pa.string()):
            return rows.count, 0
        _, words = encode(rows.file.read(columns=["symbol"])["symbol"])
        return rows.count, len(words)
