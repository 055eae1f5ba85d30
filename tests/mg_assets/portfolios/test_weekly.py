"""Weights and backtests of portfolios on a small simulated lake, without Dagster runs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import portfolio_market as helper
import pytest

from mg_assets.assets import portfolio_placebos
from mg_assets.assets import portfolios as assets
from mg_assets.assets.portfolio_metadata import tracking_error_shown
from mg_assets.errors import DataError, MissingPartitionError
from mg_assets.factors.labels import eligible_entry, labels
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days, week_of
from mg_assets.orchestration.partition_build import Build
from mg_assets.portfolios import placebo_runs
from mg_assets.portfolios.decision_panel import DecisionData, void_limits
from mg_assets.portfolios.risk_history import WEEKS, risk_history, with_risk_history
from mg_assets.portfolios.study_runs import Job, run_backtests
from mg_assets.portfolios.trading_rules import TradingRules, trading_rules
from mg_assets.portfolios.weekly import (
    BACK,
    decide_weeks,
    decision_days,
    last_decision,
    weeks_back,
    weight_columns,
)
from mg_assets.portfolios.what_if import what_if
from mg_assets.quality import run_suite
from mg_assets.settings import load_settings
from mg_portfolio.backtest.expected_returns import ENOUGH
from mg_portfolio.backtest.risk_history import HISTORY
from mg_portfolio.catalog import OTHER_STYLES, PORTFOLIOS
from mg_portfolio.optimization.shadow_prices import return_per_score

NAME = "csi500_turnover30"
TABLE = f"weights_{NAME}"
EXECUTION = TradingRules(costs="chinese", capital=5e8, participation=0.2, lots=True)

copy_of, FIRST, LAST = helper.copy_of, helper.FIRST, helper.LAST


@pytest.fixture(scope="module")
def market(tmp_path_factory) -> Lake:
    return helper.small_market(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="module")
def weeks(market) -> list[str]:
    return [str(w) for w in np.unique(week_of(trading_days(FIRST, "2023-04-21")))]


def build(lake: Lake, spec, weeks: list[str], rules: TradingRules, at_once: int = 99) -> dict[str, tuple]:
    """Make weeks as the asset does, some at a time; each part starts from what is stored."""
    table, made = f"weights_{spec.name}", {}
    for begin in range(0, len(weeks), at_once):
        keys = weeks[begin : begin + at_once]
        last = last_decision(lake, table, keys[0], weeks[begin - 1] if begin else None)
        for key, step, rows, facts in decide_weeks(lake, spec, table, keys, rules, last):
            lake.write(table, key, rows, {"absent": step} if isinstance(step, str) else facts)
            made[key] = (step, rows, facts)
    return made


@pytest.fixture(scope="module")
def lake(market, weeks, tmp_path_factory) -> Lake:
    """All weeks of one portfolio, made in one go."""
    lake = copy_of(market, tmp_path_factory.mktemp("weeks"))
    build(lake, PORTFOLIOS[NAME], weeks, TradingRules())
    return lake


@pytest.mark.parametrize("rules", [TradingRules(), EXECUTION], ids=["plain", "execution"])
def test_a_scheduled_week_gives_the_bits_of_the_backfill(market, weeks, tmp_path, rules):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = copy_of(market, tmp_path / "a"), copy_of(market, tmp_path / "b")
    build(one, PORTFOLIOS[NAME], weeks[:8], rules)
    build(other, PORTFOLIOS[NAME], weeks[:8], rules, at_once=1)
    for key in weeks[:8]:
        pd.testing.assert_frame_equal(one.day(TABLE, key), other.day(TABLE, key), check_exact=True)
        assert one.metadata(TABLE, key) == other.metadata(TABLE, key)


def test_each_week_passes_the_suite_and_stores_its_status(lake, weeks):
    for outcome in run_suite(TABLE, lake, weeks):
        assert outcome.passed or outcome.name in ("relaxed", "size_band"), outcome
    facts = [lake.metadata(TABLE, k) for k in weeks]
    assert [f["status"] for f in facts].count("optimal") >= len(weeks) - 2
    assert facts[0]["value"] == 1.0
    assert facts[0]["decided"] == decision_days(weeks[:1], LAST)[weeks[0]]


def test_slopes_are_the_labels_and_end_before_the_decision(lake, weeks):
    keys = lake.keys("daily_bars")
    columns = ["vwap", "open", "high", "low", "close", "adj_factor", "up_limit", "down_limit", "suspended", "st"]
    bars = lake.panel("daily_bars", keys, columns)
    entry = eligible_entry(*(bars[c] for c in ("suspended", "st", *columns[1:5], "up_limit", "down_limit")))
    ret = labels(bars["vwap"] * bars["adj_factor"], entry & bars.present, (5,))[:, :, 0]
    by_day = dict(lake.metadata(TABLE, weeks[-1])["earned"])
    assert len(by_day) >= len(weeks) - 3
    for key in weeks[:6]:
        decided = lake.metadata(TABLE, key)["decided"]
        rows = lake.day(TABLE, key)
        score = rows.set_index("symbol")["score"].reindex(bars.symbols).to_numpy(float)
        slope, _ = return_per_score(score, ret[keys.index(decided)])
        assert by_day[decided] == pytest.approx(slope, rel=1e-9)
    for key in weeks:
        facts = lake.metadata(TABLE, key)
        now = keys.index(facts["decided"])
        assert all(keys.index(d) + 6 <= now for d, _ in facts["earned"])
        mean = np.mean([s for _, s in facts["earned"]]) if len(facts["earned"]) >= ENOUGH else None
        assert facts["return_per_score"] == (None if mean is None else pytest.approx(mean))
    assert facts["return_per_score"] > 0  # the signal has the planted one in it


def test_what_if_takes_the_weeks_own_slope(lake, weeks):
    c = what_if(NAME, weeks[-1], lake, turnover_limit=0.25)
    assert c.return_per_score == lake.metadata(TABLE, weeks[-1])["return_per_score"]
    assert c.summary.loc["turnover_one_way", "after"] > c.summary.loc["turnover_one_way", "before"]
    assert "expected_excess_bp_a_year" in c.summary.index


def test_a_portfolio_with_every_style_is_neutral_and_checked(market, weeks, tmp_path):
    spec = replace(PORTFOLIOS["csi500_ai"], signal="fused")
    lake = copy_of(market, tmp_path)
    table = f"weights_{spec.name}"
    build(lake, spec, weeks[:5], TradingRules())
    assert tuple(lake.day(table, weeks[0]).columns) == tuple(weight_columns(spec))
    for outcome in run_suite(table, lake, weeks[:5]):
        assert outcome.passed or outcome.name in ("relaxed", "size_band"), outcome
    facts = lake.metadata(table, weeks[4])
    assert set(facts["limits"]["styles"]) == {"valuation", *OTHER_STYLES}
    rows = lake.day(table, weeks[4])
    for style, limit in {**facts["limits"]["styles"], "size": 0.0}.items():
        room = facts["relaxed"].get(f"style[{style}]", 0.0)
        assert abs((rows["weight"] - rows["benchmark"]) @ rows[style]) <= limit + room + 1e-9
    bad = rows.assign(weight=np.roll(rows["weight"].to_numpy(), 7))
    lake.write(table, weeks[4], bad, facts)
    failed = {o.name: o for o in run_suite(table, lake, [weeks[4]]) if not o.passed}
    assert "exposures" in failed
    c = what_if(spec.name, weeks[3], lake, style_limits={"beta": 0.1})
    assert "style[beta]" in c.exposures.index


AVERSE = replace(PORTFOLIOS[NAME], cost=0.001, risk_aversion=40.0)


@pytest.fixture(scope="module")
def averse(market, weeks, tmp_path_factory) -> tuple[Lake, dict]:
    """All weeks of the portfolio with a cost and a risk aversion, made in one go."""
    lake = copy_of(market, tmp_path_factory.mktemp("averse"))
    return lake, build(lake, AVERSE, weeks, TradingRules())


def test_weeks_with_cost_and_risk_alone_give_the_same_bits(averse, weeks, tmp_path):
    lake, _ = averse
    alone = copy_of(lake, tmp_path)
    for key in weeks[:-2]:
        alone.write(TABLE, key, lake.day(TABLE, key), lake.metadata(TABLE, key))
    at = len(weeks) - 2
    for begin in (at, at + 1):
        last = last_decision(alone, TABLE, weeks[begin], weeks[begin - 1])
        for key, _, rows, facts in decide_weeks(alone, AVERSE, TABLE, [weeks[begin]], TradingRules(), last):
            alone.write(TABLE, key, rows, facts)
    for key in weeks[-2:]:
        pd.testing.assert_frame_equal(lake.day(TABLE, key), alone.day(TABLE, key), check_exact=True)
        assert lake.metadata(TABLE, key) == alone.metadata(TABLE, key)
        assert lake.metadata(TABLE, key)["risk"]["aversion"] == 40.0


def test_cost_and_risk_wait_for_the_score_in_returns(lake, averse, weeks):
    own, made = averse
    begun = [key for key in weeks if "expected_return" in own.metadata(TABLE, key)]
    assert 2 < len(begun) < len(weeks) - ENOUGH + 1
    for key in weeks:
        facts = own.metadata(TABLE, key)
        assert ("risk" in facts) == ("no_trade" in facts) == (key in begun)
        if key not in begun:  # until then the portfolio is the one without either
            pd.testing.assert_frame_equal(own.day(TABLE, key), lake.day(TABLE, key), check_exact=True)
    step, rows, facts = made[begun[-1]]
    loadings, cov, specific = step.problem.risk_model
    active = (rows["weight"] - rows["benchmark"]).to_numpy()
    variance = active @ (loadings @ cov @ loadings.T + np.diag(specific)) @ active
    assert facts["risk"]["tracking_error"] == pytest.approx(np.sqrt(variance))
    assert facts["risk"]["tracking_error_annual"] == pytest.approx(np.sqrt(variance * 252 / 5))
    assert 0.01 < facts["risk"]["tracking_error_annual"] < 0.2
    assert facts["expected_return"]["cost"] == 0.001  # fewer than ten decays: earned until the next rebalance
    assert facts["expected_return"]["holding_period"] == 5.0
    assert facts["return_per_score"] == 1.0
    assert facts["no_trade"]["turnover_saved"] > 0.0


def test_risk_is_that_of_the_market_up_to_the_day(averse, weeks, market, tmp_path):
    """Nothing of the bars after a decision is in its model, and the model is that of all of the bars before."""
    _, made = averse
    step = made[weeks[-3]][0]
    day = str(pd.Timestamp(made[weeks[-3]][2]["decided"]).date())
    symbols = step.problem.symbols
    history = risk_history(market, day, day, symbols)
    assert str(history.days[-1]) == day
    bars = market.panel(
        "daily_bars", [k for k in market.keys("daily_bars") if k <= day], ["close", "adj_factor"], symbols
    )
    own = bars["close"] * bars["adj_factor"]
    known = np.isfinite(history.price).any(axis=1)
    traded = np.isfinite(history.price[known])
    np.testing.assert_array_equal(history.price[known][traded], own[traded])
    assert 0.9 < traded.mean() < 1.0  # without the halted


def test_the_window_holds_the_sessions_of_a_model():
    mondays = np.unique(week_of(trading_days("2008-01-01", "2025-12-31")))
    every = trading_days(end="2025-12-31")
    for monday in mondays[::7]:
        first = np.searchsorted(every, monday)  # the earliest decision of its week
        assert week_of(every[first + 1 - HISTORY]) >= monday - np.timedelta64(7 * WEEKS, "D")
    assert weeks_back(PORTFOLIOS[NAME]) == dict.fromkeys(("fused", "reference", "daily_bars", "common_factors"), BACK)
    assert weeks_back(AVERSE)["daily_bars"] == WEEKS
    assert weeks_back(replace(AVERSE, holding_period=5.0))["fused"] == BACK


def test_what_if_of_a_week_with_cost_and_risk(lake, averse, weeks):
    own, _ = averse
    stored = own.day(TABLE, weeks[-1]).set_index("symbol")["weight"]
    free = what_if(NAME, weeks[-1], own, cost=0.0)
    shown = free.weights.set_index("symbol")["before"]
    np.testing.assert_allclose(shown, stored[shown.index], atol=1e-9)
    assert free.summary.loc["turnover_one_way", "change"] > 0.0
    calm = what_if(NAME, weeks[-1], own, risk_aversion=400.0)
    assert calm.summary.loc["active_risk", "change"] < 0.0
    assert "risk_aversion 40 to 400" in calm.title
    with pytest.raises(DataError, match="has no score in units of return, which a risk aversion needs"):
        what_if(NAME, weeks[-1], lake, risk_aversion=40.0)


def test_forecast_tracking_errors_stand_beside_realised(lake, averse, tmp_path):
    own, _ = averse
    decisions, facts = assets.stored_decisions(own, NAME)
    keys = assets.backtest_days(own, decisions, min(decisions))
    data = DecisionData(own, keys)
    result, _ = assets.simulated(data.market, AVERSE, decisions)
    shown, stored = tracking_error_shown(AVERSE, result, facts)
    risk = stored["risk"]
    assert risk["periods"] == len([f for f in facts if "risk" in f]) - 1
    assert risk["bias_low"] < 1.0 < risk["bias_high"]
    assert 0.2 < risk["bias"] < 3.0
    assert 0.01 < risk["forecast_annual"] < 0.2
    assert "tracking error chart" in shown
    assert tracking_error_shown(AVERSE, result, assets.stored_decisions(lake, NAME)[1]) == ({}, {})
    panel = with_risk_history(data.decisions(AVERSE, "fused"), own, AVERSE, min(decisions))
    placebo_runs._save(tmp_path, panel)  # of the placebos' processes
    given = placebo_runs._load(tmp_path, dict(panel.industry_names), tuple(panel.styles)).history
    for name in ("days", "price", "amount"):
        np.testing.assert_array_equal(getattr(given, name), getattr(panel.history, name))
    assert with_risk_history(panel, own, PORTFOLIOS[NAME], min(decisions)) is panel


def test_styles_that_the_source_lacks_are_recorded(market, weeks, tmp_path):
    lake = Lake(tmp_path)
    for table in ("daily_bars", "fused"):
        (tmp_path / table).symlink_to(f"{market.root}/{table}", target_is_directory=True)
    for key in market.keys("reference")[:15]:
        lake.write("reference", key, market.day("reference", key).assign(pb=np.nan))
    spec = replace(PORTFOLIOS["csi500_ai"], signal="fused")
    made = build(lake, spec, weeks[:2], TradingRules())
    facts = made[weeks[1]][2]
    assert void_limits(facts["unknown_inputs"]) == [f"style[{n}]" for n in ("valuation", *OTHER_STYLES)]
    assert "styles" not in facts["limits"]
    assert (made[weeks[1]][1]["valuation"] == 0.0).all()


def test_weeks_without_a_signal_are_empty_and_the_next_goes_on(market, weeks, tmp_path):
    lake = Lake(tmp_path)
    for table in ("daily_bars", "reference", "common_factors"):
        (tmp_path / table).symlink_to(f"{market.root}/{table}", target_is_directory=True)
    silent = decision_days(weeks, LAST)[weeks[2]]
    for key in market.keys("fused"):
        rows = market.day("fused", key)
        lake.write("fused", key, rows[:0] if key == silent else rows)
    whole = build(lake, PORTFOLIOS[NAME], weeks[:5], TradingRules())
    assert whole[weeks[2]][0] == f"no fused on {silent}"
    assert whole[weeks[2]][1].empty
    alone = build(Lake(tmp_path), PORTFOLIOS[NAME], weeks[:5], TradingRules(), at_once=1)
    for key in (weeks[3], weeks[4]):
        pd.testing.assert_frame_equal(whole[key][1], alone[key][1], check_exact=True)
    assert alone[weeks[3]][1]["holdings"].sum() == pytest.approx(1.0)


def test_a_gap_between_weeks_is_an_error(lake, weeks):
    with pytest.raises(MissingPartitionError, match="materialise 2023-05-08 first"):
        last_decision(lake, TABLE, "2023-05-15", "2023-05-08")  # the last is of April
    assert last_decision(lake, TABLE, weeks[0], None) is None


def run_asset(table: str, lake: Lake) -> dict:
    asset = next(a for a in (*assets.ASSETS, *portfolio_placebos.ASSETS) if table in a.tables)
    build = Build([WHOLE], lake, lambda: None, 1, lambda: "cpu", lambda _: None)
    return {made.table: made for made in asset.make(build)}


@pytest.fixture(scope="module")
def backtest(lake) -> dict:
    return run_asset(f"{NAME}_backtest", lake)


def test_the_stored_account_adds_up(lake, backtest, weeks):
    daily, held = (backtest[f"{NAME}_{what}"].frame for what in ("backtest", "holdings"))
    worth = (held["units"] * held["price"]).groupby(held["date"]).sum().reindex(daily["date"]).fillna(0.0)
    np.testing.assert_allclose(daily["nav"], worth.to_numpy() + daily["cash"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(daily["relative_nav"], daily["nav"] / daily["benchmark_nav"], rtol=1e-13)
    shares = held.groupby("date")["weight"].sum().reindex(daily["date"]).fillna(0.0)
    np.testing.assert_allclose(shares.to_numpy() + (daily["cash"] / daily["nav"]), 1.0, atol=1e-12)
    for key in weeks:  # the weeks started from what the account holds
        facts, rows = lake.metadata(TABLE, key), lake.day(TABLE, key).set_index("symbol")
        own = held[held["date"] == facts["decided"]].set_index("symbol")["weight"]
        np.testing.assert_allclose(rows["holdings"], own.reindex(rows.index).fillna(0.0), atol=1e-10)
        assert daily.set_index("date").loc[facts["decided"], "nav"] == pytest.approx(facts["value"], rel=1e-10)


def test_planned_and_filled_orders_have_their_tables(backtest):
    trades, rebalances = (backtest[f"{NAME}_{what}"].frame for what in ("trades", "rebalances"))
    made = trades.groupby("traded")["filled"].apply(lambda x: x.abs().sum())
    np.testing.assert_allclose(rebalances.set_index("traded")["realised_two_way"], made, rtol=1e-9)
    stuck = trades[trades["reason"].isin(("suspended", "limit_up", "limit_down"))]
    assert len(stuck) > 0
    assert (stuck["filled"].abs() < 1e-12).all()
    assert (rebalances["planned_two_way"].iloc[2:] <= 0.30 + 1e-6).all()
    assert trades["symbol"].is_monotonic_increasing


def test_the_metadata_shows_luck_attribution_and_prices(backtest):
    made = backtest[f"{NAME}_backtest"]
    assert {"by weekday of the decision", "attribution", "attribution by industry", "attribution by factor"} <= set(
        made.metadata
    )
    assert {"turnover", "orders_not_filled", "what limits cost", "paths", "attribution chart", "NAV"} <= set(
        made.metadata
    )
    shown = made.metadata["by weekday of the decision"].value
    assert [line.split("|")[1].strip() for line in shown.splitlines()[2:]] == [
        "mon", "tue", "wed", "thu", "fri", "mean", "std", "min", "max",
    ]  # fmt: skip
    assert "reversal" in made.metadata["attribution by factor"].value
    assert "basis_points_a_year" in made.metadata["what limits cost"].value
    parts = made.stored["attribution"]
    daily = made.frame
    excess = daily["nav"].iloc[-1] - daily["benchmark_nav"].iloc[-1]
    assert parts["excess"] == pytest.approx(excess, abs=1e-12)
    assert sum(v for k, v in parts.items() if k != "excess") == pytest.approx(excess, abs=1e-12)
    fri = daily["relative_nav_fri"].dropna()
    own = daily.loc[fri.index, "relative_nav"]
    np.testing.assert_allclose(fri / fri.iloc[0], own / own.iloc[0])
    assert fri.index[0] == 1  # bought on the day after the first decision
    growth = (own.iloc[-1] / own.iloc[0]) ** (252 / (len(own) - 1)) - 1
    assert made.stored["weekdays"]["fri"]["excess_annual"] == pytest.approx(growth)


@pytest.fixture(scope="module")
def placebos(lake) -> dict:
    return run_asset(f"{NAME}_placebo", lake)


def decided_on(lake, weeks) -> tuple:
    """The panel of the stored decisions, and their rows in it."""
    decisions, _ = assets.stored_decisions(lake, NAME)
    data = DecisionData(lake, assets.backtest_days(lake, decisions, min(decisions)))
    days = np.array(sorted(decisions), "datetime64[D]")
    return decisions, data, data.decisions(PORTFOLIOS[NAME], "fused"), np.searchsorted(data.market.days, days)


def test_the_stored_portfolio_stands_beside_its_placebos(lake, weeks, backtest, placebos):
    made, paths = placebos[f"{NAME}_placebo"], placebos[f"{NAME}_placebo_paths"].frame
    frame, own = made.frame, backtest[f"{NAME}_backtest"]
    assert tuple(frame.columns) == tuple(portfolio_placebos.COLUMNS)
    assert [tuple(x) for x in frame[["placebo", "period"]].to_numpy()] == [
        (n, period) for n in range(21) for period in ("whole", "2023")
    ]
    whole = frame[frame["period"] == "whole"].set_index("placebo")
    for name in ("excess_annual", "tracking_error", "information_ratio", "turnover_two_way_annual"):
        assert whole.loc[0, name] == own.stored["metrics"][name], name
    compared = made.stored["compared"]["whole"]
    assert compared["excess"] == pytest.approx(whole.loc[0, "excess_annual"])
    assert compared["rank"] == 1 + (whole.loc[1:, "excess_annual"] > whole.loc[0, "excess_annual"]).sum()
    assert compared["rank"] == 1  # the planted signal
    ends = paths.groupby("placebo")["relative_nav"].last()
    np.testing.assert_allclose(ends ** (252 / whole["days"].iloc[0]) - 1, whole.loc[1:, "excess_annual"])
    turnover = whole["turnover_two_way_annual"]
    assert turnover[1:].between(0.8 * turnover[0], 1.2 * turnover[0]).all()
    assert {"beside placebos", "how to read it", "placebo paths", "each placebo"} <= set(made.metadata)


def test_the_real_scores_in_a_placebos_place_give_the_account(lake, weeks, backtest):
    _, _, panel, rows = decided_on(lake, weeks)
    path = placebo_runs.simulate_placebo(panel, PORTFOLIOS[NAME], rows, panel.score[rows])
    account = backtest[f"{NAME}_backtest"].frame.set_index("date")
    days = path.result.days.astype(str)
    np.testing.assert_array_equal(path.result.nav, account.loc[days, "nav"])
    np.testing.assert_array_equal(path.result.benchmark_nav, account.loc[days, "benchmark_nav"])


def test_placebos_in_processes_are_those_of_one(lake, weeks, monkeypatch):
    """Through the files that the processes map; the processes themselves are ``worker_pool``'s tests."""
    _, _, panel, rows = decided_on(lake, weeks)
    spec, rules = PORTFOLIOS[NAME], TradingRules()
    alone = placebo_runs.run_placebos(panel, spec, rows[:5], 3, rules)
    asked = []

    def in_turn(work, tasks, workers):
        asked.append((len(tasks), workers))
        yield from reversed([(name, work(task, print)) for name, task in tasks.items()])

    monkeypatch.setattr(placebo_runs, "run_tasks", in_turn)
    monkeypatch.setattr(placebo_runs, "DECISIONS_PER_WORKER", 1)
    shared = placebo_runs.run_placebos(panel, spec, rows[:5], 3, rules, workers=2)
    assert asked == [(2, 2)]
    for one, other in zip(alone, shared, strict=True):
        assert one.number == other.number
        assert (one.relative_nav == other.relative_nav).all()
        pd.testing.assert_frame_equal(one.figures, other.figures, check_exact=True)


