"""The graph, one of its daily tables with a pool of one slot, as training has: so that faults meet a taken slot."""

from dataclasses import replace

from mg_assets import assets

POOLED, POOL = "minute_bars", "campaign"

assets.ASSETS[:] = [
    (replace(made, pool=POOL) if POOLED in made.tables else made).definition(assets.TABLES)
    for made in assets.LAKE_ASSETS
]

from mg_assets.definitions import defs  # noqa: E402  (it takes the assets as they are when it is imported)

__all__ = ["defs"]
