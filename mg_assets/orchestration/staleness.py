"""The tables of the graph, and which of their partitions are up to date.

A partition's file says what it was made from and by:

- ``recipe``: a hash of the code version, configuration, columns and settings of its table and of all upstream of it;
- ``source``: fingerprints of what its build read from the source;
- ``inputs``: digests of the windows of upstream tables that it was made from;
- ``files``: digests of what it holds of files beside the source.

A partition is stale where one of them is another today, and where it is absent, damaged or rejected by a check. Content
decides, no time stamp: so a second run does only what changed, and an upstream partition that was rebuilt with the same
content makes nothing stale.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import numpy as np

from mg_assets.errors import DataError
from mg_assets.lake.index import PartitionInfo
from mg_assets.lake.store import Lake
from mg_assets.lake.window import UpstreamWindow
from mg_assets.market.calendar import half_year_of, half_year_start, month_of, trading_days, week_of
from mg_assets.market.schema import SCHEMAS
from mg_assets.orchestration.inputs import WHOLE_CONTENT, LakeSnapshot, combined
from mg_assets.orchestration.partitions import DAILY, HALF_YEARLY, MONTHLY, WEEKLY
from mg_assets.orchestration.recipes import canonical
from mg_assets.settings import settings
from mg_assets.sources.base import Source
from mg_assets.sources.recorded import changed_marks


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
    config : object
        Specifications and lists that decide the values, as :func:`~mg_assets.orchestration.recipes.canonical` takes.
    settings : tuple of str
        Names of the settings that decide the values.
    raw : bool
        Whether the table comes straight from the source.
    anchor : str or None
        Upstream table without whose partition of the same day there is nothing to compute.
    columns : dict of str to str
        Descriptions, of tables without a fixed schema.
    lineage : dict of str to tuple of str
        Columns upstream that each column is made from, as ``table.column``.
    files : callable, optional
        Takes a lake key and gives a digest of what a file beside the source holds of that partition.
    """

    table: str
    definition: dg.PartitionsDefinition | None
    needs: tuple[UpstreamWindow, ...]
    version: str
    config: Any
    settings: tuple[str, ...]
    raw: bool
    anchor: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    lineage: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: Callable[[str], str] | None = None