def test_placebos_are_a_setting_and_no_field_of_the_portfolio(monkeypatch):
    given = {}
    for count in (0, 5):
        monkeypatch.setenv("MG_PORTFOLIOS", f'{{"{NAME}": {{"placebos": {count}}}}}')
        given[count] = load_settings()
    monkeypatch.setattr(portfolio_placebos, "settings", lambda: given[5])
    recipe = portfolio_placebos._placebo_asset(NAME).entries[0].config
    assert recipe[-1] == 5
    assert given[0].catalogs.portfolios[NAME] == PORTFOLIOS[NAME]  # weights and published figures stay
    monkeypatch.setattr(portfolio_placebos, "settings", lambda: given[0])
    assert portfolio_placebos.placebos_of(NAME) == 0
    monkeypatch.setenv("MG_PORTFOLIOS", f'{{"{NAME}": {{"placebos": -1}}}}')
    with pytest.raises(DataError, match="placebos was -1; an integer from 0 was expected"):
        load_settings()


def test_fewer_than_two_weeks_give_a_reason(market, tmp_path):
    made = run_asset(f"{NAME}_backtest", copy_of(market, tmp_path))
    assert all(m.metadata == {"absent": "fewer than two weeks of weights"} for m in made.values())
    assert len(made) == 4


