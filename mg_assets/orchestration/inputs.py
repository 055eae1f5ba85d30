"""Digests of the windows of upstream tables that partitions are made from.

A window's digest is the sum modulo 2^64 of one hash for each of its partitions, of key and content. Prefix sums over a
table's partitions make it two lookups, however wide the window is.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import xxhash

from mg_assets.lake.index import PartitionInfo
from mg_assets.lake.look import SeenTable
from mg_assets.lake.storage import NO_FILES
from mg_assets.lake.store import Lake

WHOLE_CONTENT = ""


class LakeSnapshot:
    """What the footers of a lake's partitions say at one time: each table is listed once.

    Parameters
    ----------
    lake : Lake
    every_table : bool
        Whether all tables are asked for: on an object store, one listing shows them together.
    """

    def __init__(self, lake: Lake, every_table: bool = False):
        self.lake = lake
        self._files = lake.storage.files_of_tables() if every_table else None
        self._seen: dict[str, SeenTable] = {}
        self._keys: dict[str, np.ndarray] = {}
        self._sums: dict[tuple[str, str], np.ndarray] = {}

    def info(self, table: str) -> Mapping[str, PartitionInfo]:
        """Every partition of a table, by key, ascending."""
        return self._table(table).partitions

    def unchecked(self, table: str) -> Mapping[str, Mapping[str, str | None]]:
        """The lists of a table's partitions that were written and not checked, by run."""
        return self._table(table).unchecked

    def _table(self, table: str) -> SeenTable:
        if table not in self._seen:
            files = None if self._files is None else self._files.get(table, NO_FILES)
            self._seen[table] = self.lake.seen(table, files=files)
        return self._seen[table]

    def keys(self, table: str) -> np.ndarray:
        """Keys of a table's partitions, ascending; a damaged one is absent."""
        if table not in self._keys:
            self._keys[table] = np.array([k for k, i in self.info(table).items() if i.damaged is None], dtype=object)
        return self._keys[table]

    def digest(self, table: str, column: str, first: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Digests of windows of a table.

        Parameters
        ----------
        table : str
        column : str
            A column's name, or :data:`WHOLE_CONTENT`.
        first, end : ndarray of int (W,)
            Positions in :meth:`keys`, the end excluded.

        Returns
        -------
        ndarray of uint64 (W,)
        """
        if (table, column) not in self._sums:
            infos = self.info(table)
            each = np.array([_hash(infos[key], column) for key in self.keys(table)], np.uint64)
            self._sums[table, column] = np.zeros(len(each) + 1, np.uint64)
            np.cumsum(each, out=self._sums[table, column][1:])
        sums = self._sums[table, column]
        return sums[np.maximum(end, first)] - sums[first]


def combined(parts: Sequence[np.ndarray]) -> list[str]:
    """Sixteen hex digits a window, of the digests of all columns that are read.

    Parameters
    ----------
    parts : sequence of ndarray of uint64 (W,)
        One a column.

    Returns
    -------
    list of str (W,)
    """
    if len(parts) == 1:
        return [f"{value:016x}" for value in parts[0].tolist()]
    return [xxhash.xxh3_64_hexdigest(row.astype("<u8").tobytes()) for row in np.stack(parts, axis=1)]


def _hash(info: PartitionInfo, column: str) -> int:
    """Of a partition's key and content; of one without a digest (of an older version) its key and recipe."""
    if info.digest is None:
        content = f"recipe {info.metadata.get('recipe')}"
    else:
        content = info.digest if column == WHOLE_CONTENT else info.columns.get(column, "")
    return xxhash.xxh3_64_intdigest(f"{info.key}\0{content}".encode())
