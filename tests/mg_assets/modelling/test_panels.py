"""Any catalog entry in a deployment: its inputs and labels from the lake, its assets, its lineage."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import ANY

import last_step_network
import numpy as np
import pandas as pd
import pytest

from mg_assets.assets import make
from mg_assets.errors import DataError, MissingPartitionError
from mg_assets.factors.daily import DAILY42
from mg_assets.factors.granular import column_names
from mg_assets.factors.registry import HF27, PASSPORTS
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
from mg_assets.modelling.labels import training_labels
from mg_assets.modelling.panels import (
    chosen_columns,
    lookback,
    market_value_basis,
    model_inputs,
    raw_columns,
    tables_of,
)
from mg_assets.modelling.reproduce import retrain_check
from mg_assets.modelling.training_inputs import training_data, training_since
from mg_assets.sources.simulated.exchange import SimulatedExchange
from mg_assets.sources.simulated.settings import SimulationSettings
from mg_models.catalog import CATALOG, COMBINATIONS, HAND_WEIGHTED, override, signal_names
from mg_models.combine import fuse
from mg_models.data.day_statistics import zscore_stocks
from mg_models.specs.data import InputSpec

CHECKOUT = Path(__file__).parents[3]
SETTINGS = SimulationSettings(seed=3, stocks=70, end="2013-08-20", tick_start="2013-08-20")
CHOSEN = ("attention_ensemble", "output_ensemble2_gru_5d", "mrl_daily_30min_5d")
QUICK = {
    "seeds": [0],
    "train_days": 70,
    "valid_days": 30,
    "min_train_days": 3,
    "min_valid_days": 2,
    "max_epochs": 1,
    "min_stocks": 5,
}
SMALL = {
    **{n: QUICK for n in ("mtl_mlp", "mtl_task_attention", "mtl_stock_attention", "temporal_transformer")},
    **{n: {**QUICK, "hidden": 4} for n in ("mtl_mlp", "mtl_task_attention")},
    "daily_gru_5d": {**QUICK, "hidden": 4, "steps": 10},
    "30min_gru_5d": {**QUICK, "hidden": 4, "steps": 80},
    "mrl_daily_30min_5d": {**QUICK, "hidden": 4, "steps": {"features_240m": 10, "features_30m": 80}},
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """Simulated daily bars and reference, random factors beside them."""
    lake = Lake(tmp_path_factory.mktemp("inputs") / "lake")
    source, rng = SimulatedExchange(SETTINGS), np.random.default_rng(0)
    for day in [pd.Timestamp(d).date() for d in source.days()[:-1]]:
        for table in ("daily_bars", "reference"):
            lake.write(table, str(day), source.load(table, day).frame)
        symbols = lake.day("daily_bars", str(day))["symbol"]
        for table in ("daily_factors", "features_240m", "features_30m"):
            names = DAILY42 if table == "daily_factors" else column_names(table)
            frame = pd.DataFrame(np.exp(rng.standard_normal((len(symbols), len(names)))), columns=list(names))
            frame[rng.random(frame.shape) < 0.05] = np.nan
            frame.insert(0, "symbol", symbols)
            lake.write(table, str(day), frame)
    for made in make("labels", lake.keys("daily_bars"), lake):
        lake.write("labels", made.key, made.frame)
    return lake


def test_raw_factors_are_standardised_per_day(lake):
    """Winsorised at 5 MAD, z-scored over the tradable stocks, missing 0; half-hours one after another."""
    spec = CATALOG["30min_gru_5d"]
    keys = lake.keys("features_30m")[80:140]
    inputs, axes = model_inputs(lake, spec, keys[0], keys[-1])
    panel = inputs["features_30m"]
    assert panel.features[:3] == ("ret_1", "amplitude_1", "vwap_dev_1")
    assert panel.features[14] == "ret_2"
    assert set(panel.features) == set(column_names("features_30m"))
    key = keys[17]
    raw = lake.day("features_30m", key).set_index("symbol")
    info = lake.day("reference", key).set_index("symbol")
    old = [len(trading_days(d, key)) - 1 >= 63 if pd.notna(d) else True for d in info["list_date"]]
    inside = info.index[~info["st"] & ~info["suspended"] & np.array(old)]
    x = raw.loc[raw.index.intersection(inside)]
    spread = 5 * 1.4826 * (x - x.median()).abs().median()
    x = x.clip(x.median() - spread, x.median() + spread, axis=1)
    x = ((x - x.mean()) / x.std(ddof=0)).fillna(0.0)
    expected = x.reindex(axes.symbols)[list(panel.features)].to_numpy()
    np.testing.assert_allclose(panel.values[17], expected, atol=1e-5)


def test_series_69_standardises_within_the_pool(lake):
    """The pool first, then five MAD and z-scores within it; stocks outside it are on the pool's scale."""
    keys = lake.keys("daily_factors")[100:104]
    inputs, axes = model_inputs(lake, CATALOG["mtl_mlp"], keys[0], keys[-1])
    pool = np.isfinite(inputs["liquid"].values[2, :, 0])
    assert 10 < pool.sum() < 0.8 * len(pool)
    raw = lake.day("daily_factors", keys[2]).set_index("symbol").reindex(axes.symbols)[list(DAILY42)]
    found = pd.DataFrame(inputs["daily_factors"].values[2], axes.symbols, list(DAILY42))
    has = raw.notna().any(axis=1).to_numpy()
    x = raw[pool & has]
    spread = 5 * (x - x.median()).abs().median()
    low, high = x.median() - spread, x.median() + spread
    clipped = x.clip(low, high, axis=1)
    scaled = ((raw.clip(low, high, axis=1) - clipped.mean()) / clipped.std(ddof=0)).fillna(0.0)
    shown = found.notna().any(axis=1).to_numpy()
    assert (shown & ~pool).sum() > 10
    assert shown[pool & has].all()
    np.testing.assert_allclose(found[shown].to_numpy(), scaled[shown].to_numpy(), atol=1e-5)
    np.testing.assert_allclose(found[pool & has].mean(), 0.0, atol=1e-6)
    assert "total shares" == market_value_basis(lake, keys[2])