@pytest.mark.parametrize("days_after", [0, 1, 3])
def test_the_first_two_weeks_have_a_page(market, weeks, tmp_path, days_after):
    """The last decision may not be traded yet, and not every weekday invested."""
    last = decision_days(weeks, LAST)[weeks[1]]
    keys = market.keys("daily_bars")
    for table in ("daily_bars", "reference", "fused", "common_factors"):
        (tmp_path / table).mkdir()
        for key in keys[: keys.index(last) + 1 + days_after]:
            (tmp_path / table / f"date={key}").symlink_to(market.folder(table, key), target_is_directory=True)
    lake = Lake(tmp_path)
    build(lake, PORTFOLIOS[NAME], weeks[:2], TradingRules())
    made = run_asset(f"{NAME}_backtest", lake)
    assert made[f"{NAME}_backtest"].frame["date"].iloc[-1] == lake.keys("daily_bars")[-1]
    assert "fri" in made[f"{NAME}_backtest"].stored["weekdays"]
    assert len(made[f"{NAME}_rebalances"].frame) == 1 + (days_after > 0)


def test_costs_of_the_day_and_lots_are_a_setting(market, weeks, tmp_path, monkeypatch):
    lake = copy_of(market, tmp_path)
    build(lake, PORTFOLIOS[NAME], weeks[:6], EXECUTION)
    monkeypatch.setattr(assets, "trading_rules", lambda: EXECUTION)
    made = run_asset(f"{NAME}_backtest", lake)
    rebalances = made[f"{NAME}_rebalances"].frame.iloc[1:]
    rate = rebalances["cost"] / rebalances["realised_two_way"]
    # 0.025% commission and 0.001% fee a side, 0.1% tax on the sales
    assert rate.between(0.00026 + 0.0004, 0.00026 + 0.0006).all()
    assert (rebalances["cash"] > 0).all()  # what whole lots leave over
    assert "lot" in set(made[f"{NAME}_trades"].frame["reason"])
    assert "whole lots" in made[f"{NAME}_backtest"].metadata["trading"]


