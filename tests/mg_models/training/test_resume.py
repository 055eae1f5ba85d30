"""A training whose processes are all killed goes on, in the next run, at the last finished seed."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from mg_models.catalog import CATALOG, override
from mg_models.data.panel import Panel
from mg_models.training import retrain as training
from mg_models.training.retrain import train_many
from mg_models.worker_pool import PREFIX, shared_folder

CHECKOUT = Path(__file__).parents[3]
SEEDS = [0, 1, 2]
SIZES = {
    "steps": 6, "hidden": 4, "min_train_days": 5, "min_valid_days": 2, "every": 1, "batch_rows": 60,
    "check_every": 10, "patience": 400, "max_epochs": 2, "seeds": SEEDS,
}  # fmt: skip
SCRIPT = """
import sys
import numpy as np

def main():
    from mg_models.training import retrain as training
    from mg_models.catalog import CATALOG, override
    from mg_models.data.panel import Panel

    training.git_revision = lambda: None
    data = np.load(sys.argv[1], allow_pickle=True)
    panel = Panel(data["days"], data["symbols"], data["values"], tuple(data["features"].tolist()))
    spec = override(CATALOG["hf_gru"], **eval(sys.argv[2]))
    training.train(spec, {"hf": panel}, data["labels"], None, "2013H2", workers=2, out_dir=sys.argv[3])

if __name__ == "__main__":
    main()
"""


@pytest.fixture(autouse=True)
def revision(monkeypatch):
    monkeypatch.setattr(training, "git_revision", lambda: None)


def test_a_killed_training_resumes_at_the_last_finished_seed(make, tmp_path, monkeypatch):
    """SIGKILL to the run and the processes that train, as soon as a seed is stored; the same bytes come out."""
    panel: Panel = make.factor_panel(130, 30, 4, missing=0.02)
    labels = np.nan_to_num(panel.values[..., 0]) + np.random.default_rng(1).standard_normal((130, 30))
    arrays = {n: np.array(getattr(panel, n)) for n in ("days", "symbols", "values", "features")}
    np.savez(tmp_path / "data.npz", labels=labels, **arrays)
    (tmp_path / "train.py").write_text(SCRIPT)
    path = os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
    target = tmp_path / "killed"
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "train.py"), str(tmp_path / "data.npz"), repr(SIZES), str(target)],
            env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)},
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        while not list(target.glob("2013H2/seed*.json")):
            assert process.poll() is None, (tmp_path / "log").read_text()[-3000:]
            time.sleep(0.002)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    kept = {p.stem: p.read_bytes() for p in target.glob("2013H2/seed*.json")}
    assert 1 <= len(kept) < len(SEEDS), "the kill came after the last seed was trained"

    assert len(list(tmp_path.glob(f"{PREFIX}*"))) == 1  # the killed one's arrays
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with shared_folder() as own:
        assert list(tmp_path.glob(f"{PREFIX}*")) == [own]  # the next has removed them
    spec, plans, ran = override(CATALOG["hf_gru"], **SIZES), [], []
    args = (spec, {"hf": panel}, labels, None, ["2013H2"])
    train_many(*args, out_dir=target, on_plan=plans.append, on_trained=lambda _, seed: ran.append(f"seed{seed}"))
    assert {f"seed{s}" for _, s in plans[0].done} == set(kept)
    assert not plans[0].damaged
    assert sorted([*ran, *kept]) == [f"seed{s}" for s in SEEDS]

    train_many(*args, out_dir=tmp_path / "whole")
    for seed in SEEDS:
        for suffix in ("json", "safetensors"):
            name = f"2013H2/seed{seed}.{suffix}"
            assert (target / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
