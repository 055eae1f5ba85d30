"""Raw tables: ticks, reference data and, in a simulated market, the planted signal."""

from collections.abc import Iterator

import pandas as pd

from mg_assets.lake import Build, Built, LakeAsset, lake_asset
from mg_assets.market.schema import SCHEMAS
from mg_assets.sources.base import Source


def _load(source: Source, table: str, key: str) -> Built:
    day = pd.Timestamp(key).date()
    if not source.has(table, day):
        return Built(key, SCHEMAS[table].empty_table(), {"absent": f"source {source.name} has no {table} this day"})
    loaded = source.load(table, day)
    notes = {f"note: {k}": str(v) for k, v in loaded.notes.items()}
    return Built(key, loaded.frame, {"set_aside": len(loaded.quarantine), **notes}, loaded.quarantine)


def _raw_asset(table: str, description: str) -> LakeAsset:
    @lake_asset(table, group="raw", uses=("source",), raw=True, description=description)
    def make(build: Build) -> Iterator[Built]:
        source = build.source
        return build.each(lambda key: _load(source, table, key))

    return make


trades = _raw_asset(
    "trades",
    "Every trade of the day with both order numbers and the aggressor's side "
    "(+1 buyer-, -1 seller-initiated, 0 auction or unknown). Rows that cannot be right are in quarantine_trades.",
)
orders = _raw_asset(
    "orders",
    "Every order entered and cancelled, sizes as entered: what Shanghai's publication leaves out is restored.",
)
reference = _raw_asset(
    "reference",
    "Listing, industry, price limits, suspension, ST, float shares, index membership and weights, fundamentals and "
    "consensus as known on the day; null where the source has none.",
)
planted_signal = _raw_asset(
    "planted_signal",
    "The latent signal that drives a simulated market's returns, known at the day's close: the yardstick for "
    "models. Empty on real sources.",
)

ASSETS = [trades, orders, reference, planted_signal]