def test_the_pool_ranks_total_market_values_where_they_are_known(lake, tmp_path):
    """A stock whose free float is a hundredth is in the pool by its total value, and out without total shares."""
    market = Lake(tmp_path)
    for table in ("daily_bars", "reference", "daily_factors"):
        shutil.copytree(f"{lake.root}/{table}", tmp_path / table)
    keys = market.keys("daily_factors")[:90]
    spec, day = CATALOG["mtl_mlp"], keys[-1]
    inputs, axes = model_inputs(market, spec, day, day)
    member = str(axes.symbols[np.isfinite(inputs["liquid"].values[0, :, 0])][0])
    for key in keys:
        rows = market.day("daily_bars", key)
        rows.loc[rows["symbol"] == member, "float_shares"] /= 1e4
        market.write("daily_bars", key, rows)

    def holds(lake_now):
        again, axes_now = model_inputs(lake_now, spec, day, day)
        return np.isfinite(again["liquid"].values[0, list(axes_now.symbols).index(member), 0])

    assert holds(market)
    for key in keys:
        market.write("reference", key, market.day("reference", key).assign(total_shares=np.nan))
    assert not holds(Lake(tmp_path))
    assert market_value_basis(Lake(tmp_path), day) == "free-float shares: the source has no total_shares"


def test_a_days_inputs_do_not_depend_on_the_range(lake):
    spec = CATALOG["mtl_stock_attention"]
    keys = lake.keys("daily_factors")
    long, axes = model_inputs(lake, spec, keys[60], keys[120])
    short, _ = model_inputs(lake, spec, keys[100], keys[110])
    for name in ("daily_factors", "liquid"):
        both = np.isin(axes.symbols, short[name].symbols)
        np.testing.assert_array_equal(short[name].values, long[name].values[40:51][:, both])


