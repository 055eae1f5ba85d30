"""No catalog entry reads the future of its lake, and its predictions carry a certificate that is verified.

The lake is small and complete: simulated daily bars, random factors, labels and periods made by their assets. In a copy
all values after a day are changed; what was computed before may not change by a bit, and what came after must.
"""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mg_assets.assets import make as make_table
from mg_assets.errors import DataError
from mg_assets.factors.daily import DAILY42
from mg_assets.factors.granular import column_names
from mg_assets.factors.registry import ALL34, HF27
from mg_assets.lake.as_of import AsOfLake
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import shift, trading_days, week_of
from mg_assets.modelling import signals
from mg_assets.modelling.certificates import late_labels, verify, verify_model
from mg_assets.modelling.labels import training_labels
from mg_assets.modelling.panels import lookback, model_inputs
from mg_assets.quality import run_suite
from mg_assets.settings import settings
from mg_assets.sources.simulated.exchange import SimulatedExchange
from mg_assets.sources.simulated.settings import SimulationSettings
from mg_models import checkpoint
from mg_models.catalog import CATALOG, COMBINATIONS, HAND_WEIGHTED, override
from mg_models.inference import predict_signals
from mg_models.training.retrain import train

HALF, EVE, DAY, LAST = "2013H2", "2013-06-28", "2013-07-10", "2013-07-19"
SETTINGS = SimulationSettings(seed=3, stocks=45, end="2013-07-22", tick_start="2013-07-22")
RAW = ("daily_factors", "features_240m", "features_60m", "features_30m")
STEPS = {
    "hf": 6, "daily": 8, "weekly": 4, "monthly": 3, "daily_factors": 5,
    "features_240m": 2, "features_60m": 8, "features_30m": 16,
}  # fmt: skip
SMALL = {
    "hidden": 4, "feedforward": 8, "max_epochs": 1, "batch_rows": 200, "train_days": 70, "valid_days": 30,
    "min_train_days": 3, "min_valid_days": 2, "batch_stocks": 20, "batch_days": 4, "min_stocks": 4, "check_every": 2,
}  # fmt: skip
FIXED = {"batch_stocks", "batch_days", "train_days", "valid_days", "check_every"}  # 0 means another rule


def small(name: str, **changes):
    """An entry with the sizes of a test; what the entry turns off stays off."""
    spec = CATALOG[name]
    present = {f: v for part in (spec, spec.network, spec.loss, spec.split) for f, v in vars(part).items()}
    sizes = {k: v for k, v in SMALL.items() if k in present and (k not in FIXED or present[k])}
    if present.get("task_attention_heads"):
        sizes["task_attention_heads"] = 2
    steps = {i.panel: min(STEPS.get(i.panel, i.steps), i.steps) for i in spec.inputs}
    return override(spec, **sizes, steps=steps, **({"seeds": [0]} | changes))


def make(lake: Lake, table: str, keys: list[str]) -> None:
    """Build partitions as their asset does, with the recipe that a run of the graph leaves."""
    for made in make_table(table, keys, lake):
        lake.write(made.table or table, made.key, made.frame, {"recipe": "test", **made.stored})


def periods(lake: Lake) -> None:
    days = lake.keys("daily_bars")
    for table, start in (("weekly_bars", week_of), ("monthly_bars", lambda d: d.astype("datetime64[M]"))):
        keys = sorted({str(k.astype("datetime64[D]")) for k in start(np.array(days, "datetime64[D]"))})
        make(lake, table, keys)


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("certificates") / "lake")
    source, rng = SimulatedExchange(SETTINGS), np.random.default_rng(0)
    for day in [pd.Timestamp(d).date() for d in source.days()[:-1]]:
        for table in ("daily_bars", "reference"):
            lake.write(table, str(day), source.load(table, day).frame)
        symbols = lake.day("daily_bars", str(day))["symbol"]
        wide = {t: DAILY42 if t == "daily_factors" else column_names(t) for t in RAW}
        for table, names in (wide | {"factor_inputs": HF27, "factor_scores": ALL34}).items():
            frame = pd.DataFrame(np.exp(rng.standard_normal((len(symbols), len(names)))), columns=list(names))
            frame[rng.random(frame.shape) < 0.05] = np.nan
            frame.insert(0, "symbol", symbols)
            lake.write(table, str(day), frame)
    periods(lake)
    make(lake, "labels", lake.keys("daily_bars"))
    return lake


PRICES = ("open", "high", "low", "close", "vwap")
EVERY = ("daily_bars", *RAW, "factor_inputs", "factor_scores")


