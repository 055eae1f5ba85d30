"""Every catalog entry, small: trains, repeats to the byte, sees no future, treats stocks alike, is stored whole."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

import mg_portfolio
from mg_models import checkpoint
from mg_models.catalog import CATALOG, COMBINATIONS, get, override, signal_names, trained_parts
from mg_models.data.dataset import Dataset, step_features
from mg_models.data.day_statistics import zscore_stocks
from mg_models.data.label_transforms import STYLES
from mg_models.data.panel import Panel
from mg_models.data.panel_windows import as_tensor
from mg_models.errors import CatalogError
from mg_models.inference import predict, predict_signals
from mg_models.networks import build_network
from mg_models.training import retrain as training
from mg_models.training.retrain import train

DAYS, STOCKS, RETRAIN = 170, 36, "2013H2"
STEPS = {
    "hf": 6, "daily": 8, "weekly": 4, "monthly": 3, "daily_factors": 5, "price_volume": 1,
    "features_240m": 2, "features_60m": 8, "features_30m": 16,
}  # fmt: skip
SMALL = {
    "hidden": 4, "feedforward": 8, "max_epochs": 1, "batch_rows": 300, "train_days": 60, "valid_days": 40,
    "min_train_days": 5, "min_valid_days": 2, "batch_stocks": 20, "batch_days": 4, "min_stocks": 10,
}  # fmt: skip
FIXED = {"batch_stocks", "batch_days", "train_days", "valid_days"}  # 0 means another rule


def small(name: str):
    """An entry with the sizes of a test; what the entry turns off stays off."""
    spec = get(name)
    parts = (spec, spec.network, spec.loss, spec.split)
    present = {f: v for part in parts for f, v in vars(part).items()}
    changes = {k: v for k, v in SMALL.items() if k in present and (k not in FIXED or present[k])}
    if present.get("task_attention_heads"):
        changes["task_attention_heads"] = 2
    steps = {i.panel: min(STEPS[i.panel], i.steps) for i in spec.inputs}
    return override(spec, **changes, steps=steps, seeds=[0])


def labels_of(spec) -> np.ndarray:
    rng = np.random.default_rng(4)
    labels = 0.05 * rng.standard_normal((DAYS, STOCKS, len(spec.label.horizons)))
    labels[rng.random((DAYS, STOCKS)) < 0.05] = np.nan
    return labels


@pytest.fixture(scope="module")
def inputs(make) -> dict:
    panels = {
        "hf": make.factor_panel(DAYS, STOCKS, 4, seed=1, missing=0.02),
        "daily_factors": make.factor_panel(DAYS, STOCKS, 4, seed=2, missing=0.02),
        "features_240m": make.factor_panel(DAYS, STOCKS, 3, seed=3, missing=0.02),
        "features_60m": make.factor_panel(DAYS, STOCKS, 12, seed=4, missing=0.02),
        "features_30m": make.factor_panel(DAYS, STOCKS, 24, seed=5, missing=0.02),
        **make.bars_of(make.weekdays(DAYS), make.daily_bars(DAYS, STOCKS)),
    }
    features = make.factor_panel(DAYS, STOCKS, 6, seed=6, missing=0.02).values
    named = (*STYLES, "std_20", "corr_20", "ret")
    panels["price_volume"] = Panel(make.weekdays(DAYS), make.names(STOCKS), features, named)
    member = np.ones((DAYS, STOCKS, 1))
    member[:, 30:] = np.nan
    panels["liquid"] = Panel(make.weekdays(DAYS), make.names(STOCKS), member, ("member",))
    return panels


@pytest.fixture(scope="module", autouse=True)
def revision():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "git_revision", lambda: "0" * 40)
        yield


@pytest.fixture(scope="module", params=CATALOG)
def case(request, inputs, tmp_path_factory):
    """An entry, the folder of its trained model, and the days that it predicts."""
    spec = small(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    models = train(spec, inputs, labels_of(spec), None, RETRAIN, out_dir=folder)
    days = inputs["hf"].days
    return spec, models, folder / RETRAIN, days[days >= np.datetime64("2013-07-01")]


def stored_bytes(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.glob("seed*"))}


def test_it_trains_and_scores_every_eligible_stock(case, inputs):
    spec, models, _, days = case
    assert np.isfinite(models[0].card["training"]["best_valid_rank_ic"])
    fresh = build_network(spec, step_features(spec, models[0].features))
    moved = [k for k, v in fresh.state_dict().items() if not v.equal(models[0].state[k])]
    assert len(moved) == len(models[0].state)  # every weight was loaded and trained, none left behind
    days = days[:12]
    scores = predict_signals(models, inputs, days)
    assert tuple(scores) == spec.signals
    takes_part = Dataset(spec, inputs).eligible[np.isin(inputs["hf"].days, days)]
    for score in scores.values():
        np.testing.assert_array_equal(np.isfinite(score), takes_part)
    if spec.universe:
        assert not takes_part[:, 30:].any()
    if spec.heads:
        mean = f"{spec.name}_{spec.heads[-1]}"
        np.testing.assert_array_equal(scores[mean], scores[spec.name])
        assert not np.array_equal(*(np.nan_to_num(scores[f"{spec.name}_{h}"]) for h in spec.heads[:2]))


def test_the_same_bytes_again_whatever_the_future_holds(case, inputs, tmp_path, make):
    spec, _, folder, days = case
    cut = int(np.searchsorted(inputs["hf"].days, days[0]))
    changed = {name: make.future_changed(p, cut - 1) for name, p in inputs.items()}
    labels = labels_of(spec)
    labels[cut - spec.horizon - 1 :] = 9.0
    train(spec, changed, labels, None, RETRAIN, out_dir=tmp_path)
    assert stored_bytes(tmp_path / RETRAIN) == stored_bytes(folder)


def test_the_past_does_change_it(case, inputs, tmp_path):
    spec, _, folder, _ = case
    labels = labels_of(spec)
    labels[40:80] *= -1
    train(spec, inputs, labels, None, RETRAIN, out_dir=tmp_path)
    name = "seed0.safetensors"
    assert stored_bytes(tmp_path / RETRAIN)[name] != stored_bytes(folder)[name]


def test_a_later_day_changes_no_score(case, inputs, make):
    _, models, _, days = case
    some = days[[0, 21]]
    whole = predict_signals(models, inputs, some)
    for at in (0, 1):
        end = int(np.searchsorted(inputs["hf"].days, some[at]))
        then = {name: make.cut_after(p, end) for name, p in inputs.items()}
        later = {name: make.future_changed(p, end) for name, p in inputs.items()}
        for known in (then, later):
            for name, score in predict_signals(models, known, some[at : at + 1]).items():
                np.testing.assert_array_equal(score[0], whole[name][at])


def test_permuted_stocks_permute_the_scores(case, inputs, make):
    _, models, _, days = case
    order = np.random.default_rng(6).permutation(STOCKS)
    got = predict(models, {name: make.permuted(p, order) for name, p in inputs.items()}, days[:5])
    np.testing.assert_allclose(got, predict(models, inputs, days[:5])[:, order], atol=5e-4)


def test_a_stock_is_scored_as_if_alone(case, inputs):
    """Except by attention between stocks: there padding, and other days beside it, do not matter."""
    spec, models, _, days = case
    data = Dataset(spec, inputs)
    at = np.searchsorted(data.days, days[:3]).tolist()
    network = models[0].network()
    each = [data.windows(d) for d in at]
    few = [{p: as_tensor(w)[:, : 5 + 3 * k] for p, w in windows.items()} for k, windows in enumerate(each)]
    with torch.inference_mode():
        if spec.network.kind != "stock_attention":
            torch.testing.assert_close(network(few[0]), network(each[0])[:5], atol=2e-6, rtol=1e-4)
            return
        joined = {p: torch.cat([w[p] for w in few], dim=1) for p in few[0]}
        day = torch.repeat_interleave(torch.arange(3), torch.tensor([5, 8, 11]))
        alone = torch.cat([network(w) for w in few])
        torch.testing.assert_close(network(joined, day), alone, atol=2e-6, rtol=1e-4)
        assert not torch.allclose(network(few[0]), network(each[0])[:5], atol=1e-4)  # others do matter


def test_the_card_holds_the_entry(case, inputs):
    spec, models, folder, days = case
    (loaded,) = checkpoint.load(folder)
    assert loaded.spec == spec
    assert loaded.spec.hash == models[0].spec.hash
    np.testing.assert_array_equal(predict([loaded], inputs, days[:2]), predict(models, inputs, days[:2]))


@pytest.mark.parametrize("combination", ["attention", "contrastive"])
def test_residual_learning_combines_in_each_way(inputs, combination, tmp_path):
    spec = override(small("mrl_daily_30min_5d"), combination=combination)
    labels = labels_of(spec)
    models = train(spec, inputs, labels, None, RETRAIN, out_dir=tmp_path / "a")
    train(spec, inputs, labels, None, RETRAIN, out_dir=tmp_path / "b")
    assert stored_bytes(tmp_path / "a" / RETRAIN) == stored_bytes(tmp_path / "b" / RETRAIN)
    data, network = Dataset(spec, inputs), models[0].network()
    windows = data.windows(140)
    with torch.inference_mode():
        few = network({p: as_tensor(w)[:, :5] for p, w in windows.items()})
        torch.testing.assert_close(few, network(windows)[:5], atol=2e-6, rtol=1e-4)


def test_heads_and_seeds_are_z_scored_and_averaged(inputs):
    spec = override(small("mtl_mlp"), seeds=[3, 4])
    models = train(spec, inputs, labels_of(spec), None, RETRAIN)
    data = Dataset(spec, inputs)
    at = 140
    with torch.inference_mode():
        raw = np.stack([m.network()(data.windows(at)).double().numpy() for m in models])  # (seeds, rows, heads)
    got = predict_signals(models, inputs, data.days[at : at + 1])
    rows = data.rows(at)
    for k, head in enumerate(("10d", "20d")):
        np.testing.assert_allclose(got[f"mtl_mlp_{head}"][0, rows], zscore_stocks(raw[..., k]).mean(0), atol=1e-12)
    np.testing.assert_allclose(got["mtl_mlp"][0, rows], zscore_stocks(raw.mean(-1)).mean(0), atol=1e-12)


def test_a_trained_process_gives_the_same_bytes(inputs, tmp_path):
    """Dropout, several inputs of several steps and the universe reach a process of its own."""
    spec = override(small("mtl_stock_attention"), seeds=[0, 1])
    labels = labels_of(spec)
    train(spec, inputs, labels, None, RETRAIN, out_dir=tmp_path / "here")
    train(spec, inputs, labels, None, RETRAIN, out_dir=tmp_path / "there", workers=2)
    assert stored_bytes(tmp_path / "here" / RETRAIN) == stored_bytes(tmp_path / "there" / RETRAIN)


def test_every_published_model_is_a_signal():
    """All subjects of the reports' tables are signals, portfolios of one, or factors."""
    table = Path(mg_portfolio.__file__).parent / "report" / "published.csv"
    with table.open() as file:
        rows = list(csv.DictReader(file))
    of_models = {
        ("huatai_72", "chart 45"), ("huatai_72", "chart 52"), ("huatai_72", "chart 57"), ("haitong_88", "table 1"),
        ("haitong_88", "table 3"), ("haitong_88", "table 4"), ("haitong_88", "table 5"), ("haitong_88", "table 6"),
        ("haitong_88", "table 7"), ("huatai_69", "chart 10"), ("huatai_69", "chart 11"), ("huatai_69", "chart 22"),
        ("huatai_69", "chart 23"), ("huatai_69", "chart 34"), ("huatai_69", "chart 35"),
    }  # fmt: skip
    subjects = {r["subject"] for r in rows if (r["report"], r["table"]) in of_models}
    assert len(subjects) == 50
    assert subjects <= set(signal_names())
    weekly = [r["subject"] for r in rows if (r["report"], r["table"]) == ("haitong_weekly", "table 1")]
    assert [s for s in dict.fromkeys(weekly)][10:] == [
        "gru_50_1_nn10", "gru_50_2_nn10", "attention_gru_50_2_nn10", "residual_attention_lstm_48_2_nn10",
        "multi_granularity_5d", "multi_granularity_10d",
    ]  # fmt: skip
    assert set(weekly[-6:]) <= set(signal_names())
    relaxed = {r["subject"] for r in rows if r["table"] == "chart 24"}  # the same signals under looser limits
    assert {s.removesuffix("_relaxed") for s in relaxed} <= set(CATALOG)


def test_every_combination_leads_to_trained_models():
    for name, combination in COMBINATIONS.items():
        parts = trained_parts([name])
        assert set(parts) <= set(CATALOG)
        assert bool(parts) == (combination.rule == "fuse")
    assert trained_parts(["attention_ensemble"]) == (
        "mtl_mlp", "mtl_task_attention", "mtl_stock_attention", "temporal_transformer",
    )  # fmt: skip
    with pytest.raises(CatalogError, match="no signal 'gru_5d' in the catalog"):
        trained_parts(["gru_5d"])