def test_stocks_delisted_since_rank_at_the_quarters_end(lake, tmp_path):
    """Six members of the second quarter leave in May: on the days after, the others are the same from any range."""
    spec, tables = CATALOG["mtl_stock_attention"], ("daily_bars", "reference", "daily_factors")
    for table in tables:
        shutil.copytree(f"{lake.root}/{table}", tmp_path / table)
    market = Lake(tmp_path)
    keys = market.keys("daily_factors")
    may = next(k for k in keys if k >= "2013-05-06")
    inputs, axes = model_inputs(market, spec, "2013-04-08", may)
    gone = axes.symbols[np.isfinite(inputs["liquid"].values[-1, :, 0])][:6]
    for table in tables:
        for key in [k for k in keys if k >= may]:
            rows = market.day(table, key)
            market.write(table, key, rows[~rows["symbol"].isin(gone)])
    day = keys[keys.index(may) + 5]
    long, wide = model_inputs(market, spec, "2013-04-08", day)
    one, narrow = model_inputs(market, spec, day, day)
    assert len(narrow.symbols) < len(wide.symbols)
    members = [
        set(axes.symbols[np.isfinite(inputs["liquid"].values[-1, :, 0])])
        for inputs, axes in ((long, wide), (one, narrow))
    ]
    assert members[0] == members[1]
    assert len(members[0]) > 10


def test_members_are_traded_listed_and_not_st(lake):
    inputs, axes = model_inputs(lake, CATALOG["lstm"])
    member = np.isfinite(inputs["liquid"].values[..., 0])
    first = int(np.searchsorted(axes.days, np.datetime64("2013-04-01")))
    assert not member[:first].any()  # before the first quarter's end
    share = member[first:].mean()
    assert 0.2 < share < 0.6
    info = lake.panel("reference", [str(d) for d in axes.days], ["st"], axes.symbols, missing="empty")
    assert not (member & info["st"]).any()


def test_labels_at_close_follow_the_labels_rules(lake):
    """close(T+11) / close(T+1) - 1, for whom the lake has a label at vwap."""
    _, axes = model_inputs(lake, CATALOG["mtl_mlp"])
    labels, known = training_labels(lake, axes, CATALOG["mtl_mlp"])
    days = [str(d) for d in axes.days]
    assert labels.shape == (len(days), len(axes.symbols), 2)
    bars = lake.panel("daily_bars", days, ["close", "adj_factor"], axes.symbols)
    close = bars["close"] * bars["adj_factor"]
    at_vwap = lake.panel("labels", days, ["ret_10", "ret_20"], axes.symbols).stack(["ret_10", "ret_20"])
    for k, h in enumerate((10, 20)):
        expected = close[1 + h :] / close[1 : len(days) - h] - 1
        some = np.isfinite(labels[: len(expected), :, k])
        np.testing.assert_allclose(labels[: len(expected), :, k][some], expected[some], rtol=1e-12)
        assert np.isnan(labels[len(expected) :, :, k]).all()
        np.testing.assert_array_equal(some, np.isfinite(at_vwap[: len(expected), :, k]))
    assert known[0] == axes.days[21]
    assert np.isnat(known[-21:]).all()
    assert not np.isnat(known[:-21]).any()
    at = training_labels(lake, axes, CATALOG["30min_gru_5d"])[0]
    np.testing.assert_array_equal(at[:-6, :, 0], lake.panel("labels", days, ["ret_5"], axes.symbols)["ret_5"][:-6])


def test_every_entry_lists_the_tables_it_reads():
    for spec in CATALOG.values():
        tables = {n.table: n.back for n in tables_of(spec)}
        assert tables, spec.name
        assert max(tables.values()) >= lookback(spec)
    assert {n.table: n.back for n in tables_of(CATALOG["mixed_input_gru_5d"])} == {
        "features_240m": 59, "features_60m": 59, "features_30m": 59, "reference": 59,
    }  # fmt: skip
    assert {n.table: n.back for n in tables_of(CATALOG["lstm"])} == {
        "daily_factors": 20, "reference": 342, "daily_bars": 342,
    }  # fmt: skip
    assert [n.table for n in tables_of(CATALOG["hf_gru"])] == ["factor_inputs"]
    assert raw_columns("features_60m")[13:15] == ("max_minute_share_1", "ret_2")
    first = training_since(CATALOG["30min_gru_5d"], "2021-01-01")
    assert len(trading_days(first, "2020-12-31")) == 1200 + 120 + 59 + 1
    assert training_since(CATALOG["hf_gru"], "2021-01-01") is None


