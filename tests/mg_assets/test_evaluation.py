"""Evaluation of a lake's factors under several cases: the tables hold the library's results, and nothing is lost."""

import datetime as dt
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mg_assets import evaluation
from mg_assets.assets import evaluation as assets
from mg_assets.evaluation import SignalColumn, configured_cases, evaluate_signals, pair_correlations
from mg_assets.factors.registry import ALL34, FACTORS
from mg_assets.lake.market_data import market_data
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
from mg_assets.orchestration.partition_build import Build
from mg_assets.settings import Settings
from mg_assets.sources import build_source
from mg_portfolio.evaluation.cases import Case, cases
from mg_portfolio.evaluation.evaluate import evaluate, long_short, orthogonalize, signal_correlations, tradable_next_day
from mg_portfolio.report.published import published_rows

SOURCE = build_source("simulated", {"stocks": 80, "tick_start": "2023-01-03"})
FEW = ALL34[:6]
DAYS = [str(d) for d in trading_days("2022-10-10", "2022-12-30")]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = Lake(tmp_path_factory.mktemp("lake"))
    rng = np.random.default_rng(3)
    for d, day in enumerate(DAYS):
        for table in ("daily_bars", "reference"):
            frame = SOURCE.load(table, dt.date.fromisoformat(day)).frame
            lake.write(table, day, frame)
        symbols = frame["symbol"]
        values = rng.normal(size=(len(frame), len(ALL34)))
        scores = pd.DataFrame(values, columns=list(ALL34)).assign(symbol=symbols)
        scores["late_skew_ret"] = np.nan  # no value at all
        scores.loc[scores.index % 3 == 0, "down_vol_perc"] = np.nan
        if d >= 10:
            lake.write("factor_scores", day, scores)
        common = pd.DataFrame(rng.normal(size=(len(frame), 3)), columns=["reversal", "cap", "turnover"])
        lake.write("common_factors", day, common.assign(symbol=symbols))
        lake.write("daily_factors", day, pd.DataFrame({"symbol": symbols, "std_1m": rng.normal(size=len(frame))}))
    return lake


@pytest.fixture(scope="module")
def tables(lake):
    build = Build(["all"], lake, lambda: SOURCE, 1, lambda: "cpu", print)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assets, "ALL34", FEW)
        return {b.table: b for b in assets.factor_evaluation.make(build)}


def panels(lake, name):
    market = market_data(lake, DAYS[10:])
    inside = tradable_next_day(market.listed_days, market.st, market.suspended, market.up_locked)
    return market, inside, lake.panel("factor_scores", DAYS[10:], [name], market.symbols)[name]


def test_the_stored_row_equals_the_library_call(lake, tables):
    market, inside, signal = panels(lake, "down_vol_perc")
    found = evaluate(signal, market.vwap, inside, market.days, FACTORS["down_vol_perc"].direction, groups=5)
    row = tables["factor_evaluation"].frame.set_index("name").loc["down_vol_perc"]
    for metric, value in found.summary.items():
        assert row[metric] == pytest.approx(value, rel=1e-12, nan_ok=True), metric
    assert row["rank_ic_mean_t"] == found.confidence.loc["rank_ic_mean", "t"]
    assert row["rank_ic_track_std"] == pytest.approx(found.by_track["rank_ic_mean"].std())
    assert row["first_day"] == DAYS[10]
    read = lambda t, n: lake.panel(t, DAYS[10:], [n], market.symbols)[n]  # noqa: E731
    common = [read(evaluation.COMMON[n], n) for n in ("reversal", "cap", "turnover", "std_1m")]
    industry = pd.factorize(read("reference", "industry").ravel(), sort=True)[0].reshape(signal.shape)
    clean = orthogonalize(signal, np.stack(common, axis=-1), inside, industry)
    held = long_short(clean, market.vwap, inside, market.days, "monthly", FACTORS["down_vol_perc"].direction)
    assert row["orthogonal_long_short_annual"] == pytest.approx(held.summary["long_short_annual"], rel=1e-9)


def test_every_case_track_and_year_is_in_the_detail(lake, tables):
    detail = tables["factor_evaluation_detail"].frame
    mine = detail[detail["name"] == "down_vol_perc"]
    main = mine[(mine["universe"] == "all") & (mine["every"] == 5)]
    assert main["track"].tolist() == ["mean", "0", "1", "2", "3", "4", "std", "mean"]
    assert main["period"].tolist() == ["whole"] * 7 + ["2022"]
    assert len(mine[mine["every"] == 10]) == 12
    market, inside, signal = panels(lake, "down_vol_perc")
    member = lake.panel("reference", DAYS[10:], ["csi1000_member"], market.symbols)["csi1000_member"].astype(bool)
    found = evaluate(signal, market.vwap, inside & member, market.days, FACTORS["down_vol_perc"].direction, groups=5)
    row = mine[(mine["universe"] == "csi1000") & (mine["track"] == "mean")].iloc[0]
    assert row["rank_ic_mean"] == pytest.approx(found.summary["rank_ic_mean"], nan_ok=True)


