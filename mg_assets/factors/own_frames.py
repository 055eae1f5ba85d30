"""The rows that a factor of one's own is given of a day, from a lake."""

from threading import Lock
from typing import Protocol

import numpy as np
import pyarrow as pa
from cachetools import LRUCache

from mg_assets.factors.granular import GRANULARITIES, column_names
from mg_assets.factors.own import Factor
from mg_assets.factors.registry import PUBLISHED_TABLES
from mg_assets.market.calendar import shift, trading_days
from mg_assets.market.schema import SCHEMAS


class Tables(Protocol):
    """What is read of a lake."""

    def has(self, table: str, key: str) -> bool:
        """Whether the partition exists."""
        ...

    def table(self, table: str, key: str, columns: list[str] | None = None) -> pa.Table:
        """Rows of a partition."""
        ...


class FactorReader:
    """Reads the frames of a factor's days; of a window, each day once.

    Parameters
    ----------
    lake : Lake
    factor : Factor
    days_at_once : int
        Days whose windows are read at the same time.
    """

    def __init__(self, lake: Tables, factor: Factor, days_at_once: int = 1):
        self._lake, self._factor = lake, factor
        self._read: LRUCache = LRUCache((factor.days + days_at_once) * len(factor.tables))
        self._lock = Lock()

    def tables(self, key: str) -> dict[str, pa.Table]:
        """Rows of each table on a day, or in the window that ends on it with a column ``date``."""
        return {table: self._table(table, key) for table in self._factor.tables}

    def symbols(self, key: str) -> np.ndarray | None:
        """The day's stocks: those of the factor's first table; None where its frames hold that day alone."""
        if self._factor.days == 1:
            return None
        return self._part(self._factor.tables[0], key)["symbol"].to_numpy(zero_copy_only=False)

    def _table(self, table: str, key: str) -> pa.Table:
        if self._factor.days == 1:
            return self._of_lake(table, key)
        days = trading_days(shift(key, 1 - self._factor.days), key).astype("datetime64[s]")
        parts = [(day, self._part(table, str(day)[:10])) for day in days]
        dated = [part.add_column(0, "date", pa.array(np.full(len(part), day))) for day, part in parts]
        return pa.concat_tables(dated, promote_options="permissive").unify_dictionaries()

    def _part(self, table: str, key: str) -> pa.Table:
        with self._lock:
            if (table, key) in self._read:
                return self._read[table, key]
        part = self._of_lake(table, key)
        with self._lock:
            self._read[table, key] = part
        return part

    def _of_lake(self, table: str, key: str) -> pa.Table:
        """A partition; without rows where the lake has none."""
        named = self._factor.columns.get(table)
        if self._lake.has(table, key):
            return self._lake.table(table, key, None if named is None else list(named))
        return schema_of(table).empty_table().select(named or schema_of(table).names)


def schema_of(table: str) -> pa.Schema:
    """Schema of a table that a factor may read."""
    if table in SCHEMAS:
        return SCHEMAS[table]
    names = column_names(table) if table in GRANULARITIES else PUBLISHED_TABLES[table]
    return pa.schema([("symbol", pa.string()), *((c, pa.float64()) for c in names)])