def test_training_reads_no_days_before_the_lakes(lake):
    """A young lake once gave ten years of empty days to a model that trains on ten."""
    spec = CATALOG["30min_gru_5d"]
    begins = lake.keys("features_30m")[0]
    since = training_since(spec, "2017-01-01", lake)
    assert len(trading_days(since, begins)) == lookback(spec) + 1
    assert training_since(spec, "2030-01-01", lake) == training_since(spec, "2030-01-01")


def test_an_input_that_the_lake_lacks_is_named_in_the_error(lake, tmp_path):
    import dataclasses

    spec = dataclasses.replace(CATALOG["lstm"], universe="csi300")
    with pytest.raises(DataError, match="lstm takes its stocks from the universe 'csi300'"):
        model_inputs(lake, spec, *lake.keys("daily_factors")[60:62])
    other = Lake(tmp_path / "lake")
    for key in lake.keys("daily_bars")[:3]:
        for table in ("daily_bars", "reference", "daily_factors"):
            frame = lake.day(table, key)
            none = [c for c in ("float_shares", "total_shares") if c in frame]
            other.write(table, key, frame.assign(**dict.fromkeys(none, np.nan)))
    with pytest.raises(DataError, match=r"no stock has total_shares or float_shares between .* give the source's"):
        model_inputs(other, CATALOG["lstm"])


@pytest.mark.parametrize("name", ["lstm", "mtl_stock_attention", "30min_gru_5d", "daily_gru_5d", "hf_gru"])
def test_a_training_before_the_lakes_first_day_is_named(lake, name):
    spec = CATALOG[name]
    if name == "hf_gru":
        lake.write("factor_inputs", lake.keys("daily_bars")[-1], pd.DataFrame({"symbol": []}))
    with pytest.raises(DataError, match=rf"^{name}, retrain 2011H1: no training day .* begins on .* longer history"):
        training_data(lake, spec, ["2011H1"])


SCRIPT = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import numpy as np
from mg_assets.assets import ASSETS, make
from mg_assets.assets.models import FUSED, SIGNALS, TRAINED, entry
from mg_assets.lake.store import Lake
from mg_assets.modelling.certificates import verify, verify_model
from mg_assets.modelling.monitor import cost_of
from mg_assets.settings import settings
import mg_models.training.retrain as training
training.git_revision = lambda: None
lake = Lake(sys.argv[1])
def build(table, keys):
    for made in make(table, keys, lake, log=lambda line: None):
        lake.write(made.table or table, made.key, made.frame, made.stored | {"recipe": "of a test"})
days = [d for d in lake.keys("daily_bars") if d >= "2013-07-01"][:8]
for name in TRAINED:
    build(f"{name}_model", ["2013H2"])
    build(name, days[:7])
    build(name, days[7:])
for name in (*settings().catalogs.tables, *(c.name for c in FUSED)):
    build(name, days)
own = [n for n in SIGNALS if n.startswith("my_")]
faults = {}
for name in own:
    found = [*verify(lake, name, days[1]), *(verify_model(lake, name, "2013H2") if name in TRAINED else ())]
    faults[name] = {m.name: m.value for m in found}
steps = cost_of(lake, entry("my_steps"), "2013H2", "cpu", 1, False).steps[1] if "my_steps" in own else None
print(json.dumps({"trained": TRAINED, "signals": SIGNALS, "fused": [c.name for c in FUSED], "days": days,
                  "faults": faults, "cost": steps}))
"""


def run(script: str, *arguments: str, **environment: str) -> dict:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MG_", "DAGSTER"))}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=kept | {"OMP_NUM_THREADS": "1"} | environment,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


OWN_MODULE = (
    Path(last_step_network.__file__).read_text()
    + """

from mg_models import InputSpec, LabelSpec, ModelSpec, SplitSpec, SquaredErrorSpec

