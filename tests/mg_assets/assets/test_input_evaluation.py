"""RankIC of raw model inputs: the naive one, read in parts, with what cannot be evaluated left out."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from mg_assets.assets import input_evaluation as module
from mg_assets.assets.evaluation import evaluation_universe
from mg_assets.factors import passport_pages
from mg_assets.factors.registry import COMMON, DAILY, GRANULAR
from mg_assets.lake.market_data import market_data
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
from mg_assets.orchestration.partition_build import Build
from mg_assets.sources import build_source
from mg_portfolio.evaluation.evaluate import rank_ic_by_day

DAYS = [str(d) for d in trading_days("2022-09-01", "2022-12-30")]
STARTS = 15  # the first input partition: inputs need not reach as far back as bars


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = Lake(tmp_path_factory.mktemp("lake"))
    source = build_source("simulated", {"stocks": 100, "tick_start": "2023-01-03"})
    for day in DAYS:
        for table in ("daily_bars", "reference"):
            lake.write(table, day, source.load(table, dt.date.fromisoformat(day)).frame)
    market = market_data(lake, DAYS)
    later = weekly_returns(market)
    rng = np.random.default_rng(5)
    for d, day in enumerate(DAYS[STARTS:], STARTS):
        frame = pd.DataFrame({"symbol": market.symbols, **{n: rng.normal(size=len(market.symbols)) for n in DAILY}})
        frame["kmid"] = later[d]  # knows the future
        frame["klen"] = -later[d] + 0.02 * rng.normal(size=len(frame))
        frame["bp_lf"] = 1.0  # constant
        frame["ep_ttm"] = np.nan
        frame.loc[frame.index % 2 == 0, "kup"] = np.nan
        lake.write("daily_factors", day, frame)
        if d >= 30:
            values = rng.normal(size=(len(frame), len(GRANULAR)))
            features = pd.DataFrame(values, columns=list(GRANULAR))
            lake.write("features_240m", day, features.assign(symbol=frame["symbol"]))
    return lake


def weekly_returns(market):
    """From the vwap of T+1 to the last vwap so far at T+6, row by row."""
    price = pd.DataFrame(market.vwap)
    return (price.ffill().shift(-6) / price.shift(-1) - 1).to_numpy()


def test_it_is_the_naive_rank_correlation(lake, monkeypatch):
    monkeypatch.setattr(module, "VALUES", 7 * 42 * 100)
    found = module.evaluated_inputs(lake).set_index("name")
    market = market_data(lake, DAYS)
    later, inside = weekly_returns(market), evaluation_universe(market)
    for name in ("kmid", "klen", "kup", "ret_5d"):
        expected, coverage = [], []
        for d, day in enumerate(DAYS[STARTS:], STARTS):
            values = lake.day("daily_factors", day)[name].to_numpy()
            coverage.append((np.isfinite(values) & inside[d]).sum())
            both = inside[d] & np.isfinite(values) & np.isfinite(later[d])
            if both.sum() >= 30:
                expected.append(spearmanr(values[both], later[d][both])[0])
        row = found.loc[name]
        assert row["rank_ic_mean"] == pytest.approx(np.mean(expected), abs=1e-12)
        assert row["rank_ic_positive_ratio"] == pytest.approx(np.mean(np.array(expected) > 0))
        assert row["coverage"] == pytest.approx(sum(coverage) / inside[STARTS:].sum())
        if name != "kmid":
            assert row["rank_ic_ir"] == pytest.approx(np.mean(expected) / np.std(expected, ddof=1))
    assert found.loc["kmid", "rank_ic_mean"] == pytest.approx(1)
    assert found.loc["klen", "rank_ic_mean"] < -0.5
    assert abs(found.loc["ret_5d", "rank_ic_mean"]) < 0.15
    assert found.loc["kup", "coverage"] == pytest.approx(0.5, abs=0.1)
    assert found.loc["amplitude", ["table", "first_day"]].tolist() == ["features_240m", DAYS[30]]
    # the last six days have no return yet
    assert found.loc["kmid", ["first_day", "last_day"]].tolist() == [DAYS[STARTS], DAYS[-7]]


def test_what_cannot_be_evaluated_is_left_out(lake):
    names = set(module.evaluated_inputs(lake)["name"])
    assert not names & {"bp_lf", "ep_ttm", *COMMON}  # flat, empty, no such table
    assert names == {*DAILY, *GRANULAR} - {"bp_lf", "ep_ttm"}


def test_passports_show_it(lake):
    build = Build(["all"], lake, lambda: None, 1, lambda: "cpu", print)
    built, _ = module.input_evaluation.make(build)
    assert "| kmid | daily_factors | 1.0000 |" in built.metadata["table"].value
    lake.write("input_evaluation", WHOLE, built.frame)
    found = passport_pages.measured_rank_ic(lake)
    assert found["kmid"].rank_ic == pytest.approx(1)
    assert "RankIC 100.00%" in passport_pages.passport_markdown(passport_pages.passport("kmid"), found["kmid"])
    assert passport_pages.factor_overview(DAILY, found).set_index("factor").loc["kmid", "ours"] == pytest.approx(1)


def test_a_lake_without_inputs_says_so(tmp_path):
    build = Build(["all"], Lake(tmp_path), lambda: None, 1, lambda: "cpu", print)
    built, _ = module.input_evaluation.make(build)
    assert "fewer than 30 days" in built.metadata["absent"]
    assert list(built.frame.columns) == list(module.COLUMNS)


def test_every_step_of_the_day_is_evaluated_and_summed_up(lake):
    """Alone: `lake` has no features by step, this one has them of the last half-hours knowing the future."""
    market = market_data(lake, DAYS)
    later, rng = weekly_returns(market), np.random.default_rng(8)
    names = module.column_names("features_60m")
    for d, day in enumerate(DAYS[STARTS:], STARTS):
        frame = pd.DataFrame(rng.normal(size=(len(market.symbols), len(names))), columns=list(names))
        frame["ret_3"] = later[d]
        lake.write("features_60m", day, frame.assign(symbol=market.symbols))
    steps = module.evaluated_steps(lake)
    assert len(steps) == len(names) == 56
    row = steps.set_index("name").loc["ret_3"]
    assert row[["feature", "step", "table"]].tolist() == ["ret", 3, "features_60m"]
    assert row["rank_ic_mean"] == pytest.approx(1)
    summed = module.by_feature(steps).set_index("feature")
    assert len(summed) == 14
    assert summed.loc["ret", ["steps", "best_step"]].tolist() == [4, 3]
    mine = steps[steps["feature"] == "amplitude"]["rank_ic_mean"]
    assert summed.loc["amplitude", "rank_ic_mean"] == pytest.approx(mine.mean())
    assert abs(summed.loc["amplitude", "best_rank_ic"]) == pytest.approx(mine.abs().max())
    # 66 days are enough for every second of them
    sparse = {row["name"]: row for row in module._rows(lake, {"features_60m": names}, market, stride=2)}
    values = lake.panel("features_60m", DAYS[STARTS::2], ["amplitude_1"], market.symbols)["amplitude_1"]
    expected = rank_ic_by_day(values, later[STARTS::2], evaluation_universe(market)[STARTS::2], 30)
    assert sparse["amplitude_1"]["rank_ic_mean"] == pytest.approx(np.nanmean(expected))
