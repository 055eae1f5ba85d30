"""The cost of a training, estimated before it is launched: counts that are exact, and a measurement without a trace."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from mg_models.catalog import CATALOG, override
from mg_models.training import cost_estimate as cost
from mg_models.training import retrain as training
from mg_models.training.cost_estimate import Rate, estimate
from mg_models.training.retrain import plan_training, train, train_many

DAYS, STOCKS = 260, 40
QUICK = {
    "hidden": 5, "batch_rows": 200, "max_epochs": 3, "check_every": 3, "patience": 2, "min_train_days": 10,
    "min_valid_days": 3, "steps": 6, "seeds": [0, 1],
}  # fmt: skip


@pytest.fixture(scope="module")
def case(make):
    panel = make.factor_panel(DAYS, STOCKS, 4, missing=0.02)
    labels = np.nan_to_num(panel.values[..., 0]) + np.random.default_rng(1).standard_normal((DAYS, STOCKS))
    return override(CATALOG["hf_gru"], **QUICK), {"hf": panel}, labels


@pytest.fixture(scope="module", autouse=True)
def revision():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "git_revision", lambda: "0" * 40)
        yield


def test_windows_and_steps_are_counted(case):
    spec, inputs, labels = case
    todo = plan_training(spec, inputs, labels, None, ["2013H2", "2014H1"])
    got = estimate(todo, workers=2, rate=Rate(0.5, 10.0, "given"))
    split = todo.splits["2014H1"]
    assert got.windows == int(todo.eligible[split.train].sum())
    assert got.window_values == 6 * 4
    steps = []
    data = todo.dataset()
    for seed in (0, 1):
        order = np.random.default_rng(seed).permutation(split.train)
        steps.append(len(list(data.batches(order))))
    assert all(abs(got.steps_per_epoch - s) <= 1 for s in steps)
    assert (got.pairs, got.finished, got.workers) == (4, 0, 2)
    assert got.steps == (9, 9, 3 * got.steps_per_epoch)  # (2 + 1) checks of 3; half the patience later is the same
    each = [min(9, 3 * cost.steps_of_epoch(data, s)) for s in todo.splits.values()]
    assert got.minutes[1] * 60 == pytest.approx(0.5 * 2 * sum(each) / 2 + cost.START_SECONDS)
    assert got.minutes[0] <= got.minutes[1] <= got.minutes[2]
    panel = inputs["hf"].values.nbytes + labels.nbytes + todo.eligible.nbytes
    assert got.panel_mb == pytest.approx(panel / 1e6)
    assert got.memory_mb == pytest.approx(got.panel_mb + 2 * (cost.PROCESS_MB + 10.0))
    known = estimate(todo, 1, Rate(0.5, 10.0, "given", steps=12.0))
    assert known.steps[1] == 12
    text = str(got)
    for word in ("4 (half-year, seed) pairs", "2 at a time on cpu", f"{got.windows:,} an epoch", "9 a pair expected"):
        assert word in text


def test_parts_of_a_day_are_steps(case):
    _, inputs, labels = case
    spec = override(CATALOG["lstm"], hidden=4, steps=2, batch_stocks=15, train_days=80, valid_days=30, seeds=[0])
    member = np.ones((DAYS, STOCKS, 1))
    panels = {"daily_factors": inputs["hf"], "liquid": type(inputs["hf"])(
        inputs["hf"].days, inputs["hf"].symbols, member, ("member",)
    )}  # fmt: skip
    todo = plan_training(spec, panels, labels, None, ["2013H2"])
    data, split = todo.dataset(), todo.splits["2013H2"]
    generator = np.random.default_rng(0)
    counted = sum(1 for days in data.batches(split.train) for _ in data.parts(data.batch(days), generator))
    assert cost.steps_of_epoch(data, split) == counted == 3 * len(split.train)


def test_a_measurement_leaves_no_trace(case, tmp_path):
    """Weights and cards are the same bytes, and torch's own generator draws on as if nothing had been."""
    spec, inputs, labels = case
    train(spec, inputs, labels, None, "2013H2", [0], out_dir=tmp_path / "a")
    seen = []
    torch.manual_seed(5)
    train_many(
        spec, inputs, labels, None, ["2013H2"], [0], out_dir=tmp_path / "b",
        on_plan=lambda todo: seen.append(estimate(todo)),
    )  # fmt: skip
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))
    for name in ("seed0.json", "seed0.safetensors"):
        assert (tmp_path / "a" / "2013H2" / name).read_bytes() == (tmp_path / "b" / "2013H2" / name).read_bytes()
    (got,) = seen
    assert 0 < got.seconds_per_step < 5
    assert "measured on 3 steps" in got.basis


def test_tensors_saved_by_a_step_are_measured(make):
    """Twice the rows keep about twice the bytes, and more than the windows alone."""
    panel = make.factor_panel(150, 200, 6)
    labels = np.random.default_rng(1).standard_normal((150, 200))
    got = []
    for rows in (1000, 2000):
        spec = override(CATALOG["hf_gru"], batch_rows=rows, every=1, seeds=[0], steps=10)
        todo = plan_training(spec, {"hf": panel}, labels, None, ["2013H2"])
        got.append(cost.measure(todo.dataset(), todo.splits["2013H2"], 5).activations_mb)
    assert got[1] / got[0] == pytest.approx(2, rel=0.1)
    assert got[0] > 10 * 1000 * 6 * 4 / 1e6


def test_finished_pairs_cost_nothing(case, tmp_path):
    spec, inputs, labels = case
    train(spec, inputs, labels, None, "2013H2", [0], out_dir=tmp_path)
    todo = plan_training(spec, inputs, labels, None, ["2013H2"], out_dir=tmp_path)
    assert todo.jobs == [("2013H2", 1)]
    got = estimate(todo, 1, Rate(1.0, 1.0, "given"))
    assert (got.pairs, got.finished) == (2, 1)
    assert got.minutes[1] * 60 == pytest.approx(got.steps[1])
    assert "1 of them finished by an earlier run" in str(got)


def test_a_process_takes_the_stated_memory():
    script = (
        "import mg_models.training.worker_processes, pathlib, re, torch\n"
        "torch.nn.GRU(6, 30)(torch.zeros(40, 100, 6))\n"
        # not ru_maxrss: a child inherits that of the process that started it
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', pathlib.Path('/proc/self/status').read_text())[1]) / 1024)"
    )
    found = float(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
    assert 0.5 * cost.PROCESS_MB < found < 1.5 * cost.PROCESS_MB
