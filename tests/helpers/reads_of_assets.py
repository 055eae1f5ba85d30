"""Print what each asset of a built lake reads that its windows do not hold, as JSON: run with the lake's settings.

Each asset makes its last finished partitions again, nothing is stored. A training is represented by what it reads.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from mg_assets.assets import ASSET_OF, LAKE_ASSETS, TABLES
from mg_assets.assets.models import TRAINED, entry
from mg_assets.lake.integrity import PartitionFile
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import half_year_start, shift
from mg_assets.modelling.labels import training_labels
from mg_assets.modelling.panels import model_inputs
from mg_assets.modelling.training_inputs import training_since
from mg_assets.orchestration.partition_build import Build
from mg_assets.settings import settings
from mg_assets.sources import build_source


class ReadLake(Lake):
    """A lake that records which partitions are opened, and stores nothing."""

    def __init__(self, root: str):
        super().__init__(root)
        self.read_keys: dict[str, set[str]] = defaultdict(set)

    def opened(self, table: str, key: str, dictionary: Sequence[str] = ()) -> PartitionFile:
        self.read_keys[table].add(key)
        return super().opened(table, key, dictionary)

    def write(self, *_: Any, **__: Any) -> str:
        return "nowhere/data"

    write_file = write


def keys_of(lake: Lake, table: str) -> list[str]:
    """The last finished partitions of a table, one where each reads the one before."""
    keys = lake.keys(table)
    chained = any(need.table == table for need in TABLES[table].needs)
    return keys[-1:] if len(keys) < 4 or chained else keys[-3:-1]


def make(table: str, keys: list[str], lake: Lake) -> None:
    """Make an asset's partitions, or read what its training reads."""
    config = settings().source
    if table.removesuffix("_model") in TRAINED and table.endswith("_model"):
        spec = entry(table.removesuffix("_model"))
        since, until = training_since(spec, str(half_year_start(keys[0]))), str(shift(half_year_start(keys[0]), -1))
        _, axes = model_inputs(lake, spec, since, until)
        training_labels(lake, axes, spec)
        return
    build = Build(
        keys,
        lake,
        open_source=lambda: build_source(config.kind, config.options),
        workers=1,
        find_device=lambda: "cpu",
        log=lambda line: None,
        recipes=ASSET_OF[table].recipes(TABLES),
    )
    for _ in ASSET_OF[table].make(build):
        pass


def undeclared(table: str, root: str) -> dict[str, list[str]]:
    """Partitions by table that an asset reads outside its windows."""
    lake, plain = ReadLake(root), Lake(root)
    keys = keys_of(plain, table)
    if not keys:
        return {}
    make(table, keys, lake)
    windows = {need.table: need for need in TABLES[table].needs}
    out = {}
    for read, found in lake.read_keys.items():
        have = np.array(plain.keys(read), dtype=object)
        held = {k for key in keys for k in TABLES.window(windows[read], table, key, have)} if read in windows else set()
        if found - held:
            out[read] = sorted(found - held)
    return out


if __name__ == "__main__":
    root = settings().lake_url
    print(json.dumps({asset.tables[0]: undeclared(asset.tables[0], root) for asset in LAKE_ASSETS}))
