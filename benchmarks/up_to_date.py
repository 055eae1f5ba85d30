"""How long ``mg run`` takes to see that a lake of ten years is up to date.

    python benchmarks/up_to_date.py [--folder DIR] [--first 2013-01-04] [--last 2023-12-29]

Every partition that the default graph has over the span is written once, small, with recipe, marks of the source and
digests of its inputs; kept in DIR for a second call. Then the staleness of all tables is asked, as a run does it, in
three processes: with the index of the footers absent, and twice with it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

ASK = """
import sys, time
began = time.perf_counter()
from mg_assets.assets import TABLES
from mg_assets.cli.plan import partition_keys
from mg_assets.lake.store import Lake
from mg_assets.orchestration.inputs import LakeSnapshot
from mg_assets.settings import settings
from mg_assets.sources import build_source
config = settings()
source, lake = build_source(config.source.kind, config.source.options), Lake(config.lake_url)
ready, cpu = time.perf_counter(), time.process_time()
seen = LakeSnapshot(lake)
count = stale = 0
for table in TABLES:
    keys = [k for k in partition_keys(table) if sys.argv[1] <= k <= sys.argv[2] or k == "all"]
    stale += len(TABLES.stale(lake, source, table, keys, seen))
    count += len(keys)
print(f"{count:,} partitions of {len(TABLES)} tables, {stale} stale: {time.perf_counter() - ready:.2f} s "
      f"({time.process_time() - cpu:.2f} s CPU), imports {ready - began:.2f} s")
"""


def fill(first: str, last: str) -> int:
    """Write every partition of the span; how many."""
    from mg_assets.assets import TABLES
    from mg_assets.cli.plan import partition_keys
    from mg_assets.lake.store import Lake
    from mg_assets.market.schema import SCHEMAS
    from mg_assets.orchestration.inputs import LakeSnapshot
    from mg_assets.settings import settings
    from mg_assets.sources import build_source
    from mg_assets.sources.recorded import marks_of

    config = settings()
    source, lake = build_source(config.source.kind, config.source.options), Lake(config.lake_url)
    count = 0
    for table, entry in TABLES.items():
        keys = [k for k in partition_keys(table) if first <= k <= last or k == "all"]
        chained = any(need.table == table for need in entry.needs)
        inputs = None if chained else TABLES.inputs(LakeSnapshot(lake), table, keys)
        for at, key in enumerate(keys):
            made_from = TABLES.provenance(lake, table, key) if inputs is None else {
                "recipe": TABLES.recipe(table), "inputs": inputs[at]
            }  # fmt: skip
            marks = {"source": marks_of(source, table, key)} if entry.raw else {}
            frame = SCHEMAS[table].empty_table() if table in SCHEMAS else pd.DataFrame({"key": [key]})
            lake.write(table, key, frame, made_from | marks)
        count += len(keys)
    return count


def main() -> None:
    """Fill the lake where it is not yet, and ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "mg_up_to_date")
    parser.add_argument("--first", default="2013-01-04")
    parser.add_argument("--last", default="2023-12-29")
    given = parser.parse_args()
    os.environ |= {"MG_LAKE": str(given.folder / "lake"), "MG_FIRST_MODEL": "2015H1"}
    if not (given.folder / "lake").exists():
        began = time.monotonic()
        print(f"{fill(given.first, given.last):,} partitions written in {time.monotonic() - began:.0f} s", flush=True)
    for index in (given.folder / "lake").glob("*/_index.json"):
        index.unlink()
    for _ in range(3):
        subprocess.run([sys.executable, "-c", ASK, given.first, given.last], check=True)


if __name__ == "__main__":
    main()