def disturbed(lake: Lake, folder: Path, first: str, last: str, tables: tuple[str, ...] = EVERY) -> Lake:
    """A copy with other values on every day from ``first`` to ``last``; bars of periods and labels follow.

    Prices move little: no label crosses a move beyond the limits of the exchange.
    """
    other = Lake(shutil.copytree(lake.root, folder))
    rng = np.random.default_rng(5)
    for table in tables:
        for key in [k for k in other.keys(table) if first <= k <= last]:
            frame = other.day(table, key)
            for column in frame.select_dtypes("float").columns.difference(["up_limit", "down_limit", "adj_factor"]):
                frame[column] *= np.exp(rng.normal(0, 0.01 if column in PRICES else 0.3, len(frame)))
            other.write(table, key, frame)
    if "daily_bars" in tables:
        periods(other)
        make(other, "labels", other.keys("daily_bars"))
    return other


@pytest.fixture(scope="module")
def after_the_eve(lake, tmp_path_factory) -> Lake:
    """The training data of the half-year's models are unchanged, all later data are not."""
    return disturbed(lake, tmp_path_factory.mktemp("future") / "lake", str(shift(EVE, 1)), LAST)


@pytest.fixture(scope="module")
def after_the_day(lake, tmp_path_factory) -> Lake:
    return disturbed(lake, tmp_path_factory.mktemp("later") / "lake", str(shift(DAY, 1)), LAST)


@pytest.fixture(scope="module")
def in_the_past(lake, tmp_path_factory) -> Lake:
    return disturbed(lake, tmp_path_factory.mktemp("past") / "lake", "2013-03-01", "2013-05-10")


def union():
    """A spec that reads every panel of the catalog, to build them once for all entries."""
    inputs = {i.panel: i for name in CATALOG for i in small(name).inputs}
    universe = next(s.universe for s in CATALOG.values() if s.universe)
    return dataclasses.replace(CATALOG["lstm"], inputs=tuple(inputs.values()), universe=universe)


@pytest.fixture(scope="module")
def panels(lake, after_the_eve, after_the_day, in_the_past) -> dict:
    """Every input of each lake, up to the eve (as training reads it) and up to the last day (as a backfill does)."""
    both = (EVE, LAST)
    lakes = {
        "lake": (lake, both),
        "eve": (after_the_eve, both),
        "day": (after_the_day, (LAST,)),
        "past": (in_the_past, (EVE,)),
    }
    return {
        name: {until: (at, *model_inputs(at, union(), until=until)) for until in wanted}
        for name, (at, wanted) in lakes.items()
    }


def trained(panels: dict, spec, folder: Path):
    at, inputs, axes = panels[EVE]
    labels, label_end = training_labels(at, axes, spec)
    return train(spec, inputs, labels, label_end, HALF, out_dir=folder)


def weights(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((folder / HALF).glob("*.safetensors"))}


@pytest.mark.parametrize("name", CATALOG)
def test_no_entry_sees_the_future_and_every_entry_sees_the_past(name, panels, tmp_path):
    spec = small(name)
    models = trained(panels["lake"], spec, tmp_path / "lake")
    own = weights(tmp_path / "lake")

    trained(panels["eve"], spec, tmp_path / "eve")
    assert weights(tmp_path / "eve") == own  # features after the cut, labels whose window ends after it
    trained(panels["past"], spec, tmp_path / "past")
    assert weights(tmp_path / "past") != own

    days = trading_days("2013-07-01", LAST)
    upto = days <= np.datetime64(DAY)
    scores = {at: predict_signals(models, panels[at][LAST][1], days) for at in ("lake", "day", "eve")}
    for signal, score in scores["lake"].items():
        assert np.isfinite(score).any(axis=1).all()
        np.testing.assert_array_equal(scores["day"][signal][upto], score[upto])
        assert not np.array_equal(scores["day"][signal][~upto], score[~upto], equal_nan=True)
        assert not np.array_equal(scores["eve"][signal][upto], score[upto], equal_nan=True)


