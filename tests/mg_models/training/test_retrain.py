"""Training: the same bytes again, blind to the future, and resumable."""

import dataclasses
import json
import os
import signal

import numpy as np
import pool_tasks
import pytest

from mg_models import checkpoint
from mg_models.catalog import CATALOG, override
from mg_models.data.panel import Panel
from mg_models.errors import CheckpointError, InputError, LeakageError, TrainingError
from mg_models.training import retrain as training
from mg_models.training.retrain import train, train_many

DAYS, STOCKS = 260, 40
QUICK = {
    "hidden": 5,
    "batch_rows": 200,
    "max_epochs": 3,
    "check_every": 3,
    "patience": 2,
    "min_train_days": 10,
    "min_valid_days": 3,
}


@pytest.fixture(scope="module")
def hf(make):
    panel = make.factor_panel(DAYS, STOCKS, 4, missing=0.02)
    noise = np.random.default_rng(1).standard_normal((DAYS, STOCKS))
    labels = np.nan_to_num(panel.values[..., 0]) + noise
    labels[::9, ::5] = np.nan
    return override(CATALOG["hf_gru"], steps=6, seeds=[0, 1], **QUICK), {"hf": panel}, labels


@pytest.fixture(scope="module")
def lf(make):
    daily = make.daily_bars(DAYS, STOCKS)
    labels = np.random.default_rng(2).standard_normal((DAYS, STOCKS))
    steps = {"daily": 10, "weekly": 6, "monthly": 4}
    spec = override(CATALOG["lf_multitask"], steps=steps, seeds=[0], **QUICK)
    return spec, make.bars_of(make.weekdays(DAYS), daily), labels


def stored_bytes(folder) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("seed*"))}