class TableRegistry(Mapping[str, TableAsset]):
    """Every table that the graph holds, by name, in the order of the data.

    Parameters
    ----------
    tables : iterable of TableAsset
        Upstream tables first.
    """

    def __init__(self, tables: Iterable[TableAsset]):
        self._tables: dict[str, TableAsset] = {}
        for entry in tables:
            if entry.table in self._tables:
                raise DataError(f"two assets make the table {entry.table}; rename the entry of your own")
            self._tables[entry.table] = entry
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
        """Hash of all that decides a table's values but its data: definitions and settings, its own and upstream."""
        if table not in self._recipes:
            entry = self[table]
            schema = [[f.name, str(f.type)] for f in SCHEMAS[table]] if table in SCHEMAS else []
            needs = [
                [n.table, n.back, n.ahead, n.sessions, n.columns, "" if n.table == table else self.recipe(n.table)]
                for n in entry.needs
            ]
            config, values = canonical(entry.config), settings().digest(*entry.settings)
            parts = [table, entry.version, config, values, schema or [[c] for c in entry.columns], entry.anchor, needs]
            self._recipes[table] = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
        return self._recipes[table]

    def window(self, need: UpstreamWindow, table: str, key: str, available: np.ndarray) -> np.ndarray:
        """Lake keys of an upstream table that a table's partition reads, out of those ``available`` (ascending)."""
        first, end = self._bounds(need, table, [key], available)
        return available[first[0] : end[0]]

    def inputs(self, seen: LakeSnapshot, table: str, keys: Sequence[str]) -> list[dict[str, str]]:
        """Digests of what partitions read of each upstream table.

        Parameters
        ----------
        seen : LakeSnapshot
        table : str
        keys : sequence of str
            Lake keys of the partitions.

        Returns
        -------
        list of dict of str to str
            One a key: upstream table -> sixteen hex digits.
        """
        each: dict[str, list[str]] = {}
        for need in self[table].needs:
            parts = [
                seen.digest(need.table, column, *self._bounds(need, table, keys, seen.keys(need.table), unread))
                for column, unread in need.columns or ((WHOLE_CONTENT, 0),)
            ]
            each[need.table] = combined(parts)
        return [dict(zip(each, row, strict=True)) for row in zip(*each.values(), strict=True)] or [{} for _ in keys]

    def provenance(self, lake: Lake, table: str, key: str) -> dict[str, Any]:
        """What a file says that a partition was made from, of the lake as it is: recipe and inputs."""
        return {"recipe": self.recipe(table), "inputs": self.inputs(LakeSnapshot(lake), table, [key])[0]}

    def stale(
        self, lake: Lake, source: Source, table: str, keys: Iterable[str], seen: LakeSnapshot | None = None
    ) -> list[str]:
        """Partitions that have to be built: those of :meth:`stale_reasons`.

        Parameters
        ----------
        lake : Lake
        source : Source
            Whose fingerprints raw partitions are compared with.
        table : str
        keys : iterable of str
            Lake keys to look at.
        seen : LakeSnapshot, optional
            Shared by the questions about several tables while nothing is written.

        Returns
        -------
        list of str
            Those of the keys that have to be built, in the given order.
        """
        return list(self.stale_reasons(source, table, keys, seen or LakeSnapshot(lake)))

    def stale_reasons(self, source: Source, table: str, keys: Iterable[str], seen: LakeSnapshot) -> dict[str, str]:
        """Partitions that are absent, damaged, rejected, of another recipe, or made from other data than today's.

        Parameters
        ----------
        source : Source
        table : str
        keys : iterable of str
            Lake keys to look at.
        seen : LakeSnapshot

        Returns
        -------
        dict of str to str
            Why each of them has to be built, in the given order of the keys.
        """
        wanted = list(keys)
        infos, recipe = seen.info(table), self.recipe(table)
        follows = any(n.table == table for n in self[table].needs)
        reasons: dict[str, str] = {}
        for key, inputs in zip(wanted, self.inputs(seen, table, wanted), strict=True):
            why = _why(infos.get(key), recipe, inputs) or _source_changed(source, key, infos[key])
            files = self[table].files
            if not why and files is not None and files(key) != infos[key].metadata.get("files"):
                why = "its file changed"
            if not why and follows and any(k < key for k in reasons):
                why = f"{table} before it"
            if why:
                reasons[key] = why
        return reasons

    def dependents(
        self, seen: LakeSnapshot, changed: Mapping[str, Iterable[str]], columns: Mapping[str, Collection[str]] = {}
    ) -> dict[str, list[str]]:
        """Partitions of a lake that were made from the given ones, at whatever distance.

        Parameters
        ----------
        seen : LakeSnapshot
        changed : dict of str to iterable of str
            Keys by table.
        columns : dict of str to collection of str
            Columns that changed, of tables that kept their rows: what reads none of them does not count.

        Returns
        -------
        dict of str to list of str
            Keys by table, in the order of the data; the given partitions are left out.
        """
        affected = {table: set(keys) for table, keys in changed.items()}
        given = {table: set(keys) for table, keys in affected.items()}
        same_rows = columns.keys() >= affected.keys()
        for table, entry in self.items():
            have = seen.keys(table)
            hit = np.isin(have, list(given.get(table, ())))
            for need in entry.needs:
                upstream = affected.get(need.table)
                if upstream and need.table != table:
                    these = columns.get(need.table) if upstream == given.get(need.table) else None
                    hit |= self._reading(seen, table, need, upstream, these, same_rows)
            if hit.any() and any(need.table == table for need in entry.needs):
                hit[int(np.argmax(hit)) :] = True
            affected[table] = set(have[hit]) | given.get(table, set())
        out = {table: sorted(affected[table] - given.get(table, set())) for table in self}
        return {table: keys for table, keys in out.items() if keys}

    def _reading(
        self,
        seen: LakeSnapshot,
        table: str,
        need: UpstreamWindow,
        changed: Collection[str],
        columns: Collection[str] | None,
        same_rows: bool,
    ) -> np.ndarray:
        """Which of a table's partitions read a changed one of an upstream table, of whose columns only some changed."""
        have, infos = seen.keys(table), seen.info(table)
        if need.columns and columns is not None and {name for name, _ in need.columns}.isdisjoint(columns):
            return np.zeros(len(have), bool)
        unread = min((n for name, n in need.columns if not (same_rows and name == "symbol")), default=0)
        upstream = np.union1d(seen.keys(need.table), list(changed))
        first, end = self._bounds(need, table, list(have), upstream, unread)
        marks = np.concatenate([[0], np.cumsum(np.isin(upstream, list(changed)))])
        read = np.array([need.table in infos[k].metadata.get("inputs", {need.table}) for k in have], bool)
        return read & (marks[end] > marks[first])

    def _bounds(
        self, need: UpstreamWindow, table: str, keys: Sequence[str], available: np.ndarray, unread: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """First position and end of each partition's window among an upstream table's keys, less the last sessions."""
        down, up = self[table].definition, self[need.table].definition
        if need.table == table and down is not None:  # a chain: the partitions before
            end = np.searchsorted(available.astype(str), np.array(keys, dtype=str), side="left")
            return np.zeros_like(end), end
        if down is None or up is None:
            return np.zeros(len(keys), int), np.full(len(keys), len(available))
        own = _first_days(keys, down)
        if up == HALF_YEARLY and down != HALF_YEARLY:
            low = high = half_year_of(own)
        else:
            low, high = _spans(down, up, own, need)
        if unread:
            sessions = trading_days()
            high = sessions[np.maximum(np.searchsorted(sessions, high, side="right") - 1 - unread, 0)]
        days = _first_days(available, up)
        first = np.searchsorted(days, low, side="left")
        return first, np.maximum(np.searchsorted(days, high, side="right"), first)


def _why(info: PartitionInfo | None, recipe: str, inputs: Mapping[str, str]) -> str:
    """Why a partition is stale, as far as the lake alone says; empty where it is not."""
    if info is None:
        return "absent"
    if info.damaged is not None:
        return f"damaged: {info.damaged}"
    if info.rejected:
        return f"rejected by {', '.join(info.rejected)}"
    if info.metadata.get("recipe") != recipe:
        return "another definition"
    made_from = info.metadata.get("inputs")
    if made_from is None:
        return "nothing says what it was made from"
    changed = [name for name, digest in made_from.items() if inputs.get(name) != digest]
    return f"{', '.join(changed)} changed" if changed else ""


def _source_changed(source: Source, key: str, info: PartitionInfo) -> str:
    marks = info.metadata.get("source") or {}
    changed = changed_marks(source, key, marks) if marks else []
    return f"the source's {', '.join(changed)} changed" if changed else ""


def _first_days(keys: Sequence[str] | np.ndarray, definition: dg.PartitionsDefinition | None) -> np.ndarray:
    """First calendar day of each partition."""
    if definition == HALF_YEARLY:
        return np.array([half_year_start(k) for k in keys], "datetime64[D]")
    return np.array([str(k) for k in keys], "datetime64[D]")


def _spans(
    down: dg.PartitionsDefinition, up: dg.PartitionsDefinition, own: np.ndarray, need: UpstreamWindow
) -> tuple[np.ndarray, np.ndarray]:
    """First days of the first and the last upstream partition that each partition's window holds."""
    if down in (WEEKLY, MONTHLY):
        unit = 7 if down == WEEKLY else 31
        month_end = (own.astype("datetime64[M]") + 1).astype("datetime64[D]") - 1
        return own - unit * need.back, (month_end if down == MONTHLY else own + 6) + unit * need.ahead
    sessions = trading_days()
    at, last = np.searchsorted(sessions, own), len(sessions) - 1
    if down == HALF_YEARLY:
        back = len(sessions) if need.sessions is None else need.sessions
        return _period_starts(sessions[np.clip(at - back, 0, last)], up), own - 1
    low, high = sessions[np.clip(at - need.back, 0, last)], sessions[np.clip(at + need.ahead, 0, last)]
    # weeks and months are read once they have ended
    return _period_starts(low, up), high if up == DAILY else _period_starts(high, up) - 1


def _period_starts(days: np.ndarray, definition: dg.PartitionsDefinition) -> np.ndarray:
    """First day of the week or month that holds each day; of a daily table the day."""
    if definition == WEEKLY:
        return week_of(days).astype("datetime64[D]")
    return month_of(days).astype("datetime64[D]") if definition == MONTHLY else days
