"""Training that can be watched: cost, progress, curves and logs, through its asset on a small lake."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mg_assets.assets.models import _take_trained
from mg_assets.errors import DamagedPartitionError, DataError
from mg_assets.factors.registry import HF27
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
from mg_assets.modelling.labels import training_labels
from mg_assets.modelling.monitor import TensorBoardLogs, TrainingMonitor, cost_of, open_logs, stored_rate
from mg_assets.modelling.panels import model_inputs
from mg_assets.modelling.reproduce import retrain_check
from mg_assets.orchestration.partition_build import Build
from mg_models import checkpoint
from mg_models.catalog import CATALOG, override
from mg_models.data.splits import Split
from mg_models.training.cost_estimate import Rate
from mg_models.training.fit import Progress
from mg_models.training.retrain import plan_training

CHECKOUT = Path(__file__).parents[3]
SEEDS = [0, 1]
SIZES = {
    "steps": 6, "hidden": 4, "min_train_days": 5, "min_valid_days": 2, "every": 1, "batch_rows": 60,
    "check_every": 2, "patience": 20, "max_epochs": 2, "seeds": SEEDS,
}  # fmt: skip
SCRIPT = """
import sys, warnings

def main():
    warnings.filterwarnings("ignore")
    from mg_assets.assets import make
    from mg_assets.lake.store import Lake
    from mg_models.training import retrain as training

    training.git_revision = lambda: None
    lake = Lake(sys.argv[1])
    log = lambda line: print(line, flush=True)
    for made in make("hf_gru_model", ["2013H2"], lake, workers=2, log=log):
        lake.write("hf_gru_model", made.key, made.frame, made.stored)
        for name, value in made.metadata.items():
            print(f"METADATA {name} {type(value).__name__}", flush=True)

if __name__ == "__main__":
    main()
"""


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MG_", "DAGSTER")) or k == "MG_SETTINGS"}
    graph = {
        "MG_CATALOG": "hf_gru", "MG_MODELS": json.dumps({"hf_gru": SIZES}), "MG_FIRST_MODEL": "2013H2",
        "MG_PORTFOLIOS": json.dumps({"csi500_turnover30": {"signal": "hf_gru"}}),
    }  # fmt: skip
    return kept | {"OMP_NUM_THREADS": "1"} | graph | more


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("watched") / "lake")
    rng = np.random.default_rng(1)
    symbols = [f"{600000 + i}.SH" for i in range(30)]
    for day in trading_days("2013-01-04", "2013-06-28").astype(str):
        values = rng.standard_normal((len(symbols), len(HF27)))
        lake.write(
            "factor_inputs", day, pd.DataFrame(values, columns=list(HF27)).assign(symbol=symbols)[["symbol", *HF27]]
        )
        returns = {f"ret_{h}": 0.02 * values[:, 0] + 0.03 * rng.standard_normal(len(symbols)) for h in (5, 10, 20)}
        lake.write("labels", day, pd.DataFrame({"symbol": symbols, **returns}))
    return lake


@pytest.fixture(scope="module")
def script(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("script") / "train.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture(scope="module")
def whole(script, lake, tmp_path_factory) -> tuple[Lake, str]:
    """A training that nobody disturbs, with TensorBoard's logs where the package is installed."""
    folder = tmp_path_factory.mktemp("whole")
    other = copied(lake, folder)
    try:
        import tensorboard  # noqa: F401

        more = {"MG_TRAINING_LOGS": "tensorboard"}
    except ImportError:
        more = {}
    path = os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, str(script), str(other.root)], env=environment(PYTHONPATH=path, **more), cwd=CHECKOUT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    return other, run.stdout


def copied(lake: Lake, folder: Path) -> Lake:
    return Lake(shutil.copytree(lake.root, folder / "lake"))


def stored(lake: Lake) -> dict[str, bytes]:
    folder = Path(lake.folder("hf_gru_model", "2013H2"))
    return {p.name: p.read_bytes() for p in sorted(folder.glob("seed*"))}


def test_a_training_run_logs_cost_progress_and_curves(whole):
    lake, log = whole
    assert "hf_gru will take to train: 2 (half-year, seed) pairs; 2 at a time on cpu" in log
    assert "an epoch; " in log
    assert "MB a process" in log
    progressed = [line for line in log.splitlines() if "s left" in line]
    assert len(progressed) >= 4
    assert "2 of 2 trained, about 0 s left" in progressed[-1]
    assert any("step 2, loss" in line for line in progressed)
    assert "METADATA curves MarkdownMetadataValue" in log
    assert "METADATA checks TableMetadataValue" in log
    assert "METADATA cost MarkdownMetadataValue" in log
    curves = lake.day("hf_gru_model", "2013H2")
    assert list(curves.columns) == ["seed", "epoch", "step", "loss", "rank_ic"]
    card = json.loads(stored(lake)["seed1.json"])
    assert curves[curves["seed"] == 1]["rank_ic"].tolist() == [c["rank_ic"] for c in card["training"]["checks"]]
    assert set(card["fingerprints"]) == {"factor_inputs", "labels"}
    assert set(card["input_digests"]) == {"hf", "labels"}