MY_STEPS = ModelSpec(
    name="my_steps",
    inputs=(InputSpec("mine", 3, columns=("turn_1m", "std_1m")),),
    network=LastStepSpec(hidden=4),
    loss=SquaredErrorSpec(),
    label=LabelSpec((5,)),
    split=SplitSpec(1, train_days=70, valid_days=30, min_train_days=3, min_valid_days=2),
    max_epochs=1,
    min_stocks=5,
    seeds=(0,),
)
"""
)
OWN = {
    "my_lstm": {"like": "lstm", "inputs": [{"panel": "daily_factors", "steps": 4}], "loss": "squared_error",
                "hidden": 3, "layers": 1, "batch_stocks": 20, "horizons": [5], "universe": "", **QUICK},
}  # fmt: skip
OWN_SIGNALS = {
    "my_mean": {"mean": {"my_steps": 0.7, "my_lstm": 0.3, "turn_1m": 0.5}},
    "my_scores": {"table": "scores.csv"},
}


@pytest.fixture(scope="module")
def deployed(lake, tmp_path_factory) -> dict:
    """Some combinations and entries of a user's own: models trained, predicted and fused through the assets."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "my_models.py").write_text(OWN_MODULE)
    day = next(d for d in lake.keys("daily_bars") if d >= "2013-07-01")
    days = [str(d) for d in trading_days(day, "2013-07-20")][:8]
    symbols = lake.day("daily_bars", day)["symbol"][:30]
    rows = [(d.replace("-", ""), s[:6], k) for d in days for k, s in enumerate(symbols)]
    pd.DataFrame(rows, columns=["date", "symbol", "score"]).to_csv(folder / "scores.csv", index=False)
    (folder / "settings.yaml").write_text(json.dumps({"extensions": ["./my_models.py"], "signals": OWN_SIGNALS}))
    return run(
        SCRIPT,
        str(lake.root),
        MG_SETTINGS=str(folder / "settings.yaml"),
        MG_CATALOG=",".join((*CHOSEN, "my_steps", "my_lstm")),
        MG_MODELS=json.dumps(SMALL | OWN),
        MG_FIRST_MODEL="2013H2",
        MG_PORTFOLIOS=json.dumps({"csi500_turnover30": {"signal": "attention_ensemble"}}),
    )


def test_a_combination_brings_its_models(deployed):
    assert deployed["trained"] == [
        "mtl_mlp", "mtl_task_attention", "mtl_stock_attention", "temporal_transformer",
        "daily_gru_5d", "30min_gru_5d", "mrl_daily_30min_5d", "my_steps", "my_lstm",
    ]  # fmt: skip
    assert deployed["fused"] == ["output_ensemble2_gru_5d", "attention_ensemble", "my_mean"]
    assert {"mtl_mlp", "mtl_mlp_10d", "mtl_mlp_20d", "mtl_mlp_10d20d", *CHOSEN} <= set(deployed["signals"])


def test_every_signal_has_scores_each_day(deployed, lake):
    for name in deployed["signals"]:
        if name.startswith("hf_"):
            continue  # weighted by hand, of another table
        for day in deployed["days"]:
            frame = lake.day(name, day)
            assert list(frame.columns) == ["symbol", "score"]
            assert len(frame) > 10, (name, day)
    heads = [lake.panel(n, deployed["days"], ["score"])["score"] for n in ("mtl_mlp_10d", "mtl_mlp_20d")]
    assert not np.array_equal(*heads)
    for day in deployed["days"]:
        pd.testing.assert_frame_equal(lake.day("mtl_mlp", day), lake.day("mtl_mlp_10d20d", day))


def test_own_entries_have_certificates_that_hold(deployed):
    models = {"uncertified", "late_inputs", "late_labels", "other_model", "other_scores", "changed_inputs"}
    assert set(deployed["faults"]) == {"my_steps", "my_lstm", "my_mean", "my_scores"}
    assert set(deployed["faults"]["my_steps"]) >= models | {"other_weights", "rank_ic_difference"}
    for name, found in deployed["faults"].items():
        assert len(found) >= 5, name
        assert max(found.values()) < 1e-3, (name, found)
    assert deployed["cost"] > 0


