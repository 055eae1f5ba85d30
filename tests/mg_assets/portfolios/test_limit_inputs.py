"""Limits whose input the source lacks are named by week and number of stocks; stand-ins for the size are choices."""

from dataclasses import replace

import numpy as np
import pandas as pd
import portfolio_market as helper
import pytest

from mg_assets.assets.portfolio_metadata import week_shown
from mg_assets.assets.report import _portfolio
from mg_assets.factors.cross_section import FIVE_MAD, preprocess
from mg_assets.lake.as_of import AsOfLake
from mg_assets.lake.market_data import market_data
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days, week_of
from mg_assets.portfolios.decision_panel import ENOUGH, MONTH
from mg_assets.portfolios.trading_rules import TradingRules
from mg_assets.portfolios.weekly import decide_weeks, last_decision, weight_columns, weight_lineage
from mg_assets.quality import run_suite
from mg_portfolio.catalog import PORTFOLIOS, SIZES

LAST = "2023-02-17"
SPEC = PORTFOLIOS["csi500_turnover30"]
TABLE = f"weights_{SPEC.name}"
PUBLISHED = "2022-11-30"


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """Four weeks of which the last two have no float shares, and bars without amounts."""
    made = helper.small_market(tmp_path_factory.mktemp("made"), LAST)
    folder = tmp_path_factory.mktemp("market")
    for table in ("fused", "common_factors"):
        (folder / table).symlink_to(f"{made.root}/{table}", target_is_directory=True)
    lake = Lake(folder)
    for key in made.keys("daily_bars"):
        lake.write("daily_bars", key, made.day("daily_bars", key).assign(amount=np.nan))
        rows = made.day("reference", key)
        rows["total_shares"] = rows["float_shares"] * 2
        late = key >= "2023-02-06"
        said = {"index_weights_of": {"csi500": PUBLISHED}, "absent_columns": ["st"] if late else []}
        lake.write("reference", key, rows.assign(float_shares=np.nan) if late else rows, said)
    return lake


WEEKS = [str(w) for w in np.unique(week_of(trading_days("2023-01-16", LAST)))]


def weeks_of(market, folder, spec, at_once=99):
    """Weeks of a portfolio in a lake of their own."""
    lake = helper.copy_of(market, folder)
    for begin in range(0, len(WEEKS), at_once):
        keys = WEEKS[begin : begin + at_once]
        last = last_decision(lake, TABLE, keys[0], WEEKS[begin - 1] if begin else None)
        for key, step, rows, facts in decide_weeks(lake, spec, TABLE, keys, TradingRules(), last):
            lake.write(TABLE, key, rows, {"absent": step} if isinstance(step, str) else facts)
    return lake


@pytest.fixture(scope="module")
def lake(market, tmp_path_factory):
    return weeks_of(market, tmp_path_factory.mktemp("weeks"), SPEC)


def decided(lake):
    return {key: (lake.day(TABLE, key), lake.metadata(TABLE, key)) for key in lake.keys(TABLE) if lake.rows(TABLE, key)}


def test_a_limit_without_input_is_named_in_its_weeks(lake):
    for key, (rows, facts) in decided(lake).items():
        unknown = facts.get("unknown_inputs", {})
        everyone = {"stocks": len(rows), "of": len(rows)}
        if key >= "2023-02-06":
            assert unknown["style[size]"] == unknown["st"] == everyone
            assert (rows["size"] == 0.0).all()
        else:
            unscored = int(rows["score"].isna().sum())
            assert unknown.get("style[size]", {"stocks": 0})["stocks"] == unscored
            assert "st" not in unknown
        assert facts["size_neutralised"] == (key < "2023-02-06")
        assert "industry" not in unknown


def test_the_checks_name_void_limits_and_old_weights(lake):
    found = {o.name: o for o in run_suite(TABLE, lake, lake.keys(TABLE), light=True)}
    for name in ("limits_have_inputs", "index_weights_age"):
        assert not found[name].passed
        assert not found[name].blocking
    void = {b["partition"]: b for b in found["limits_have_inputs"].bad if b["measure"] == "void_limits"}
    late = [key for key in decided(lake) if key >= "2023-02-06"]
    assert sorted(void) == late
    assert void[late[0]]["observed"] == 2
    assert void[late[0]]["limits"] == "style[size], st"
    assert void[late[0]]["stocks"] == len(lake.day(TABLE, late[0]))
    old = {b["partition"]: b["observed"] for b in found["index_weights_age"].bad}
    for key, (_, facts) in decided(lake).items():
        age = len(trading_days("2022-12-01", facts["decided"]))
        assert facts["index_weights"] == {"of": PUBLISHED, "age": age}
        assert old.get(key) == (age if age > 45 else None)
    assert 0 < len(old) < len(decided(lake))