def test_labels_on_the_eve_are_those_whose_window_is_over(lake):
    as_of = AsOfLake(lake, EVE)
    for back in (1, 6, 7, 11, 12, 21, 22, 30):
        key = str(shift(EVE, -back))
        then, now = as_of.day("labels", key), lake.day("labels", key)
        for h in (5, 10, 20):
            assert then[f"ret_{h}"].notna().any() == (back >= h + 1), (back, h)
            if back >= h + 1:
                pd.testing.assert_series_equal(then[f"ret_{h}"], now[f"ret_{h}"])
    assert as_of.keys("daily_bars")[-1] == EVE
    assert as_of.keys("weekly_bars")[-1] == "2013-06-17"  # the week of the eve may hold days after it elsewhere
    assert as_of.keys("monthly_bars")[-1] == "2013-05-01"
    assert not as_of.has("daily_bars", "2013-07-01")
    with pytest.raises(Exception, match="no partition 2013-07-01"):
        as_of.day("daily_bars", "2013-07-01")
    with pytest.raises(PermissionError, match="read-only"):
        as_of.write("daily_bars", EVE, lake.day("daily_bars", EVE))


ENTRIES = ("lf_multitask", "mtl_task_attention", "mixed_input_gru_5d")
SIGNALS = ("lf_multitask", "mtl_task_attention_20d", "mixed_input_gru_5d", "hf_equal_weight", "hf_icir_weight", "fused")
DAYS = [str(d) for d in trading_days("2013-07-05", "2013-07-12")]


@pytest.fixture(scope="module")
def certified(lake, tmp_path_factory) -> Lake:
    """Models and predictions with their certificates, as the assets store them."""
    other = Lake(shutil.copytree(lake.root, tmp_path_factory.mktemp("certified") / "lake"))
    for name in (*ENTRIES, "hf_gru"):
        spec = small(name, seeds=[0, 1] if name == "lf_multitask" else [0])
        inputs, axes = model_inputs(other, spec, until=EVE)
        labels, label_end = training_labels(other, axes, spec)
        models = train(spec, inputs, labels, label_end, HALF, out_dir=Path(other.folder(f"{name}_model", HALF)).parent)
        written = Path(other.folder(f"{name}_model", HALF)).parent / HALF
        written.rename(other.folder(f"{name}_model", HALF))
        other.write(f"{name}_model", HALF, pd.DataFrame({"seed": [m.seed for m in models]}), {"recipe": "test"})
        stored = checkpoint.load(other.folder(f"{name}_model", HALF))
        put(other, signals.of_model(other, spec, lambda s=stored: s, DAYS))
    for name, back in HAND_WEIGHTED.items():
        combination = dataclasses.replace(COMBINATIONS[name], min_observations=5)
        put(other, signals.weighted_by_hand(other, combination, back, DAYS))
    put(other, (signals.fused(other, COMBINATIONS["fused"], day) for day in DAYS))
    return other


def put(lake: Lake, made) -> None:
    for s in made:
        lake.write(s.table, s.key, s.frame, {"recipe": "test", "certificate": s.certificate})


def measured(lake: Lake, table: str, key: str = DAY) -> dict[str, float]:
    return {f.name: f.value for f in verify(lake, table, key)}


@pytest.fixture(autouse=True)
def few_weeks(monkeypatch):
    """The short lake has too few weeks for the catalog's ICIR weights."""
    short = dataclasses.replace(COMBINATIONS["hf_icir_weight"], min_observations=5)
    monkeypatch.setitem(settings().catalogs.combinations, "hf_icir_weight", short)


@pytest.mark.parametrize("table", SIGNALS)
def test_a_certificate_is_verified(certified, table):
    for key in (DAYS[0], DAY, DAYS[-1]):
        found = measured(certified, table, key)
        assert found.pop("score_difference") <= 1e-3  # of the tolerance
        assert set(found) >= {"uncertified", "late_inputs", "other_scores", "changed_inputs"}
        assert not any(found.values()), found
        if table not in ("fused", "hf_equal_weight"):
            assert "late_labels" in found


def test_fields_of_a_certificate(certified):
    certificate = certified.metadata("lf_multitask", DAY)["certificate"]
    assert (certificate["signal"], certificate["day"]) == ("lf_multitask", DAY)
    assert certificate["model"]["half_year"] == HALF
    assert sorted(certificate["model"]["seeds"]) == ["0", "1"]
    training = certificate["training"]
    assert training["embargo"] == 11
    assert training["train_labels_known"] < training["valid_from"]
    assert training["valid_labels_known"] <= EVE < training["predicts_from"]
    assert training["train_labels_known"] == str(shift(training["train_until"], 11))
    assert set(training["fingerprints"]) == {"daily", "weekly", "monthly", "labels", "all"}
    inputs = certificate["inputs"]
    assert {n: i["last"] for n, i in inputs.items()} == dict.fromkeys(("daily", "weekly", "monthly"), DAY)
    assert inputs["weekly"]["completed"] == "2013-07-01"
    assert inputs["monthly"]["completed"] == "2013-06-01"
    assert len({i["fingerprint"] for i in inputs.values()}) == 3
    assert len(json.dumps(certificate)) < 2000
    fused = certified.metadata("fused", DAY)["certificate"]
    assert fused["inputs"]["lf_multitask"]["fingerprint"] == certificate["scores"]
    icir = certified.metadata("hf_icir_weight", DAY)["certificate"]["weights"]
    assert icir["known"] == str(shift(icir["last_week"], 6)) <= DAY