@pytest.fixture(scope="module", autouse=True)
def revision():
    """One git revision for all: a commit made while the tests run must not differ between cards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "git_revision", lambda: "0" * 40)
        yield


@pytest.fixture(scope="module")
def trained(hf, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hf")
    spec, inputs, labels = hf
    train_many(spec, inputs, labels, None, ["2013H2", "2014H1"], out_dir=folder)
    return folder


def test_the_same_bytes_again_and_in_processes(hf, trained, tmp_path):
    spec, inputs, labels = hf
    train(spec, inputs, labels, None, "2014H1", out_dir=tmp_path, workers=2)
    assert stored_bytes(tmp_path) == {k: v for k, v in stored_bytes(trained).items() if k.startswith("2014H1")}
    assert len(stored_bytes(trained)) == 8  # 2 retrains, 2 seeds, weights and card


def test_seeds_differ(trained):
    a, b = checkpoint.load(trained / "2013H2")
    assert (a.seed, b.seed) == (0, 1)
    assert any(not a.state[k].equal(b.state[k]) for k in a.state)


@pytest.mark.parametrize("kind", ["hf", "lf"])
def test_training_cannot_see_past_the_cut(kind, request, tmp_path, make):
    """Inputs from the last validation day on, and labels not known by the cut, change no byte."""
    spec, inputs, labels = request.getfixturevalue(kind)
    retrain = "2013H2"
    panel = next(iter(inputs.values()))
    cut = int(np.searchsorted(panel.days, np.datetime64("2013-07-01")))
    train(spec, inputs, labels, None, retrain, seeds=[0], out_dir=tmp_path / "a")
    changed = {name: make.future_changed(p, cut - 1) for name, p in inputs.items()}
    other = labels.copy()
    other[cut - 11 :] = 9.0
    train(spec, changed, other, None, retrain, seeds=[0], out_dir=tmp_path / "b")
    assert stored_bytes(tmp_path / "a") == stored_bytes(tmp_path / "b")


def test_a_stock_listed_later_changes_no_byte(hf, trained, tmp_path):
    """A half-year has the same model and card trained alone or with later ones, whose panel is wider."""
    spec, inputs, labels = hf
    panel = inputs["hf"]
    values = np.concatenate([panel.values, panel.values[:, :1]], axis=1)
    values[: np.searchsorted(panel.days, np.datetime64("2013-07-01")), -1] = np.nan
    wider = Panel(panel.days, np.append(panel.symbols, "999999.SZ"), values, panel.features)
    train(spec, {"hf": wider}, np.append(labels, labels[:, :1], axis=1), None, "2013H2", seeds=[0], out_dir=tmp_path)
    alone = {k: v for k, v in stored_bytes(trained).items() if k.startswith("2013H2") and "seed0" in k}
    assert stored_bytes(tmp_path) == alone


def test_the_perturbed_past_does_change_it(hf, trained, tmp_path):
    spec, inputs, labels = hf
    other = labels.copy()
    other[50:60] *= -1
    train(spec, inputs, other, None, "2013H2", seeds=[0], out_dir=tmp_path)
    weights = (tmp_path / "2013H2" / "seed0.safetensors").read_bytes()
    assert weights != (trained / "2013H2" / "seed0.safetensors").read_bytes()


def test_an_interrupted_training_resumes(hf, trained, tmp_path):
    spec, inputs, labels = hf

    def interrupt(progress):
        if progress.seed == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(spec, inputs, labels, None, "2013H2", out_dir=tmp_path, on_progress=interrupt)
    seen = []
    train(spec, inputs, labels, None, "2013H2", out_dir=tmp_path, on_progress=lambda p: seen.append(p.seed))
    assert set(seen) == {1}
    assert stored_bytes(tmp_path / "2013H2") == stored_bytes(trained / "2013H2")


def test_a_killed_process_is_reported_and_the_rest_resumes(hf, tmp_path):
    spec, inputs, labels = hf
    long = override(spec, max_epochs=15, check_every=1, patience=1000)
    train(long, inputs, labels, None, "2013H2", [0], out_dir=tmp_path)
    kept = stored_bytes(tmp_path)
    before = set(pool_tasks.children())

    def kill(_):
        for process in set(pool_tasks.children()) - before:
            os.kill(process, signal.SIGKILL)

    with pytest.raises(TrainingError, match=r"seed [12] died with exit code -9"):
        train(long, inputs, labels, None, "2013H2", [0, 1, 2], workers=2, out_dir=tmp_path, on_progress=kill)
    assert stored_bytes(tmp_path) == kept
    assert set(pool_tasks.children()) == before


def test_other_settings_or_fingerprints_train_again(hf, tmp_path):
    spec, inputs, labels = hf
    seen = []

    def note(progress):
        seen.append(progress.step)

    def run(spec, fingerprints):
        seen.clear()
        train(spec, inputs, labels, None, "2013H2", [0], on_progress=note, out_dir=tmp_path, fingerprints=fingerprints)
        return bool(seen)

    assert run(spec, {"factors": "v1"})
    assert not run(spec, {"factors": "v1"})
    assert run(spec, {"factors": "v2"})
    assert run(override(spec, hidden=6), {"factors": "v2"})


def test_the_card_holds_the_provenance(hf, trained):
    spec, inputs, _ = hf
    card = json.loads((trained / "2014H1" / "seed1.json").read_text())
    days = inputs["hf"].days.astype(str).tolist()
    assert card["catalog_entry"]["name"] == "hf_gru"
    assert (card["config_hash"], card["seed"], card["threads"]) == (spec.hash, 1, 1)
    for part in ("train", "valid"):
        assert card["ranges"][part]["first"] in days
    assert card["ranges"]["train"]["last"] < card["ranges"]["valid"]["first"]
    assert card["ranges"]["valid"]["last"] < card["predicts_from"] == "2014-01-01"
    training = card["training"]
    best = max(training["checks"], key=lambda c: c["rank_ic"])
    assert training["best_step"] == best["step"]
    assert training["best_valid_rank_ic"] == best["rank_ic"]
    assert set(card["versions"]) == {"torch", "numpy", "safetensors"}


def test_progress_reports_what_is_left(hf):
    spec, inputs, labels = hf
    seen = []
    train(spec, inputs, labels, None, "2013H2", [0], on_progress=seen.append)
    assert [p.step for p in seen[:2]] == [3, 6]
    assert all(p.seconds_left >= 0 and p.best_rank_ic >= p.valid_rank_ic for p in seen)


def test_flat_inputs_teach_nothing_and_break_nothing(hf):
    """Constant inputs give a constant prediction on every step: no NaN, RankIC 0."""
    spec, inputs, labels = hf
    panel = inputs["hf"]
    flat = Panel(panel.days, panel.symbols, np.zeros_like(panel.values), panel.features)
    (model,) = train(spec, {"hf": flat}, labels, None, "2013H2", [0])
    assert all(np.isfinite(v.numpy()).all() for v in model.state.values())
    assert model.card["training"]["best_valid_rank_ic"] == 0


def test_altered_weights_are_refused(trained, tmp_path):
    for path in (trained / "2013H2").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = tmp_path / "seed0.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(CheckpointError, match=r"not the file that seed0\.json was written with"):
        checkpoint.load(tmp_path)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"no weights seed0\.safetensors"):
        checkpoint.load(tmp_path)
    with pytest.raises(CheckpointError, match="no trained model"):
        checkpoint.load(tmp_path / "absent")


def test_a_card_of_the_first_format_still_loads(trained, tmp_path):
    """Format 1 named the network and the loss, with their settings beside them."""
    for path in (trained / "2013H2").glob("seed0*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    card = json.loads((tmp_path / "seed0.json").read_text())
    entry = card["catalog_entry"]
    network, loss, label = (entry.pop(k) for k in ("network", "loss", "label"))
    for key in ("universe", "batch_days", "batch_stocks", "weight_decay"):
        del entry[key]
    del entry["split"]["train_days"], entry["split"]["valid_days"]
    for i in entry["inputs"]:
        del i["per_day"]
    own = {k: network[k] for k in ("hidden", "layers", "sigmoid")}
    entry |= {"network": network["kind"], "loss": loss["kind"], "horizon": label["horizons"][0], **own}
    entry |= {"shared": True, "correlation_penalty": 0.01}
    (tmp_path / "seed0.json").write_text(json.dumps({**card, "format": 1}))
    (old,), now = checkpoint.load(tmp_path), checkpoint.load_seed(trained / "2013H2", 0)
    assert old.spec == now.spec
    assert old.spec.hash == now.spec.hash
    (tmp_path / "seed0.json").write_text(json.dumps({**card, "format": 3}))
    with pytest.raises(CheckpointError, match="has format 3, this version reads 1 and 2"):
        checkpoint.load(tmp_path)


def test_weights_of_another_network_are_refused(trained):
    model = checkpoint.load_seed(trained / "2013H2", 0)
    other = dataclasses.replace(model, spec=override(model.spec, hidden=9))
    with pytest.raises(CheckpointError, match="hf_gru 2013H2 seed 0 was stored with other weights"):
        other.network()


def test_what_does_not_fit_is_refused(hf):
    spec, inputs, labels = hf
    with pytest.raises(InputError, match="needs the inputs \\['hf'\\], was given \\['x'\\]"):
        train(spec, {"x": inputs["hf"]}, labels, None, "2013H2")
    with pytest.raises(InputError, match=r"input 'hf' was a ndarray, expected a Panel: give Panel.from_frame"):
        train(spec, {"hf": inputs["hf"].values}, labels, None, "2013H2")
    with pytest.raises(InputError, match=r"inputs was a Panel, expected panels by name: \{'hf'"):
        train(spec, inputs["hf"], labels, None, "2013H2")
    with pytest.raises(TrainingError, match="retrain must be a half-year like '2017H1', was 2013"):
        train(spec, inputs, labels, None, 2013)
    few = np.where(np.arange(STOCKS) < 20, labels, np.nan)
    with pytest.raises(TrainingError, match=r"no day had 30 stocks with inputs and labels that vary, at most 20 of 40"):
        train(spec, inputs, few, None, "2013H2")
    with pytest.raises(InputError, match="labels must be"):
        train(spec, inputs, labels[:-1], None, "2013H2")
    with pytest.raises(TrainingError, match=r"^\w+, retrain 2013H1: 0 training"):
        train(spec, inputs, labels, None, "2013H1")
    late = np.full(DAYS, np.datetime64("2013-12-31"))
    with pytest.raises(LeakageError):
        train(spec, inputs, labels, late, "2013H2")
    with pytest.raises(TrainingError, match="workers"):
        train(spec, inputs, labels, None, "2013H2", workers=0)
