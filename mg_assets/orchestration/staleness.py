"""The tables of the graph, and which of their partitions are up to date.

A partition's file carries its *recipe*: a hash of the code version and settings of its table and of all upstream of it.
A partition is stale where its recipe is not today's, where the source would give other rows, or where something that it
reads was written later. So a second run does only what changed.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import dagster as dg
import numpy as np
import pandas as pd

from mg_assets.lake.store import Lake
from mg_assets.lake.window import UpstreamWindow
from mg_assets.market.calendar import half_year_name, half_year_of, half_year_start, trading_days
from mg_assets.orchestration.partitions import DAILY, HALF_YEARLY, MONTHLY, WEEKLY
from mg_assets.settings import settings
from mg_assets.sources.base import Source


@dataclass(frozen=True)
class TableAsset:
    """What a table of the lake is made from and by.

    Attributes
    ----------
    table : str
    definition : PartitionsDefinition or None
        None for a table without partitions.
    needs : tuple of UpstreamWindow
    version : str
        Of the code, raised by hand when the computation changes.
    settings : tuple of str
        Names of the settings that decide the values.
    raw : bool
        Whether the table comes straight from the source.
    anchor : str or None
        Upstream table without whose partition of the same day there is nothing to compute.
    columns : dict of str to str
        Descriptions, of tables without a fixed schema.
    """

    table: str
    definition: dg.PartitionsDefinition | None
    needs: tuple[UpstreamWindow, ...]
    version: str
    settings: tuple[str, ...]
    raw: bool
    anchor: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


class TableRegistry(Mapping[str, TableAsset]):
    """Every table that the graph holds, by name, in the order of the data.

    Parameters
    ----------
    tables : iterable of TableAsset
        Upstream tables first.
    """

    def __init__(self, tables: Iterable[TableAsset]):
        self._tables = {entry.table: entry for entry in tables}
        self._recipes: dict[str, str] = {}

    def __getitem__(self, table: str) -> TableAsset:
        return self._tables[table]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def partitioned_by(self, definition: dg.PartitionsDefinition | None) -> list[str]:
        """Tables of one partitions definition, in the order of the data."""
        return [name for name, entry in self.items() if entry.definition == definition]

    def recipe(self, table: str) -> str:
        """Hash of all that decides a table's values but its data: versions and settings, its own and upstream."""
        if table not in self._recipes:
            entry = self[table]
            parts = [table, entry.version, settings().digest(*entry.settings) if entry.settings else ""]
            parts += [self.recipe(n.table) for n in entry.needs if n.table != table]
            self._recipes[table] = hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]
        return self._recipes[table]

    def window(self, need: UpstreamWindow, table: str, key: str, available: np.ndarray) -> np.ndarray:
        """Lake keys of an upstream table that a table's partition reads, out of those ``available`` (ascending)."""
        down, up = self[table].definition, self[need.table].definition
        if down is None or up is None:
            return available
        if up == HALF_YEARLY and down != HALF_YEARLY:
            return available[available == half_year_name(half_year_of(np.array([key]))[0])]
        low, high = _calendar_span(down, key, need.back, need.ahead)
        return available[(available >= low) & (available <= high)]

    def rejections(self, lake: Lake, table: str, keys: Iterable[str]) -> list[str]:
        """What the given partitions would read that a blocking check rejected, one line an upstream partition."""
        out = []
        wanted = list(keys)
        for need in self[table].needs:
            have = np.array(lake.keys(need.table), dtype=object)
            bad = [k for k in have if lake.rejected(need.table, k)]
            if not bad:
                continue
            read = {k for key in wanted for k in self.window(need, table, key, have)} & set(bad)
            if need.table == table:
                read -= set(wanted)  # they will be rebuilt
            out += [f"{need.table} {k} failed {', '.join(lake.rejected(need.table, k))}" for k in sorted(read)]
        return out

    def stale(self, lake: Lake, source: Source, table: str, keys: Iterable[str]) -> list[str]:
        """Partitions that are absent, rejected by a check, of another recipe or source, or older than what they read.

        Parameters
        ----------
        lake : Lake
        source : Source
            Whose fingerprints raw partitions are compared with.
        table : str
        keys : iterable of str
            Lake keys to look at.

        Returns
        -------
        list of str
            Those of the keys that have to be built, in the given order.
        """
        upstream = []
        for need in self[table].needs:
            if need.table != table:
                have = np.array(lake.keys(need.table), dtype=object)
                upstream.append((need, have, np.array([lake.modified(need.table, k) or 0.0 for k in have])))
        out = []
        for key in keys:
            written = lake.modified(table, key)
            if (
                written is None
                or lake.rejected(table, key)
                or not self._same_origin(lake, source, table, key)
                or any(self._newest(need, table, key, have, times) > written for need, have, times in upstream)
            ):
                out.append(key)
        return out

    def _same_origin(self, lake: Lake, source: Source, table: str, key: str) -> bool:
        """Whether a stored partition is of today's recipe and, where it is raw, of the source's present rows."""
        stored = lake.metadata(table, key)
        if stored.get("recipe") != self.recipe(table):
            return False
        return not self[table].raw or stored.get("source") == source_mark(source, table, key)

    def _newest(self, need: UpstreamWindow, table: str, key: str, have: np.ndarray, times: np.ndarray) -> float:
        """When the partition's window of an upstream table was last written, out of those that the lake has."""
        read = self.window(need, table, key, have)
        if not len(read):
            return 0.0
        first = int(np.searchsorted(have, read[0]))  # the keys of a window are contiguous
        return float(times[first : first + len(read)].max())


def source_mark(source: Source, table: str, key: str) -> str:
    """Fingerprint of a raw partition's source, or ``absent``."""
    day = pd.Timestamp(key).date()
    return source.fingerprint(table, day) if source.has(table, day) else "absent"


def _calendar_span(definition: dg.PartitionsDefinition, key: str, back: int, ahead: int) -> tuple[str, str]:
    """First and last calendar day of a partition's window."""
    if definition == HALF_YEARLY:
        cut = np.datetime64(half_year_start(key))
        return "0000", str(cut - 1)
    day = np.datetime64(key)
    if definition == DAILY:
        days = trading_days()
        at = int(np.searchsorted(days, day))
        first, last = days[max(at - back, 0)], days[min(at + ahead, len(days) - 1)]
        # a week or month that holds the first day counts, and its key is its own first day
        return str(first - 31 if back else first), str(last)
    unit = 7 if definition == WEEKLY else 31
    month_end = (day.astype("datetime64[M]") + 1).astype("datetime64[D]") - 1
    end = month_end if definition == MONTHLY else day + 6
    return str(day - unit * back), str(end + unit * ahead)