def peeking(lake: Lake, spec, *, days: int) -> Lake:
    """A lake whose reader is given features of ``days`` later: a leak in the code that makes the inputs."""

    class Peeking(Lake):
        def table(self, table, key, columns=None):
            ahead = str(shift(key, days))
            return super().table(table, ahead if table in RAW and self.has(table, ahead) else key, columns)

    return Peeking(lake.root)


def test_a_leak_in_the_inputs_is_found(certified, tmp_path):
    """Scores made with tomorrow's features, certified in good faith: the lake as of that day gives others."""
    lake = Lake(shutil.copytree(certified.root, tmp_path / "lake"))
    spec = small("mtl_task_attention")
    models = checkpoint.load(lake.folder("mtl_task_attention_model", HALF))
    put(lake, signals.of_model(peeking(lake, spec, days=1), spec, lambda: models, [DAY]))
    found = measured(lake, "mtl_task_attention_20d")
    assert found["changed_inputs"] == 1
    assert found["score_difference"] > 100
    assert not any(found[m] for m in ("uncertified", "late_inputs", "late_labels", "other_model", "other_scores"))
    failed = {o.name for o in run_suite("mtl_task_attention_20d", lake, [DAY]) if o.blocking and not o.passed}
    assert failed == {"point_in_time"}


def test_labels_inside_the_embargo_are_found(certified, tmp_path):
    """A model trained with an embargo of a shorter horizon: the calendar says when ret_10 is complete."""
    lake = Lake(shutil.copytree(certified.root, tmp_path / "lake"))
    folder = Path(lake.folder("lf_multitask_model", HALF))
    for seed in (0, 1):
        card = json.loads((folder / f"seed{seed}.json").read_text())
        card["ranges"]["valid"]["last"] = str(shift(EVE, -5))
        del card[checkpoint.CARD_DIGEST]  # as of a library that wrote it so
        (folder / f"seed{seed}.json").write_text(json.dumps(card))
    assert measured(lake, "lf_multitask")["late_labels"] == 2
    outcome = {o.name: o for o in run_suite("lf_multitask_model", lake, [HALF])}
    assert not outcome["embargo"].passed
    assert outcome["embargo"].bad[0]["needed_before"] == "2013-07-01"
    (fault,) = late_labels(checkpoint.load(folder)[0])
    assert fault["available"] == str(shift(EVE, 6))


@pytest.mark.parametrize("spoiled", ["scores", "model", "day", "lack", "input", "week", "weights"])
def test_a_certificate_that_does_not_fit_is_found(certified, tmp_path, spoiled):
    table = "hf_icir_weight" if spoiled == "weights" else "lf_multitask"
    lake = Lake(shutil.copytree(certified.root, tmp_path / "lake"))
    frame, kept = lake.day(table, DAY), lake.metadata(table, DAY)
    certificate = kept["certificate"]
    if spoiled == "scores":
        frame.loc[3, "score"] += 1e-12
    elif spoiled == "model":
        folder = Path(lake.folder("lf_multitask_model", HALF))
        for suffix in ("json", "safetensors"):
            (folder / f"seed1.{suffix}").unlink()
    elif spoiled == "day":
        certificate["day"] = DAYS[0]
    elif spoiled == "lack":
        del kept["certificate"]
    elif spoiled == "input":
        certificate["inputs"]["daily"]["last"] = DAYS[-1]
    elif spoiled == "week":
        certificate["inputs"]["weekly"]["completed"] = "2013-07-08"
    else:
        certificate["weights"]["last_week"] = str(shift(DAY, -5))
    lake.write(table, DAY, frame, kept)
    expected = {
        "scores": "other_scores", "model": "other_model", "day": "uncertified", "lack": "uncertified",
        "input": "late_inputs", "week": "late_inputs", "weights": "late_labels",
    }[spoiled]  # fmt: skip
    assert measured(lake, table)[expected] == 1
    outcomes = {o.name: o for o in run_suite(table, lake, [DAYS[0], DAY])}
    assert not outcomes["certificate"].passed
    assert outcomes["certificate"].blocking
    bad = [DAYS[0], DAY] if spoiled == "model" else [DAY]  # the half-year's model serves all its days
    assert outcomes["certificate"].observed["bad_partitions"] == bad


