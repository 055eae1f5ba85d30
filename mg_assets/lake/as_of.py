"""Point-in-time view of the lake, used to re-run predictions without look-ahead."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from mg_assets.lake.index import PartitionInfo
from mg_assets.lake.integrity import PartitionFile
from mg_assets.lake.store import WHOLE, Lake
from mg_assets.market.calendar import half_year_start, month_of, shift, week_of


class AsOfLake(Lake):
    """The lake as of the close of a day, without anything that was published later; read-only.

    - A day's partition is available from that day's close on.
    - A week's and a month's from the first day after it: before it has ended, its stored bar may hold later days.
    - A half-year's model from the first day that it predicts.
    - A table without partitions, which covers the whole history, never.
    - In ``labels``, a return is null before the day of its exit: ``ret_h`` of T before T + h + 1.

    Parameters
    ----------
    lake : Lake
        The lake that is read.
    day : str
        The last day that is visible, ``2023-02-01``.
    """

    def __init__(self, lake: Lake, day: str):
        super().__init__(lake.root)
        self.until = day
        stamp = np.array([day], "datetime64[D]")
        self._week, self._month = str(week_of(stamp)[0]), str(month_of(stamp)[0])

    def available(self, table: str, key: str) -> bool:
        """Whether a partition of that key was complete at the close of the day."""
        if key == WHOLE:
            return False
        if len(key) == 6 and key[4] == "H":
            return str(half_year_start(key)) <= self.until
        if table.startswith("weekly_"):
            return key < self._week
        if table.startswith("monthly_"):
            return key < self._month
        return key <= self.until

    def keys(self, table: str) -> list[str]:
        """Partition keys available as of the day, ascending."""
        return [k for k in super().keys(table) if self.available(table, k)]

    def has(self, table: str, key: str) -> bool:
        """Whether the partition exists and was available as of the day."""
        return self.available(table, key) and super().has(table, key)

    def table(self, table: str, key: str, columns: Sequence[str] | None = None) -> pa.Table:
        """One partition as an Arrow table; returns whose exit is after the day are null."""
        data = super().table(table, key, columns)
        if table != "labels":
            return data
        for at, name in enumerate(data.column_names):
            if name.startswith("ret_") and str(shift(key, int(name[4:]) + 1)) > self.until:
                data = data.set_column(at, name, pa.nulls(len(data), data.schema.field(name).type))
        return data

    def info(self, table: str, keys: Iterable[str] | None = None) -> dict[str, PartitionInfo]:
        """What the footers of the partitions available as of the day say; see :meth:`Lake.info`."""
        found = super().info(table, keys)
        return {key: info for key, info in found.items() if self.available(table, key)}

    def write(self, table: str, key: str, *_: Any, **__: Any) -> str:
        """Refused: a point-in-time view is read-only (PermissionError)."""
        raise PermissionError(f"the lake as of {self.until} is read-only; write {table} {key} to the lake itself")

    def opened(self, table: str, key: str, dictionary: Sequence[str] = ()) -> PartitionFile:
        """A partition's file for reading, of one that was available as of the day; see :meth:`Lake.opened`."""
        if not self.available(table, key):
            raise self._lacks(table, key)
        return super().opened(table, key, dictionary)