def test_the_page_and_the_report_name_them(lake):
    key, (rows, facts) = list(decided(lake).items())[-1]
    last = last_decision(lake, TABLE, key, WEEKS[WEEKS.index(key) - 1])
    step = next(s for k, s, *_ in decide_weeks(lake, SPEC, TABLE, [key], TradingRules(), last) if k == key)
    shown = week_shown(SPEC, step, rows, facts, solve_again=False)
    n = len(rows)
    assert f"style[size]: unknown of {n} of {n} stocks, so the limit holds nothing" in shown["unknown_inputs"]
    assert shown["index_weights"] == f"of {PUBLISHED}, {facts['index_weights']['age']} trading days old"
    then = AsOfLake(lake, LAST)
    series = _portfolio(then, lake, SPEC.name, market_data(lake, lake.keys("daily_bars")))
    assert series.unknown_inputs["style[size]"] == (n, n)
    assert series.index_weights == (PUBLISHED, facts["index_weights"]["age"])


def plain_size(market, day, symbols, measure):
    """What a stock's size is measured by, from the tables, stock by stock."""
    bars = {k: market.day("daily_bars", k).set_index("symbol") for k in market.keys("daily_bars") if k <= day}
    if measure == "total_value":
        shares = market.day("reference", day).set_index("symbol")["total_shares"]
        return np.log((shares * bars[day]["close"]).reindex(symbols).to_numpy())
    out = []
    for symbol in symbols:
        found = [bars[k].loc[symbol, ["vwap", "volume"]].prod() for k in list(bars)[-MONTH:] if symbol in bars[k].index
                 and bars[k].loc[symbol, "volume"] > 0]  # fmt: skip
        out.append(np.log(np.mean(found)) if len(found) >= ENOUGH else np.nan)
    return np.array(out)


@pytest.mark.parametrize("measure", ["total_value", "traded_value"])
def test_a_stand_in_for_the_size_is_held(market, tmp_path, measure):
    spec = replace(SPEC, size_from=measure)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    lake = weeks_of(market, tmp_path / "a", spec)
    made = decided(lake)
    key = list(made)[-1]
    rows, facts = made[key]
    raw = plain_size(market, facts["decided"], rows["symbol"], measure)
    scored = rows["score"].notna().to_numpy() & np.isfinite(raw)
    wanted = preprocess(np.where(scored, raw, np.nan)[:, None], None, None, scored, mads=FIVE_MAD)[:, 0]
    np.testing.assert_allclose(rows["size"], np.nan_to_num(wanted), atol=1e-9)
    room = facts["relaxed"].get("style[size]", 0.0)
    assert abs((rows["weight"] - rows["benchmark"]) @ rows["size"]) <= 0.2 + room + 1e-9
    assert facts["size_neutralised"]
    assert facts.get("unknown_inputs", {}).get("style[size]", {"stocks": 0})["stocks"] == int((~scored).sum())
    alone = decided(weeks_of(market, tmp_path / "b", spec, at_once=1))
    for week, (together, said) in made.items():
        pd.testing.assert_frame_equal(together, alone[week][0], check_exact=True)
        assert said == alone[week][1]
    assert weight_columns(spec)["size"].startswith(SIZES[measure])
    assert set(weight_lineage(spec, TABLE)["size"]) != set(weight_lineage(SPEC, TABLE)["size"])


def test_members_without_weights_are_an_equal_benchmark(market, tmp_path):
    spec = replace(SPEC, benchmark_from="equal_members")
    for rows, facts in decided(weeks_of(market, tmp_path, spec)).values():
        reference = market.day("reference", facts["decided"]).set_index("symbol")
        member = reference[f"{spec.index}_member"].reindex(rows["symbol"]).fillna(False).to_numpy(bool)
        listed = int(reference[f"{spec.index}_member"].sum())
        np.testing.assert_allclose(rows["benchmark"], np.where(member, 1 / listed, 0.0), atol=1e-12)
        assert "index_weights" not in facts
    assert weight_lineage(spec, TABLE)["benchmark"] == (f"reference.{spec.index}_member",)