def test_an_own_mean_weighs_signals_and_signed_factors(deployed, lake):
    day = deployed["days"][2]
    symbols = lake.day("my_mean", day)["symbol"].to_numpy(object)
    signals = [zscore_stocks(lake.panel(n, [day], ["score"], symbols)["score"]) for n in ("my_steps", "my_lstm")]
    spec = dataclasses.replace(CATALOG["mtl_mlp"], universe="")
    inputs, axes = model_inputs(lake, spec, day, day)
    at = np.searchsorted(axes.symbols, symbols)
    factor = inputs["daily_factors"].values[0, at, raw_columns("daily_factors").index("turn_1m")]
    assert PASSPORTS["turn_1m"].direction == 0  # the sources state no sign: as it is
    expected = (0.7 * signals[0] + 0.3 * signals[1] + 0.5 * zscore_stocks(factor[None].astype(float))) / 1.5
    got = lake.panel("my_mean", [day], ["score"], symbols)["score"]
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_columns_choose_factors_of_any_table(lake):
    """The published ones as their models read them, others standardised; a name of a set is all of its factors."""
    keys = lake.keys("daily_factors")[80:90]
    spec = override(CATALOG["lstm"], steps=3)
    spec = dataclasses.replace(spec, inputs=(dataclasses.replace(spec.inputs[0], columns=("std_1m", "turn_1m")),))
    chosen, _ = model_inputs(lake, dataclasses.replace(spec, universe=""), keys[0], keys[-1])
    whole, _ = model_inputs(lake, dataclasses.replace(CATALOG["mtl_mlp"], universe=""), keys[0], keys[-1])
    at = [whole["daily_factors"].features.index(n) for n in ("std_1m", "turn_1m")]
    found, expected = chosen["daily_factors"].values, whole["daily_factors"].values[..., at]
    here = np.isfinite(found).any(axis=-1)  # a stock without any of them has no row
    np.testing.assert_array_equal(found[here], expected[here])
    assert 0.9 < here.sum() / np.isfinite(expected).all(axis=-1).sum() <= 1
    assert chosen["daily_factors"].features == ("std_1m", "turn_1m")
    several = InputSpec("mine", 4, columns=("hf27", "turn_1m"))
    assert chosen_columns(spec, several) == {**dict.fromkeys(HF27, "factor_inputs"), "turn_1m": "daily_factors"}
    needs = tables_of(dataclasses.replace(spec, inputs=(several,), universe=""))
    assert {n.table: n.back for n in needs} == dict.fromkeys(("factor_inputs", "daily_factors", "reference"), 3)


@pytest.mark.parametrize(
    ("columns", "panel", "message"),
    [
        (("turn_1",), "mine", r"lstm: input mine: no factor is named 'turn_1'; did you mean turn_1m\?.*hf27, daily42"),
        (("daily42", "turn_1m"), "mine", "lstm: input mine has the column turn_1m twice"),
        (("turn_1m",), "daily", "lstm: input daily: columns choose factors of a day; bars"),
    ],
)
def test_columns_that_cannot_be_chosen_are_named(columns, panel, message):
    with pytest.raises(DataError, match=message):
        chosen_columns(CATALOG["lstm"], InputSpec(panel, 2, columns=columns))


def test_an_ensemble_is_the_mean_of_its_parts(deployed, lake):
    day = deployed["days"][2]
    parts = COMBINATIONS["attention_ensemble"].parts
    symbols = lake.day("attention_ensemble", day)["symbol"].to_numpy(object)
    rows = [lake.panel(p, [day], ["score"], symbols)["score"] for p in parts]
    got = lake.panel("attention_ensemble", [day], ["score"], symbols)["score"]
    np.testing.assert_allclose(got, fuse([(r, 1.0) for r in rows]), atol=1e-12)
    np.testing.assert_allclose(got, np.mean([zscore_stocks(r) for r in rows], axis=0), atol=1e-12)


def test_stored_models_trained_only_on_available_labels(deployed, lake):
    for name in deployed["trained"]:
        card = json.loads((Path(lake.folder(f"{name}_model", "2013H2")) / "seed0.json").read_text())
        horizon = max(card["catalog_entry"]["label"]["horizons"])
        last = card["ranges"]["valid"]["last"]
        assert len(trading_days(last, "2013-06-30")) - 1 >= horizon + 1
        assert len(trading_days(card["ranges"]["train"]["last"], card["ranges"]["valid"]["first"])) - 1 > horizon


