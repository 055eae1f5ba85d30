"""Raw tables: ticks, reference data and, in a simulated market, the planted signal."""

from collections.abc import Iterator

import pandas as pd

from mg_assets.errors import MgError
from mg_assets.market.schema import SCHEMAS
from mg_assets.orchestration.lake_asset import LakeAsset, lake_asset
from mg_assets.orchestration.metadata import note_text
from mg_assets.orchestration.partition_build import Build, Built
from mg_assets.sources.base import TICKS, Loaded, Source, stored_notes, ticks_of

DESCRIPTIONS = {
    "trades": "Every trade of the day with both order numbers and the aggressor's side (+1 buyer, -1 seller, "
    "0 auction or unknown). Invalid rows are moved to quarantine_trades.",
    "orders": "Every order entered and cancelled, sizes as entered: what Shanghai leaves out is restored.",
    "snapshots": "The vendor's 3-second snapshots, ten levels: what the book replayed from orders and trades is "
    "compared with. Optional; empty where the source has none.",
    "reference": "Listing, industry, price limits, suspension, ST, float shares, index membership and weights, "
    "fundamentals and consensus as of the day; null where the source has none.",
    "planted_signal": "The latent signal that drives a simulated market's returns, known at the day's close: the "
    "yardstick for models. Empty on real sources.",
}


def _load(source: Source, tables: tuple[str, ...], key: str) -> list[Built]:
    day = pd.Timestamp(key).date()
    ticks = ticks_of(source, day) if tables == TICKS else {}
    return [_built(source, table, key, ticks.get(table)) for table in tables]


def _built(source: Source, table: str, key: str, loaded: Loaded | MgError | None) -> Built:
    day = pd.Timestamp(key).date()
    if isinstance(loaded, MgError):
        raise loaded
    if loaded is None:
        if not source.has(table, day):
            absent = {"absent": f"source {source.name} has no {table} this day"}
            return Built(key, SCHEMAS[table].empty_table(), absent, table=table)
        loaded = source.load(table, day)
    day_of_table = loaded

    def ended() -> Built:
        notes = {f"note: {k}": note_text(v) for k, v in day_of_table.notes.items()}
        bad = day_of_table.quarantine
        return Built(key, day_of_table.data, {"set_aside": len(bad), **notes}, bad, table=table)

    stored = stored_notes(loaded) if table == "reference" else {}
    return Built(key, loaded.data, stored=stored, table=table, ended=ended)


def _raw_asset(*tables: str) -> LakeAsset:
    @lake_asset(tables, group="raw", raw=True, description=DESCRIPTIONS)
    def make(build: Build) -> Iterator[Built]:
        source = build.source
        return build.each(lambda key: _load(source, tables, key))

    return make


# trades and orders come from the same files, and restoring orders needs the trades: one pass makes both
ASSETS = [
    _raw_asset(*TICKS),
    _raw_asset("snapshots"),
    _raw_asset("reference"),
    _raw_asset("planted_signal"),
]