def test_the_next_estimate_uses_this_trainings_rate(whole):
    lake, _ = whole
    spec = override(CATALOG["hf_gru"], **SIZES)
    kept = lake.metadata("hf_gru_model", "2013H2")
    rate = stored_rate(lake, spec, "2014H1", "cpu")
    assert rate is not None
    assert rate.seconds_per_step == kept["training"]["seconds_per_step"] > 0
    assert rate.steps == kept["training"]["steps"]
    assert "as the training of 2013H2 took" in rate.basis
    assert stored_rate(lake, spec, "2013H2", "cpu") is None  # nothing earlier
    assert stored_rate(lake, override(spec, hidden=5), "2014H1", "cpu") is None
    assert stored_rate(lake, spec, "2014H1", "cuda") is None
    assert kept["weights"] == checkpoint.weights_of(lake.folder("hf_gru_model", "2013H2"))


def test_mg_cost_prints_the_estimate_without_training(lake):
    run = subprocess.run(
        [sys.executable, "-m", "mg_assets.cli.main", "cost", "hf_gru", "2013H2", "--json"],
        env=environment(MG_LAKE=str(lake.root), MG_DEVICE="cpu", MG_WORKERS="2"), cwd=CHECKOUT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    printed = json.loads(run.stdout)
    spec = override(CATALOG["hf_gru"], **SIZES)
    again = cost_of(lake, spec, "2013H2", "cpu", 2, measured=True)
    for name in ("windows", "window_values", "steps_per_epoch", "pairs", "workers"):
        assert printed[name] == getattr(again, name), name
    assert printed["minutes"][0] <= printed["minutes"][1] <= printed["minutes"][2]
    assert not lake.keys("hf_gru_model")


def progress(seed: int, step: int, seconds: float, left: float, rank_ic: float = 0.02) -> Progress:
    return Progress("hf_gru", "2013H2", seed, 1, step, rank_ic, rank_ic, left, -0.01 * step, seconds)


def test_what_an_earlier_run_finished_is_logged(make_plan):
    lines = []
    monitor = TrainingMonitor("hf_gru", lines.append, workers=1, rate=Rate(0.5, 1.0, "given"))
    monitor.launch(make_plan)
    assert lines[0] == "hf_gru: set aside and trained again: seed1.safetensors is not whole"
    assert lines[1] == "hf_gru: 1 of 2 are finished already: 2013H2 seed 0"
    assert "1 of them finished by an earlier run" in lines[2]


@pytest.fixture
def make_plan(whole):
    """A plan whose first seed is finished and whose second is damaged."""
    lake, _ = whole
    spec = override(CATALOG["hf_gru"], **SIZES)
    inputs, axes = model_inputs(lake, spec, until="2013-06-28")
    labels, label_end = training_labels(lake, axes, spec)
    todo = plan_training(spec, inputs, labels, label_end, ["2013H2"])
    (first, *_) = checkpoint.load(lake.folder("hf_gru_model", "2013H2"))
    return dataclasses.replace(todo, done={("2013H2", 0): first}, damaged=("seed1.safetensors is not whole",))


def test_a_half_year_asked_for_twice_is_trained_once(whole, tmp_path):
    """The second run, which waits for the first, takes its seeds where the data are the same."""
    lake, _ = whole
    spec = override(CATALOG["hf_gru"], **SIZES)
    inputs, axes = model_inputs(lake, spec, until="2013-06-28")
    labels, label_end = training_labels(lake, axes, spec)
    marks = checkpoint.load(lake.folder("hf_gru_model", "2013H2"))[0].card["fingerprints"]
    written = lake.modified("hf_gru_model", "2013H2")
    for number, (asked, other, left) in enumerate(
        ((None, 0.0, 2), (written + 1, 0.0, 2), (written - 1, 0.0, 0), (written - 1, 1e-3, 2))
    ):
        folder = tmp_path / str(number)
        build = Build(["2013H2"], lake, lambda: None, 1, lambda: "cpu", print, asked=asked)
        _take_trained(build, "hf_gru_model", folder)
        todo = plan_training(spec, inputs, labels + other, label_end, ["2013H2"], out_dir=folder, fingerprints=marks)
        assert len(todo.jobs) == left


def test_time_left_counts_running_and_waiting_pairs():
    calls, lines = [], []
    monitor = TrainingMonitor("hf_gru", lines.append, lambda *a: calls.append(a), workers=2)
    monitor._total = 4
    monitor.progress(progress(0, 10, 5.0, 20.0))
    assert calls[-1][1:3] == (0, 4)
    monitor.progress(progress(1, 10, 5.0, 30.0))
    assert monitor.seconds_left() == 30  # none of the waiting two has a length yet: at least the slowest running one
    monitor.progress(progress(0, 50, 40.0, 0.0))
    monitor.finished("2013H2", 0)
    # seed 1: 40 s less the 5 it has had; two wait, 40 s each; two at a time
    assert monitor.seconds_left() == pytest.approx((35 + 2 * 40) / 2)
    assert "best validation RankIC +0.0200 after 50 steps; 1 of 4 trained, about 58 s left" in lines[-1]
    assert monitor.measured("2013H2") == {}  # no cost was estimated


def test_tensorboard_has_the_curves(whole):
    pytest.importorskip("tensorboard", reason="the optional package tensorboard is absent")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    lake, _ = whole
    for seed in SEEDS:
        run = Path(lake.root) / ".tensorboard" / "hf_gru" / f"2013H2-seed{seed}"
        events = EventAccumulator(str(run))
        events.Reload()
        checks = json.loads(stored(lake)[f"seed{seed}.json"])["training"]["checks"]
        for tag, field in (("validation/rank_ic", "rank_ic"), ("training/loss", "loss")):
            got = {e.step: e.value for e in events.Scalars(tag)}
            assert got == pytest.approx({c["step"]: c[field] for c in checks}, rel=1e-6)


def test_a_seed_of_an_earlier_run_gets_its_curves_from_its_card(whole, tmp_path):
    pytest.importorskip("tensorboard", reason="the optional package tensorboard is absent")
    lake, _ = whole
    (model, *_) = checkpoint.load(lake.folder("hf_gru_model", "2013H2"))
    logs = TensorBoardLogs(tmp_path)
    logs.add_stored(model)
    (first,) = (tmp_path / "2013H2-seed0").glob("events.*")
    logs.add_stored(model)
    assert list((tmp_path / "2013H2-seed0").glob("events.*")) == [first]
    logs.add(progress(0, 1, 1.0, 1.0))  # retrained: the old curve is removed
    logs.close(("2013H2", 0))
    assert first not in (tmp_path / "2013H2-seed0").glob("events.*")


def test_without_the_package_the_error_names_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    lake = SimpleNamespace(root=str(tmp_path))
    with pytest.raises(DataError, match=r"pip install 'mg\[tensorboard\]'"):
        open_logs("tensorboard", lake, "hf_gru")
    assert open_logs("", lake, "hf_gru") is None
    with pytest.raises(DataError, match="was 'mlflow'"):
        open_logs("mlflow", lake, "hf_gru")


def test_all_seeds_train_to_the_same_bytes_again_in_processes(whole):
    """`mg retrain-check` of every seed, trained side by side as the asset did and one after the other."""
    for workers in (1, 2):
        outcomes = retrain_check(whole[0], "hf_gru", "2013H2", workers=workers)
        assert [o.seed for o in outcomes] == SEEDS
        assert all(o.same and o.same_inputs for o in outcomes), [str(o) for o in outcomes]


def test_seeds_that_the_last_training_did_not_store_are_refused(whole, tmp_path):
    """As after a kill between two seeds that are moved beside the old ones."""
    from mg_assets.assets.models import models_of

    lake = copied(whole[0], tmp_path)
    folder = Path(lake.folder("hf_gru_model", "2013H2"))
    assert len(models_of(lake, "hf_gru", "2013H2")) == 2
    (folder / "seed1.json").unlink()
    with pytest.raises(DamagedPartitionError, match="interrupted while it was stored; run again"):
        models_of(lake, "hf_gru", "2013H2")
    assert lake.info("hf_gru_model")["2013H2"].damaged == "seed1.json is absent"  # the next run trains it
    checkpoint.keep_only(folder, [0])
    assert {p.name for p in folder.glob("[!_]*")} == {"part.parquet", "seed0.json", "seed0.safetensors"}


def test_a_launch_logs_days_asked_and_had():
    none = np.zeros(0, np.int64)
    days = {"train": {"asked": 1512, "had": 700}, "valid": {"asked": 504, "had": 504}}
    splits = {"2017H1": Split("2017H1", none, none, none, days), "2017H2": Split("2017H2", none, none, none)}
    lines: list[str] = []
    TrainingMonitor("lstm", lines.append).launch(
        SimpleNamespace(splits=splits, seeds=(0,), done={}, damaged=(), jobs=[])
    )
    assert lines == ["lstm 2017H1: 1,512 training days asked, 700 had"]