def test_what_cannot_be_recomputed_is_named(certified, tmp_path):
    lake = Lake(shutil.copytree(certified.root, tmp_path / "lake"))

    def observed(table: str, key: str) -> dict[str, list]:
        return {f.name: f.observed for f in verify(lake, table, key) if f.value}

    frame, kept = lake.day("lf_multitask", DAY), lake.metadata("lf_multitask", DAY)
    lake.write("lf_multitask", DAY, frame.drop(index=[3]), kept)
    missing = {"symbol": frame["symbol"][3], "stocks_with_one_score": 1}
    assert observed("lf_multitask", DAY)["score_difference"] == [missing]
    kept["certificate"]["model"]["half_year"] = "2013H1"
    lake.write("lf_multitask", DAY, frame, kept)
    assert observed("lf_multitask", DAY) == {"other_model": [{"model_of": "2013H1", "day_is_in": HALF}]}
    kept["certificate"]["signal"] = "mine"
    lake.write("mine", DAY, frame, kept)
    with pytest.raises(DataError, match="mine is not a signal of the catalog"):
        observed("mine", DAY)

    folder = Path(lake.folder("lf_multitask_model", HALF))
    card = json.loads((folder / "seed1.json").read_text())
    del card["input_digests"], card[checkpoint.CARD_DIGEST]  # as of a library that did not write them
    (folder / "seed1.json").write_text(json.dumps(card))
    found = {f.name: f.value for f in verify_model(lake, "lf_multitask", HALF)}
    assert found.keys() == {"other_weights", "late_labels", "rank_ic_difference"}
    (folder / "seed0.safetensors").write_bytes((folder / "seed0.safetensors").read_bytes()[:-1] + b"\0")
    ((fault,),) = observed("lf_multitask", DAYS[0]).values()
    assert fault["model"] == f"lf_multitask {HALF}"


def test_scores_without_a_recipe_need_no_certificate(certified, tmp_path):
    lake = Lake(shutil.copytree(certified.root, tmp_path / "lake"))
    lake.write("lf_multitask", DAY, lake.day("lf_multitask", DAY))
    assert measured(lake, "lf_multitask") == {}
    notes = {o.name: o for o in run_suite("lf_multitask", lake, [DAY])}["certificate"].observed
    assert notes["note"] == "not applicable"


def test_a_model_is_verified_on_the_lake_as_of_the_eve(certified, tmp_path):
    for name in ENTRIES:
        found = {f.name: f.value for f in verify_model(certified, name, HALF)}
        assert found.pop("rank_ic_difference") < 1e-12
        assert found == {"other_weights": 0, "late_labels": 0, "changed_inputs": 0}
    lake = disturbed(certified, tmp_path / "past", "2013-03-01", "2013-05-10", ("daily_factors",))
    found = {f.name: f for f in verify_model(lake, "mtl_task_attention", HALF)}
    assert {o["input"] for o in found["changed_inputs"].observed} >= {"daily_factors"}
    late = disturbed(certified, tmp_path / "future", str(shift(EVE, 1)), LAST, ("daily_factors",))
    assert not any(f.value for f in verify_model(late, "mtl_task_attention", HALF) if f.name == "changed_inputs")
    failed = {o.name for o in run_suite("mtl_task_attention_model", lake, [HALF]) if not o.passed}
    assert "point_in_time" in failed
    weights = Path(lake.folder("lf_multitask_model", HALF)) / "seed0.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    assert [f.value for f in verify_model(lake, "lf_multitask", HALF)] == [1.0]


def test_lookback_covers_all_model_inputs(lake):
    """One day predicted from its look-back alone reads what a backfill of the year reads."""
    for name in ("lf_multitask", "mixed_input_gru_5d", "lstm"):
        spec = small(name)
        from mg_models.data.dataset import Dataset

        short, _ = model_inputs(lake, spec, str(shift(DAY, -lookback(spec))), DAY)
        long, axes = model_inputs(lake, spec, until=LAST)
        one, all_ = Dataset(spec, short), Dataset(spec, long)
        assert one.input_records(len(one.days) - 1) == all_.input_records(
            int(np.searchsorted(axes.days, np.datetime64(DAY)))
        )
