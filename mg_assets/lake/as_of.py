"""Point-in-time view of the lake, used to re-run predictions without look-ahead."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from mg_assets.lake.filtered import FilteredLake
from mg_assets.lake.partition_keys import WHOLE, is_half_year
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import half_year_start, month_of, shift, week_of


class AsOfLake(FilteredLake):
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
        self.storage = lake.storage  # what that one keeps of its reading is the same
        self.until = day
        stamp = np.array([day], "datetime64[D]")
        self._week, self._month = str(week_of(stamp)[0]), str(month_of(stamp)[0])

    def available(self, table: str, key: str) -> bool:
        """Whether a partition of that key was complete at the close of the day."""
        if key == WHOLE:
            return False
        if is_half_year(key):
            return str(half_year_start(key)) <= self.until
        if table.startswith("weekly_"):
            return key < self._week
        if table.startswith("monthly_"):
            return key < self._month
        return key <= self.until

    def table(self, table: str, key: str, columns: Sequence[str] | None = None) -> pa.Table:
        """One partition as an Arrow table; returns whose exit is after the day are null."""
        data = super().table(table, key, columns)
        if table != "labels":
            return data
        for at, name in enumerate(data.column_names):
            if name.startswith("ret_") and str(shift(key, int(name[4:]) + 1)) > self.until:
                data = data.set_column(at, name, pa.nulls(len(data), data.schema.field(name).type))
        return data

    def write(self, table: str, key: str, *_: Any, **__: Any) -> str:
        """Refused: a point-in-time view is read-only (PermissionError)."""
        raise PermissionError(f"the lake as of {self.until} is read-only; write {table} {key} to the lake itself")
