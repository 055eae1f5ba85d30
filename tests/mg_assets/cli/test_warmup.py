"""The warm-up compiles what a run will need, once for the same sources."""

import json
import os
import subprocess
import sys

import pytest

from mg_assets.cli import warmup
from mg_assets.settings import CHECKOUT

COUNTED = """
import json, warnings
from numba.core import event
warnings.filterwarnings("ignore")
compiled = []

class Listener(event.Listener):
    def on_start(self, found):
        compiled.append(found.data["dispatcher"].py_func.__module__)

    def on_end(self, found):
        pass

event.register("numba:compile", Listener())
"""
WARMED_UP = """
from pathlib import Path
from mg_assets.cli import warmup
warmup.MARK = Path({mark!r})
warmup.warm_up()
print(json.dumps(compiled))
"""
BUILT = """
import datetime as dt, tempfile
from mg_assets.factors import day_pass
from mg_assets.quality import run_suite
from mg_assets.sources import build_source
from mg_assets.lake.store import Lake
lake = Lake(tempfile.mkdtemp())
source = build_source("simulated", {"stocks": 40, "tick_start": "2022-03-01", "orders_per_stock": 90})
day = "2022-03-02"
for table in ("reference", "trades", "orders"):
    lake.write(table, day, source.load(table, dt.date.fromisoformat(day)).frame)
day_pass(lake.file("trades", day), lake.file("orders", day), minutes=True)
run_suite("trades", lake, [day])
print(json.dumps(compiled))
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    for package in warmup.PACKAGES:
        (tmp_path / package).mkdir()
    (tmp_path / "mg_models" / "kernels.py").write_text("from numba import njit\n")
    (tmp_path / "mg_models" / "plain.py").write_text("")
    monkeypatch.setattr(warmup, "CHECKOUT", tmp_path)
    monkeypatch.setattr(warmup, "MARK", tmp_path / "mg_assets" / "__pycache__" / "warmed_up")
    return tmp_path


def test_it_runs_again_when_a_kernel_source_changed(checkout):
    assert warmup.needed()
    warmup.MARK.parent.mkdir()
    warmup.MARK.write_text(warmup.sources())
    assert not warmup.needed()
    assert warmup.start() is None
    (checkout / "mg_models" / "plain.py").write_text("x = 1\n")
    assert not warmup.needed()
    (checkout / "mg_models" / "kernels.py").write_text("from numba import njit  # other\n")
    assert warmup.needed()


def test_two_runs_compile_once(checkout, monkeypatch):
    """Two runs on a new checkout: the second leaves it to the first, as long as that one's process lives."""
    (checkout / "mg_assets" / "__pycache__").mkdir(parents=True)
    started = subprocess.Popen
    monkeypatch.setattr(warmup.subprocess, "Popen", lambda command, **how: started(["sleep", "60"], **how))
    first = warmup.start()
    assert warmup.start() is None
    first.kill()
    first.wait()
    second = warmup.start()
    assert second is not None
    second.kill()
    second.wait()


@pytest.mark.slow
def test_a_run_finds_its_kernels_compiled(tmp_path):
    """In a cache of its own: all is compiled by the warm-up, nothing by the day that follows."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MG_", "DAGSTER"))}
    env |= {"NUMBA_CACHE_DIR": str(tmp_path / "kernels"), "MG_SETTINGS": str(CHECKOUT / "deploy" / "demo.yaml")}
    found = []
    for script in (WARMED_UP.format(mark=str(tmp_path / "mark" / "warmed_up")), BUILT):
        done = subprocess.run(
            [sys.executable, "-c", COUNTED + script], env=env, cwd=CHECKOUT, capture_output=True, text=True, check=True
        )
        found.append([m for m in json.loads(done.stdout.splitlines()[-1]) if m.startswith("mg_")])
    assert len(found[0]) > 100
    assert found[1] == [
        "mg_assets.sources.simulated.matching_book"
    ]  # its reset is compiled by each process, in a moment