GRAPH = """
import json, warnings
warnings.filterwarnings("ignore")
import dagster as dg
from mg_assets.definitions import defs
from mg_assets.assets.models import SIGNALS, TRAINED
from mg_assets.quality.suites import suite_for
dg.Definitions.validate_loadable(defs)
graph = defs.resolve_asset_graph()
parents = {}
for name in SIGNALS:
    suite_for(name)
    node = graph.get(dg.AssetKey(name))
    parents[name] = sorted(k.to_user_string() for k in node.parent_keys)
models = {t: sorted(k.to_user_string() for k in graph.get(dg.AssetKey(f"{t}_model")).parent_keys) for t in TRAINED}
sensors = [s.name for s in defs.get_repository_def().sensor_defs]
print(json.dumps({"signals": parents, "models": models, "unattended": sensors}))
"""


def test_the_whole_catalog_is_one_graph():
    graph = run(GRAPH, MG_CATALOG=",".join(signal_names()))
    assert set(graph["signals"]) == set(signal_names())
    assert set(graph["models"]) == set(CATALOG)
    for name, spec in CATALOG.items():
        tables = {n.table for n in tables_of(spec)}
        assert set(graph["models"][name]) == tables | ({"labels"} if spec.label.price == "vwap" else {"daily_bars"})
        for signal in spec.signals:
            assert set(graph["signals"][signal]) == tables | {f"{name}_model"}
    for name, combination in COMBINATIONS.items():
        if combination.rule == "fuse":
            assert set(graph["signals"][name]) == set(combination.parts)


def test_a_catalog_without_models_is_a_graph_without_training():
    graph = run(GRAPH, MG_CATALOG="", MG_PORTFOLIOS="")
    assert graph == {"signals": dict.fromkeys(HAND_WEIGHTED, ANY), "models": {}, "unattended": ["failures"]}


def test_a_name_that_the_catalog_lacks_is_an_error():
    with pytest.raises(AssertionError, match=r"MG_CATALOG\[0\] was 'gru_5d'.* did you mean daily_gru_5d"):
        run("import mg_assets.assets", MG_CATALOG="gru_5d")


def test_a_longer_window_is_read(lake):
    """A deployment's own steps reach the tables that its predictions ask for."""
    assert tables_of(override(CATALOG["gru_50_1_nn10"], steps=400))[0].back == 49


CHECK = """
import json, sys, warnings
warnings.filterwarnings("ignore")
from mg_assets.cli.main import main
print(json.dumps({"code": main(["retrain-check", *sys.argv[1:]])}))
"""


def test_a_stored_model_trains_to_the_same_bytes_again(deployed, lake):
    """Weights trained through the asset, and again from the lake by `mg retrain-check`."""
    code = run(CHECK, "30min_gru_5d", "2013H2", MG_LAKE=str(lake.root), MG_DEVICE="cpu", MG_WORKERS="1")["code"]
    assert code == 0


def test_a_model_that_the_lake_no_longer_gives_is_reported(deployed, lake, tmp_path):
    shutil.copytree(lake.root, tmp_path / "lake")
    other = Lake(tmp_path / "lake")
    (same,) = retrain_check(other, "mtl_task_attention", "2013H2")
    assert same.same
    assert same.same_inputs
    assert "the same bytes" in str(same)
    for key in other.keys("daily_factors")[60:90]:
        frame = other.day("daily_factors", key)
        other.write(
            "daily_factors", key, frame.assign(std_1m=frame["std_1m"].sample(frac=1, random_state=1).to_numpy())
        )
    (changed,) = retrain_check(other, "mtl_task_attention", "2013H2")
    assert not changed.same
    assert "the lake's inputs or labels are not those of the training" in str(changed)
    with pytest.raises(DataError, match=r"was trained on cpu, .* set device: cpu"):
        retrain_check(other, "mtl_task_attention", "2013H2", device="cuda")
    with pytest.raises(MissingPartitionError, match="has no mtl_mlp_model of 2014H1; it has 2013H2"):
        retrain_check(other, "mtl_mlp", "2014H1")
