"""The whole graph on a small simulated market, built once as a user would: `mg run` in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from local_servers import AbsentError, object_store

from mg_assets.lake.store import Lake

CHECKOUT = Path(__file__).parents[2]
SMALL = {
    "source": {"kind": "simulated", "stocks": 90, "tick_start": "2022-09-01", "orders_per_stock": 120},
    "end_date": "2023-12-29",
    "first_model": "2023H1",
    "models": {
        "hf_gru": {"seeds": [0, 1], "min_train_days": 2, "min_valid_days": 1, "every": 2, "max_epochs": 2},
        "lf_multitask": {"seeds": [0], "min_train_days": 3, "min_valid_days": 1, "every": 10, "max_epochs": 2},
    },
    "run": {
        "daily_from": "2021-09-01",
        "ticks_from": "2022-09-01",
        "until": "2023-03-03",
        "half_years": ["2023H1"],
    },
}


@dataclass
class SmallGraph:
    """A finished run: its folder, how to run it again, and what the first run printed."""

    folder: Path
    checkout: Path
    settings: dict
    first: subprocess.CompletedProcess | None = None

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MG_", "DAGSTER"))}
        return kept | {"MG_SETTINGS": str(self.folder / "small.yaml"), "OMP_NUM_THREADS": "1"}

    def run(self) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "mg_assets.cli.main", "run"]
        return subprocess.run(
            command, env=self.environment, cwd=self.checkout, capture_output=True, text=True, check=False
        )


def finished(folder: Path) -> SmallGraph:
    """The graph, built in a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "small.yaml").write_text(yaml.safe_dump({**SMALL, "lake": str(folder / "lake")}))
    graph = SmallGraph(folder, CHECKOUT, SMALL)
    graph.first = graph.run()
    assert graph.first.returncode == 0, graph.first.stdout[-3000:] + graph.first.stderr[-3000:]
    return graph


@pytest.fixture(scope="session")
def built(tmp_path_factory, worker_id) -> SmallGraph:
    folder = tmp_path_factory.mktemp("graph")
    if worker_id == "master":
        return finished(folder)
    shared = tmp_path_factory.getbasetemp().parent / "graph"  # of all test processes: one builds it, each has a copy
    with FileLock(f"{shared}.lock"):
        if not (shared / "first.json").exists():
            first = finished(shared).first
            (shared / "first.json").write_text(json.dumps([first.args, first.returncode, first.stdout, first.stderr]))
    shutil.copytree(shared / "lake", folder / "lake")
    (folder / "small.yaml").write_text(yaml.safe_dump({**SMALL, "lake": str(folder / "lake")}))
    first = subprocess.CompletedProcess(*json.loads((shared / "first.json").read_text()))
    return SmallGraph(folder, CHECKOUT, SMALL, first)


@pytest.fixture(scope="session")
def lake(built) -> Lake:
    return Lake(built.folder / "lake")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with the bucket ``mg``, while this process knows its address."""
    s3fs = pytest.importorskip("s3fs", reason="s3fs is absent: pip install -e '.[scale]'")
    folder = tmp_path_factory.mktemp("objects")
    with pytest.MonkeyPatch.context() as patch:
        try:
            with object_store(folder / "files", "mg") as variables:
                for name, value in variables.items():
                    patch.setenv(name, value)
                s3fs.S3FileSystem.clear_instance_cache()  # clients of another module's server
                yield
        except AbsentError as error:
            pytest.skip(str(error))
