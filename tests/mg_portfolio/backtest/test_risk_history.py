"""Risk models of decisions: point in time, the same whatever else is held, and beside realised tracking errors."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mg_portfolio import BacktestError, Costs, DecisionPanel, MarketPanel, PortfolioSpec
from mg_portfolio.backtest.rebalance import rebalance, simulate_decisions
from mg_portfolio.backtest.risk_history import HISTORY, RiskHistory, daily_returns, tracking_errors
from mg_portfolio.optimization.constraints import active_variance

SPEC = PortfolioSpec(
    "mine", "signal", "csi500", None, 0.05, 1.0, turnover_limit=0.5, costs=Costs.two_sided(0.0), risk_aversion=30.0
)
DAYS, STOCKS, EVERY = 110, 40, 5
INDUSTRY = np.arange(STOCKS) % 4


def panel_of(seed: int = 1) -> DecisionPanel:
    r = np.random.default_rng(seed)
    score = np.repeat(r.standard_normal((DAYS // EVERY, STOCKS)), EVERY, axis=0)
    daily = r.normal(0.0, 0.02, (DAYS, STOCKS)) + r.normal(0.0, 0.01, (DAYS, 4))[:, INDUSTRY]
    daily[2:] += 0.001 * score[:-2]
    symbols = [f"{i:06d}.SZ" for i in range(STOCKS)]
    market = MarketPanel.from_frames(
        pd.DataFrame(10.0 * np.cumprod(1.0 + daily, axis=0), pd.bdate_range("2020-01-06", periods=DAYS), symbols)
    )
    weights = np.full(score.shape, 1.0 / STOCKS)
    return DecisionPanel.from_frames(market, score, weights, np.tile(INDUSTRY, (DAYS, 1)))


def fields_of(history: RiskHistory, day: int, offered: np.ndarray | None = None) -> dict:
    offered = np.ones(STOCKS, bool) if offered is None else offered
    return history.fields(history.days[day], offered, INDUSTRY, np.arange(STOCKS), EVERY)


def same(one: dict, other: dict) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_later_days_and_other_stocks_change_no_model():
    history = RiskHistory.of(panel_of().market)
    before = fields_of(history, 80)
    later = history.price.copy()
    later[81:] *= 1.5
    assert same(before, fields_of(RiskHistory(history.days, later, history.amount), 80))
    offered = np.arange(STOCKS) != 7
    other = history.price.copy()
    other[:, 7] = np.random.default_rng(0).uniform(5, 20, DAYS)
    one, two = fields_of(history, 80, offered), fields_of(RiskHistory(history.days, other, history.amount), 80, offered)
    assert same(one, two)  # a stock that is only held: its industry, mean styles, the median specific variance
    np.testing.assert_array_equal(one["factor_loadings"][7, :5], [1.0, 0.0, 0.0, 0.0, 1.0])
    assert not one["factor_loadings"][7, 5:].any()
    assert one["specific_var"][7] == np.median(one["specific_var"][offered])


def test_a_model_reads_its_own_sessions_alone():
    r = np.random.default_rng(4)
    days = np.arange(HISTORY + 40) + np.datetime64("2015-01-01")
    price = 10.0 * np.cumprod(1.0 + r.normal(0.0, 0.02, (len(days), STOCKS)), axis=0)
    price[30:60, 3] = np.nan  # halted across the first session of the window
    whole = RiskHistory(days, price, np.full(price.shape, np.nan))
    cut = RiskHistory(days[40:], price[40:], whole.amount[40:])
    assert same(fields_of(whole, -1), fields_of(cut, -1))
    assert not same(fields_of(whole, -1), fields_of(whole, -2))


def test_returns_cross_halts_and_leave_faults_out():
    price = np.array([[10.0, 5.0], [np.nan, 5.5], [11.0, 11.0], [11.0, np.nan]])
    np.testing.assert_allclose(daily_returns(price), [[np.nan, np.nan], [np.nan, 0.1], [0.1, np.nan], [0.0, np.nan]])


def test_risk_aversion_lowers_the_realised_error_too():
    panel, days = panel_of(), range(0, DAYS, EVERY)
    found = {}
    for aversion in (0.0, 100.0):
        steps = list(rebalance(panel, replace(SPEC, risk_aversion=aversion, cost=0.0001), days))
        result = simulate_decisions(panel, SPEC, steps).result
        forecast = {
            str(panel.market.days[s.day]): float(np.sqrt(active_variance(s.problem, s.solution.weights)))
            for s in steps
            if s.problem.risk_aversion > 0.0
        }
        if aversion:
            assert [s.problem.risk_aversion > 0.0 for s in steps] == [s.expected is not None for s in steps]
        table = tracking_errors(result, forecast, EVERY)
        relative = pd.Series(result.nav / result.benchmark_nav)[-50:].pct_change().std()
        found[aversion] = relative, table
    assert found[100.0][0] < 0.8 * found[0.0][0]
    assert found[0.0][1].empty
    table = found[100.0][1]
    assert 0.5 < table["active"].std() / table["forecast"].mean() < 2.0
    own, index = result.nav_before_costs, result.benchmark_nav
    at = [int(np.searchsorted(result.days, d)) for d in table.index[-2:].to_numpy("datetime64[D]")]
    earned = own[at[1]] / own[at[0]] - index[at[1]] / index[at[0]]
    assert table["active"].iloc[-2] == pytest.approx(earned)


def test_too_few_stocks_are_named_with_the_day():
    panel = panel_of()
    history = RiskHistory.of(panel.market)
    few = np.arange(STOCKS) < 5
    with pytest.raises(BacktestError, match="risk model of 2020-05-06, of 5 stocks with a score or an index"):
        history.fields(np.datetime64("2020-05-06"), few, INDUSTRY, np.arange(5), EVERY)
    with pytest.raises(BacktestError, match="2019-01-01 has no prices of that day"):
        history.fields(np.datetime64("2019-01-01"), few, INDUSTRY, np.arange(5), EVERY)
    with pytest.raises(BacktestError, match="history had 40 stocks, expected 39"):
        replace(DecisionPanel.from_frames(panel.market.select(0, 90, np.arange(39)), panel.score[:90, :39],
                panel.benchmark[:90, :39]), history=history)  # fmt: skip