def test_layers_are_those_of_library_and_report_track(lake, tables):
    market, inside, signal = panels(lake, "down_vol_perc")
    found = evaluate(signal, market.vwap, inside, market.days, FACTORS["down_vol_perc"].direction, groups=5)
    rows = tables["factor_layers"].frame.query("name == 'down_vol_perc'")
    mean, own = rows[rows["track"] == "mean"], rows[rows["track"] != "mean"]
    np.testing.assert_array_equal(mean[[f"layer{g}" for g in range(1, 6)]].to_numpy().T, found.layer_nav)
    np.testing.assert_array_equal(mean["rank_ic"], found.rank_ic)
    # Decisions come every fifth session from 2013-02-01 on
    track = -(len(trading_days("2013-02-01", DAYS[10])) - 1) % 5
    assert own["track"].unique().tolist() == [str(track)]
    assert own["date"].astype(str).tolist() == DAYS[10:]
    np.testing.assert_array_equal(np.flatnonzero(own["rank_ic"].notna())[:2], [track, track + 5])
    held = found.portfolios.gross[track]
    np.testing.assert_array_equal(own["layer1"], held[0] / held[found.portfolios.index("universe")])


def test_published_figures_stand_beside_one_track_and_mean(lake, tables):
    market, inside, signal = panels(lake, "down_vol_perc")
    found = evaluate(signal, market.vwap, inside, market.days, FACTORS["down_vol_perc"].direction, groups=5)
    frame = tables["factor_evaluation_published"].frame
    assert list(frame) == list(assets.PUBLISHED)
    mine = frame[frame["name"] == "down_vol_perc"].set_index("metric")
    assert (
        mine["published"].to_dict()
        == published_rows("down_vol_perc", table="chart 7").set_index("metric")["value"].to_dict()
    )
    track = int(mine["track"].iloc[0])
    for metric, row in mine.iterrows():
        assert row["one_track"] == pytest.approx(found.track_metrics[track][metric], rel=1e-9, nan_ok=True)
        assert row["mean"] == pytest.approx(found.summary[metric], rel=1e-9, nan_ok=True)
        assert row["std"] == pytest.approx(found.spread.loc[metric, "std"], rel=1e-9, nan_ok=True)
    assert frame.groupby("name").size().to_dict() == dict.fromkeys(FEW[1:], 8)  # the first has no value


def test_other_conditions_have_no_published_figures(lake):
    columns = {"down_vol_perc": SignalColumn("factor_scores", "down_vol_perc")}
    assert evaluate_signals(lake, columns, 5, "monthly", cases(["all"], ["t1_open"], [5])).published == []
    second = evaluate_signals(lake, columns, 5, "monthly", cases(["all"], ["t1_open", "t1_vwap"], [5]))
    assert len(second.published) == 8
    assert second.layers[0]["track"].unique().tolist() == ["mean"]
    assert len(second.layers) == 1


def test_pages_lie_beside_the_table(lake, tables):
    shown = tables["factor_evaluation"].metadata
    for lang in ("en", "zh"):
        page = Path(shown[f"page, {lang}"].path).read_text(encoding="utf-8")
        assert page.count('class="name"') == len(FEW)
        assert 'id="layers-down_vol_perc"' in page
    assert "fewer than 30 days with a value" in Path(shown["page, en"].path).read_text(encoding="utf-8")
    assert {"layers of all", "cumulative RankIC of all"} <= set(shown)
    assert sum(len(value.md_str) for value in shown.values() if hasattr(value, "md_str")) < 1_000_000


def test_open_and_close_are_the_bars_own_adjusted_prices(lake):
    plan = cases(["all"], ["t1_open", "t0_close"], [5])
    found = evaluate_signals(
        lake, {"down_vol_perc": SignalColumn("factor_scores", "down_vol_perc")}, 5, "monthly", plan
    )
    market, inside, signal = panels(lake, "down_vol_perc")
    bars = lake.panel("daily_bars", DAYS[10:], ["open", "close", "adj_factor", "volume"], market.symbols)
    for column, delay, case in (("open", 1, "t1_open"), ("close", 0, "t0_close")):
        price = np.where(bars["volume"] > 0, bars[column] * bars["adj_factor"], np.nan)
        expected = evaluate(signal, price, inside, market.days, groups=5, delay=delay).summary["rank_ic_mean"]
        row = next(
            r for r in found.detail if r["execution"] == case and r["track"] == "mean" and r["period"] == "whole"
        )
        assert row["rank_ic_mean"] == pytest.approx(expected, rel=1e-12)


def test_the_exclusions_name_what_was_left_out(lake, tables):
    exclusions = tables["factor_evaluation_exclusions"].frame
    absent = exclusions[(exclusions["name"] == "late_skew_ret") & (exclusions["scope"] == "factor")]
    assert absent[["reason", "count"]].values.tolist() == [["fewer than 30 days with a value", 0]]
    days = exclusions[(exclusions["scope"] == "day") & (exclusions["case"] == "all")]
    stocks = exclusions[(exclusions["scope"] == "stock") & (exclusions["case"] == "all")]
    pd.testing.assert_series_equal(days.groupby("reason")["count"].sum(), stocks.groupby("reason")["count"].sum())
    assert "ST" in set(days["reason"])
    market, inside, _ = panels(lake, "down_vol_perc")
    assert days["count"].sum() == (market.listed & ~inside).sum()


