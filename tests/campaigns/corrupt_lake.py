"""Damage files of a lake in every way and print what each reading made of them; heal them with ``mg run``.

    nice python tests/campaigns/corrupt_lake.py LAKE [--count 200] [--seed 1] [--settings small.yaml] [--batch 40]

LAKE is copied and never touched itself. Damages: truncation, an empty file, garbage, flipped bits, another partition in
its place with the time kept, a column times 1.0037 written by another program with and without the footer's texts,
float32 columns, a row gone, another time. Every table, models' weights and cards in turn. Each damaged file is read
as a user would (``named``: refused with its path), and by ``mg verify``.

With ``--settings``, the settings of ``mg run`` by which LAKE was built, the damages stay and are healed batch by batch:
after each run the lake must hold the content of the undisturbed one. The exit status is 1 where a damage was silent or
not healed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from damaged_lake import campaign, contents, copied

from mg_assets.lake.store import Lake
from mg_assets.portfolios.study_runs import TABLE as CELLS

RUN = [sys.executable, "-m", "mg_assets.cli.main", "run"]


def main() -> int:
    """Run the campaign; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lake", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--settings", type=Path, help="heal with mg run under these settings")
    parser.add_argument("--batch", type=int, default=40, help="damages that one run heals")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mg_corrupt_", dir=given.lake.parent) as folder:
        lake = copied(Lake(given.lake), Path(folder) / "lake")
        if given.settings is None:
            return _report(campaign(lake, given.count, given.seed), None)
        (Path(folder) / "settings.yaml").write_text(
            yaml.safe_dump(yaml.safe_load(given.settings.read_text()) | {"lake": lake.root})
        )
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MG_", "DAGSTER"))}
        environment = kept | {"MG_SETTINGS": f"{folder}/settings.yaml"}
        sound, found, healed = contents(lake), [], 0
        for number in range(0, given.count, given.batch):
            damages = campaign(lake, min(given.batch, given.count - number), given.seed + number, restore=False)
            run = subprocess.run(RUN, env=environment, capture_output=True, text=True, check=False)
            now = contents(lake)
            wrong = {k: (sound.get(k), now.get(k)) for k in sound.keys() | now.keys() if sound.get(k) != now.get(k)}
            # a damaged account that a study keeps counts as absent; the study backtests it again when it is next built
            wrong = {k: v for k, v in wrong.items() if k[0] != CELLS or not Lake(lake.root).info(*k[:1])[k[1]].damaged}
            print(f"batch from {number}: exit {run.returncode}, {len(wrong)} partitions differ", flush=True)
            for (table, key), (before, after) in sorted(wrong.items())[:10]:
                print(f"    {table} {key}: {before} -> {after}")
            if run.returncode:
                print(run.stdout[-1500:] + run.stderr[-1500:])
            healed += sum((d.target.table, d.target.key) not in wrong for d in damages) * (run.returncode == 0)
            found += damages
        return _report(found, healed)


def _report(found: list, healed: int | None) -> int:
    """Print one line a kind and the sums; the exit status."""
    print("| damage | files | named | same values | silent |\n|---|---:|---:|---:|---:|")
    for kind in sorted({c.kind for c in found}):
        counts = Counter(c.result for c in found if c.kind == kind)
        print(f"| {kind} | {sum(counts.values())} | {counts['named']} | {counts['same']} | {counts['silent']} |")
    counts = Counter(c.result for c in found)
    print(f"| all | {len(found)} | {counts['named']} | {counts['same']} | {counts['silent']} |")
    for c in found:
        if c.result == "silent":
            print(f"silent: {c.kind} {c.target.path}")
    if healed is not None:
        print(f"healed: {healed} of {len(found)}")
    return int(counts["silent"] > 0 or (healed is not None and healed < len(found)))


if __name__ == "__main__":
    sys.exit(main())
