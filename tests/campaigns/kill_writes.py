"""Kill ``mg run`` at random moments, let it finish, and compare the lake with one that was never disturbed.

    nice python tests/campaigns/kill_writes.py SETTINGS [--kills 100] [--seed 1] [--sound LAKE]

SETTINGS is a settings file of a small market. The sound lake is built first where it is not given. Then runs on a lake
of their own are killed (SIGKILL, the whole process group) after a random time, one after the other; a run that ends
before its kill makes the lake begin again. At the end one run finishes: every partition must have the digest of the
sound lake, ``mg verify`` must find nothing, and no temporary file may be left. The exit status is 1 otherwise. Kills at
every boundary of a write are in test_kill_writes.py.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from damaged_lake import contents
from killed_writes import left_over

from mg_assets.lake.store import Lake

COMMAND = [sys.executable, "-m", "mg_assets.cli.main"]


def main() -> int:
    """Run the campaign; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("settings", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sound", type=Path, help="the lake of an undisturbed run")
    given = parser.parse_args()
    draw = random.Random(given.seed)
    with tempfile.TemporaryDirectory(prefix="mg_kill_") as name:
        folder = Path(name)
        began = time.monotonic()
        sound = given.sound or _run(given.settings, folder / "sound")
        whole = time.monotonic() - began if given.sound is None else 120.0
        lake, kills, rounds, wrong = folder / "lake", 0, 0, []
        while kills < given.kills:
            process = _start(given.settings, lake, "run")
            try:
                process.wait(draw.uniform(1, whole / 4))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
                continue
            rounds += 1
            wrong += _compare(given.settings, sound, lake)
            shutil.rmtree(lake)
        _run(given.settings, lake)
        wrong += _compare(given.settings, sound, lake)
        print(f"{kills} kills, {rounds + 1} lakes finished, {len(wrong)} faults")
        print("\n".join(wrong[:20]))
    return int(bool(wrong))


def _start(settings: Path, lake: Path, *command: str) -> subprocess.Popen:
    own = lake.parent / f"{lake.name}.yaml"
    own.write_text(yaml.safe_dump(yaml.safe_load(settings.read_text()) | {"lake": str(lake)}))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MG_", "DAGSTER"))}
    with open(lake.parent / "run.log", "ab") as log:
        return subprocess.Popen(
            [*COMMAND, *command],
            env=kept | {"MG_SETTINGS": str(own)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _run(settings: Path, lake: Path) -> Path:
    if _start(settings, lake, "run").wait():
        raise SystemExit((lake.parent / "run.log").read_text()[-3000:])
    return lake


def _compare(settings: Path, sound: Path, lake: Path) -> list[str]:
    """One line a fault of a finished lake."""
    expected, found = contents(Lake(sound)), contents(Lake(lake))
    every = sorted(expected.keys() | found.keys())
    lines = [
        f"{part}: {expected.get(part)} -> {found.get(part)}" for part in every if expected.get(part) != found.get(part)
    ]
    lines += [f"left over: {path}" for path in left_over(lake)]
    return lines + (["mg verify found damages"] if _start(settings, lake, "verify").wait() else [])


if __name__ == "__main__":
    sys.exit(main())
