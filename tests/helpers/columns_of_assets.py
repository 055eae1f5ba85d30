"""Print the columns that each asset with a column lineage reads by name, as JSON: run with the lake's settings."""

import json
from collections import defaultdict
from collections.abc import Sequence

import pyarrow as pa
from reads_of_assets import ReadLake, keys_of, make

from mg_assets.assets import ASSET_OF, TABLES
from mg_assets.lake.store import Lake
from mg_assets.settings import settings


class ColumnLake(ReadLake):
    """A lake that records which columns are asked for by name."""

    def __init__(self, root: str):
        super().__init__(root)
        self.read_columns: dict[str, set[str]] = defaultdict(set)

    def table(self, table: str, key: str, columns: Sequence[str] | None = None) -> pa.Table:
        self.read_columns[table].update(columns or ())
        return super().table(table, key, columns)


if __name__ == "__main__":
    root, out = settings().lake_url, {}
    for first in {ASSET_OF[t].tables[0] for t, entry in TABLES.items() if entry.lineage}:
        lake, keys = ColumnLake(root), keys_of(Lake(root), first)
        if keys:
            make(first, keys, lake)
        read = {t: sorted(columns) for t, columns in lake.read_columns.items() if columns}
        named: dict[str, set[str]] = defaultdict(set)
        for inputs in (i for table in ASSET_OF[first].tables for i in TABLES[table].lineage.values()):
            for table, _, column in (text.partition(".") for text in inputs):
                named[table].add(column)
        out[first] = {"read": read, "named": {t: sorted(columns) for t, columns in named.items()}}
    print(json.dumps(out))