def test_correlations_in_parts_are_those_of_the_whole(lake, monkeypatch):
    names = ("down_vol_perc", "corr_ret_lastret")
    columns = {n: SignalColumn("factor_scores", n, FACTORS[n].direction) for n in names}
    plan = cases()
    at_once = pair_correlations(lake, columns, evaluate_signals(lake, columns, 5, "monthly", plan))
    monkeypatch.setattr(evaluation, "BUDGET", 1)  # a column at a time, read again for the pairs
    monkeypatch.setattr(evaluation, "PAIR_DAYS", 13)
    found = evaluate_signals(lake, columns, 5, "monthly", plan)
    assert not found.signals
    in_parts = pair_correlations(lake, columns, found)
    pd.testing.assert_frame_equal(in_parts, at_once)
    assert list(at_once) == [*names, "reversal", "cap", "turnover", "std_1m"]
    _, inside, _ = panels(lake, names[0])
    stack = np.stack([panels(lake, n)[2] * FACTORS[n].direction for n in names])
    assert at_once.iloc[0, 1] == pytest.approx(signal_correlations(stack, inside)[0, 1], rel=1e-12)


def test_cases_are_those_of_the_settings(monkeypatch):
    assert configured_cases()[0] == cases()[0]
    chosen = Settings(evaluation={"universes": ["csi500", "all"], "executions": ["t1_open"], "every": [10]})
    monkeypatch.setattr(evaluation, "settings", lambda: chosen)
    assert configured_cases() == [Case("csi500", "t1_open", 10), Case("all", "t1_open", 10)]


def test_a_signal_on_few_stocks_says_how_many(lake, tmp_path, monkeypatch):
    """Its row would be blank: no day has as many stocks as a RankIC and layers need."""
    shutil.copytree(lake.root, tmp_path / "lake")
    monkeypatch.setattr(assets, "ALL34", ("down_vol_perc", FEW[-1]))
    monkeypatch.setattr(evaluation, "MIN_STOCKS", 60)
    build = Build(["all"], Lake(tmp_path / "lake"), lambda: SOURCE, 1, lambda: "cpu", print)
    built = {b.table: b for b in assets.factor_evaluation.make(build)}
    _, inside, signal = panels(lake, "down_vol_perc")
    most = (np.isfinite(signal) & inside).sum(axis=1).max()
    why = f"{most} stocks on its fullest day, 60 needed"
    left = built["factor_evaluation_exclusions"].frame.query("scope == 'factor' and name == 'down_vol_perc'")
    assert left[["reason", "count"]].to_numpy().tolist() == [[why, most]]
    shown = built["factor_evaluation"].metadata
    assert why in shown["not evaluated"].md_str
    assert built["factor_evaluation"].frame["name"].tolist() == [FEW[-1]]
    pages = {lang: Path(shown[f"page, {lang}"].path).read_text(encoding="utf-8") for lang in ("en", "zh")}
    assert why in pages["en"]
    assert f"最多的一天只有 {most} 只股票，至少需要 60 只" in pages["zh"]


def test_few_stocks_throughout_leave_empty_tables(lake, tmp_path, monkeypatch):
    shutil.copytree(lake.root, tmp_path / "lake")
    monkeypatch.setattr(assets, "ALL34", FEW[1:])
    monkeypatch.setattr(evaluation, "MIN_STOCKS", 500)
    build = Build(["all"], Lake(tmp_path / "lake"), lambda: SOURCE, 1, lambda: "cpu", print)
    built = {b.table: b for b in assets.factor_evaluation.make(build)}
    assert built["factor_evaluation"].metadata["absent"].endswith("stocks on its fullest day, 500 needed")
    assert all(built[t].frame.empty for t in ("factor_evaluation", "factor_evaluation_detail", "factor_layers"))
    assert not set(built["factor_correlations"].frame.columns) & set(FEW)


def test_a_lake_without_factors_gives_a_reason(tmp_path):
    build = Build(["all"], Lake(tmp_path), lambda: SOURCE, 1, lambda: "cpu", print)
    built = {b.table: b for b in assets.factor_evaluation.make(build)}
    assert "fewer than 30 days" in built["factor_evaluation"].metadata["absent"]
    assert len(built["factor_evaluation_exclusions"].frame) == len(ALL34)
    assert built["factor_evaluation_detail"].frame.empty
    assert built["factor_layers"].frame.empty
    assert "none was evaluated" in built["factor_layers"].metadata["absent"]
    page = Path(built["factor_evaluation"].metadata["page, en"].path).read_text(encoding="utf-8")
    assert page.count("fewer than 30 days in the lake") >= len(ALL34)
