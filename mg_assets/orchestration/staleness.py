"""Which partitions are up to date.

A partition's file carries its *recipe*: a hash of the code version and settings of its table and of all upstream of it.
A partition is stale where its recipe is not today's, where the source would give other rows, or where something that it
reads was written later. So a second run does only what changed.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

import dagster as dg
import numpy as np
import pandas as pd

from mg_assets.lake.store import Lake
from mg_assets.lake.window import Needs
from mg_assets.market.calendar import half_year_name, half_year_of, half_year_start, trading_days
from mg_assets.orchestration.partitions import DAILY, HALF_YEARLY, MONTHLY, WEEKLY
from mg_assets.settings import settings
from mg_assets.sources.base import Source


@dataclass(frozen=True)
class TableAsset:
    """The registry's entry of a lake asset."""

    table: str
    definition: dg.PartitionsDefinition | None
    needs: tuple[Needs, ...]
    version: str
    settings: tuple[str, ...]
    raw: bool
    anchor: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)  # described, of tables without a fixed schema


TABLES: dict[str, TableAsset] = {}
"""Every table that the graph holds, in the order in which the modules register them."""


@cache
def recipe(table: str) -> str:
    """Hash of all that decides a table's values but its data: versions and settings, its own and upstream."""
    entry = TABLES[table]
    parts = [table, entry.version, settings().digest(*entry.settings) if entry.settings else ""]
    parts += [recipe(n.table) for n in entry.needs if n.table != table]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]


def source_mark(source: Source, table: str, key: str) -> str:
    """Fingerprint of a raw partition's source, or ``absent``."""
    day = pd.Timestamp(key).date()
    return source.fingerprint(table, day) if source.has(table, day) else "absent"


def window(need: Needs, definition: dg.PartitionsDefinition | None, key: str, available: np.ndarray) -> np.ndarray:
    """Lake keys of an upstream table that a partition reads, out of those ``available`` (ascending)."""
    up = TABLES[need.table].definition
    if definition is None or up is None:
        return available
    if up == HALF_YEARLY and definition != HALF_YEARLY:
        return available[available == half_year_name(half_year_of(np.array([key]))[0])]
    low, high = _span(definition, key, need.back, need.ahead)
    return available[(available >= low) & (available <= high)]


def rejections(lake: Lake, table: str, keys: Iterable[str]) -> list[str]:
    """What the given partitions would read that a blocking check rejected, a line for each upstream partition."""
    entry = TABLES[table]
    out = []
    wanted = list(keys)
    for need in entry.needs:
        have = np.array(lake.keys(need.table), dtype=object)
        bad = [k for k in have if lake.rejected(need.table, k)]
        if not bad:
            continue
        read = {k for key in wanted for k in window(need, entry.definition, key, have)} & set(bad)
        if need.table == table:
            read -= set(wanted)  # to be made anew
        out += [f"{need.table} {k} failed {', '.join(lake.rejected(need.table, k))}" for k in sorted(read)]
    return out


def _span(definition: dg.PartitionsDefinition, key: str, back: int, ahead: int) -> tuple[str, str]:
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


def stale(lake: Lake, source: Source, table: str, keys: Iterable[str]) -> list[str]:
    """Partitions that are absent, rejected by a check, of another recipe or source, or older than what they read."""
    entry = TABLES[table]
    mark = recipe(table)
    upstream = []
    for need in entry.needs:
        if need.table == table:
            continue
        have = np.array(lake.keys(need.table), dtype=object)
        times = np.array([lake.modified(need.table, k) or 0.0 for k in have])
        upstream.append((need, have, times))
    out = []
    for key in keys:
        written = lake.modified(table, key)
        if written is None or lake.rejected(table, key):
            out.append(key)
            continue
        kept = lake.metadata(table, key)
        if kept.get("recipe") != mark or (entry.raw and kept.get("source") != source_mark(source, table, key)):
            out.append(key)
            continue
        for need, have, times in upstream:
            read = window(need, entry.definition, key, have)
            first = int(np.searchsorted(have, read[0])) if len(read) else 0  # a window is a stretch of what there is
            if len(read) and times[first : first + len(read)].max() > written:
                out.append(key)
                break
    return out
