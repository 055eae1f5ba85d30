"""Whether two lakes hold the same numbers: every table value for value, floats and weights bit for bit.

For a change that is to change nothing: build the same market by both commits, then::

    MG_LAKE=/tmp/before mg run                    # at the commit before
    MG_LAKE=/tmp/after mg run                     # at the commit after
    python benchmarks/same_lake.py /tmp/before /tmp/after --renamed old_table=new_table

Read with pyarrow and safetensors alone, not with the code under test. Left out are what must differ (times and
durations in footers and cards, the commit in a card) and pictures inside pages. Exits with 1 where anything differs.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import load_file

VOLATILE = {"seconds", "git_revision"}
"""Keys of model cards that describe the run, not the model."""
INDEX = "_index.json"
"""Of a table's partitions: made of them, with the times at which their files were written."""


def main() -> int:
    """Compare two lakes given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--renamed", nargs="*", default=[], metavar="OLD=NEW", help="tables that have another name now")
    chosen = parser.parse_args()
    renamed = dict(pair.split("=") for pair in chosen.renamed)
    before = {renamed.get(p.name, p.name): p for p in _tables(chosen.before)}
    after = {p.name: p for p in _tables(chosen.after)}
    wrong = 0
    for table in sorted(before.keys() | after.keys()):
        if table not in before or table not in after:
            print(f"{table}: only in {(before.get(table) or after[table]).parent}")
            wrong += 1
            continue
        count, rows, differences = compare_table(before[table], after[table])
        wrong += bool(differences)
        print(f"{table}: {count} files, {rows:,} rows, " + (f"{len(differences)} DIFFER" if differences else "equal"))
        for line in differences[:5]:
            print(f"    {line}")
    print(f"{len(before.keys() | after.keys())} tables, {wrong} differ")
    return 1 if wrong else 0


def _tables(root: Path) -> list[Path]:
    if not root.is_dir():
        raise SystemExit(f"{root} is no folder")
    return [p for p in sorted(root.iterdir()) if p.is_dir() and not p.name.startswith(".")]


def compare_table(before: Path, after: Path) -> tuple[int, int, list[str]]:
    """Number of files and of rows of a table in the first lake, and one line a difference between the two."""
    left, right = (
        {str(p.relative_to(root)): p for p in root.rglob("*") if p.is_file() and p.name != INDEX}
        for root in (before, after)
    )
    lines = [f"{name}: only in one of the lakes" for name in sorted(left.keys() ^ right.keys())]
    rows = 0
    for name in sorted(left.keys() & right.keys()):
        a, b = left[name], right[name]
        if name.endswith(".parquet"):
            first = pq.ParquetFile(a).read()
            rows += len(first)
            found = _compare_frames(first, pq.ParquetFile(b).read())
        elif name.endswith(".safetensors"):
            found = _compare_weights(a, b)
        elif name.endswith(".json"):
            found = _compare_cards(json.loads(a.read_text()), json.loads(b.read_text()), "")
        else:  # pages hold pictures with the commit's fonts and paths
            found = []
        lines += [f"{name}: {line}" for line in found]
    return len(left), rows, lines


def _compare_frames(a: pa.Table, b: pa.Table) -> list[str]:
    if a.schema.remove_metadata() != b.schema.remove_metadata():
        return [f"columns {sorted(set(a.schema) ^ set(b.schema), key=str)}"]
    if len(a) != len(b):
        return [f"{len(a)} rows, {len(b)} rows"]
    lines = []
    for name in a.column_names:
        x, y = (t.column(name).combine_chunks() for t in (a, b))
        if pa.types.is_dictionary(x.type):
            x, y = x.cast(x.type.value_type), y.cast(y.type.value_type)
        if pa.types.is_floating(x.type):
            if x.null_count != y.null_count or not x.is_null().equals(y.is_null()):
                lines.append(f"{name}: nulls")
                continue
            u, v = (c.fill_null(0).to_numpy(zero_copy_only=False) for c in (x, y))
            off = u.view(f"i{u.itemsize}") != v.view(f"i{v.itemsize}")
            off &= ~(np.isnan(u) & np.isnan(v))
            if off.any():
                lines.append(f"{name}: {off.sum()} of {len(u)} values, by at most {np.nanmax(np.abs(u - v)):.3g}")
        elif not x.equals(y):
            lines.append(f"{name}: values of type {x.type}")
    return lines


def _compare_weights(a: Path, b: Path) -> list[str]:
    if a.read_bytes() == b.read_bytes():
        return []
    u, v = load_file(a), load_file(b)
    if u.keys() != v.keys():
        return [f"weights {sorted(u.keys() ^ v.keys())}"]
    off = [k for k in u if u[k].tobytes() != v[k].tobytes()]
    return [f"weights {k}" for k in off]


def _compare_cards(a: object, b: object, where: str) -> list[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        lines = []
        for key in sorted(a.keys() | b.keys()):
            if key not in VOLATILE:
                lines += _compare_cards(a.get(key), b.get(key), f"{where}.{key}" if where else key)
        return lines
    return [] if a == b else [f"{where}: {str(a)[:60]} | {str(b)[:60]}"]


if __name__ == "__main__":
    sys.exit(main())