def test_trading_rules_come_from_the_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("MG_TRADING", '{"costs": "chinese", "capital": 5e8, "lots": true}')
    given = load_settings()
    monkeypatch.setattr("mg_assets.portfolios.trading_rules.settings", lambda: given)
    rules = trading_rules()
    assert rules.execution.lots
    assert rules.rates(PORTFOLIOS[NAME]).on("2023-08-28").stamp_tax == 0.0005
    assert TradingRules().rates(PORTFOLIOS[NAME]) == PORTFOLIOS[NAME].costs
    assert TradingRules().execution is None
    monkeypatch.setenv("MG_TRADING", '{"tax": 1}')
    with pytest.raises(DataError, match="MG_TRADING: tax is unknown; known: costs, "):
        load_settings()
    with pytest.raises(DataError, match="capital in yuan"):
        TradingRules(lots=True)
    with pytest.raises(DataError, match="setting trading: costs was 'none'; a cost model was expected; known: publ"):
        TradingRules(costs="none")


def test_the_fingerprint_of_trading_rules_is_kept():
    rules = TradingRules(costs="chinese", capital=500000000, lots=True)  # an integer stays one
    assert repr(rules) == (
        "TradingRules(costs='chinese', commission=0.00025, slippage=0.0, capital=500000000, participation=None, "
        "lots=True)"
    )


def test_a_cell_is_the_portfolio_of_the_weights(lake, market, tmp_path, weeks, backtest):
    found = run_backtests(copy_of(market, tmp_path), [Job(PORTFOLIOS[NAME], "a")], TradingRules())[NAME]
    daily = backtest[f"{NAME}_backtest"].frame
    both = pd.Series(found.excess_nav(), index=found.days.astype(str)).reindex(daily["date"]).dropna()
    until = lake.metadata(TABLE, weeks[-1])["decided"]
    own = daily.set_index("date").loc[:until, "relative_nav"]
    np.testing.assert_allclose(both.loc[:until], own, rtol=1e-10)


def test_delisted_holdings_are_in_the_decision_data(market):
    data = DecisionData(market, market.keys("daily_bars")[:3], also=["999999.SH"])
    assert "999999.SH" in set(data.symbols)
    at = list(data.symbols).index("999999.SH")
    assert not data.buyable[:, at].any()
    assert not data.market.tradable[:, at].any()
