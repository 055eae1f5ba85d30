"""Scores in units of return, and trading only where it pays."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mg_portfolio import Costs, DecisionPanel, EnhancementProblem, MarketPanel, PortfolioSpec, ProblemError, optimize
from mg_portfolio.backtest.expected_returns import (
    ENOUGH,
    LAGS,
    ScoreSlopes,
    holding_period,
    no_trade_region,
    shrunk_slope,
)
from mg_portfolio.backtest.rebalance import rebalance

SPEC = PortfolioSpec(
    "mine", "signal", "csi500", None, 0.05, 1.0, turnover_limit=0.5, costs=Costs.two_sided(0.002), cost=0.002
)
DAYS, STOCKS, EVERY = 100, 60, 5


def panel_of(seed: int = 3, planted: float = 0.01) -> DecisionPanel:
    """A market whose returns over the days after the next follow the score."""
    r = np.random.default_rng(seed)
    score = np.repeat(r.standard_normal((DAYS // EVERY, STOCKS)), EVERY, axis=0)
    daily = r.normal(0.0, 0.01, (DAYS, STOCKS))
    daily[2:] += planted / EVERY * score[:-2]
    close = 10.0 * np.cumprod(1.0 + daily, axis=0)
    days = pd.bdate_range("2020-01-06", periods=DAYS)
    symbols = np.array([f"{i:06d}.SZ" for i in range(STOCKS)], dtype=object)
    market = MarketPanel.from_frames(pd.DataFrame(close, days, symbols))
    return DecisionPanel.from_frames(market, score, np.full(close.shape, 1.0 / STOCKS))


def decided(panel: DecisionPanel, spec: PortfolioSpec = SPEC):
    return list(rebalance(panel, spec, range(0, DAYS, EVERY)))


def test_slopes_shrink_by_their_standard_error():
    slopes = np.array([0.01, 0.03, 0.02, 0.04])
    found = shrunk_slope(slopes)
    error = np.sqrt(((slopes - 0.025) ** 2).sum() / 3 / 4)
    assert found.mean == pytest.approx(0.025)
    assert found.standard_error == pytest.approx(error)
    assert found.shrunk == pytest.approx(0.025 - error**2 / 0.025)
    assert shrunk_slope(np.array([0.03, -0.02])).shrunk == 0.0  # within its standard error of nothing
    assert shrunk_slope(-slopes).shrunk == 0.0
    with pytest.raises(ProblemError, match="at least two"):
        shrunk_slope(slopes[:1])


def test_expected_returns_are_ic_by_volatility_by_z():
    r = np.random.default_rng(0)
    score = r.normal(2.0, 3.0, 500)
    returns = 0.002 * score + r.normal(0.0, 0.05, 500)
    ic, z = np.corrcoef(score, returns)[0, 1], (score - score.mean()) / score.std()
    slope = np.polyfit(score, returns, 1)[0]
    alpha = shrunk_slope(np.array([slope, slope])).expected(score)
    np.testing.assert_allclose(alpha, ic * returns.std() * z, rtol=1e-10)
    assert np.isnan(shrunk_slope(np.array([slope, slope])).expected(np.r_[np.nan, score])[0])


def test_one_stock_trades_only_outside_its_band():
    """A stock against another of expected return 0: moving a unit of weight trades two, so it pays above 2 cost."""
    for gain, moved in ((0.0039, 0.0), (0.0041, 0.1)):
        p = EnhancementProblem(
            np.array([gain, 0.0]), np.array([0.5, 0.5]), np.array([0.5, 0.5]), stock_limit=0.1, cost=0.002
        )
        s = optimize(p)
        assert s.weights[0] == pytest.approx(0.5 + moved)
        region = no_trade_region(p, s)
        assert region.stocks == (0 if moved else 2)
        assert region.turnover_saved == pytest.approx(0.1 - moved)
        assert region.cost_saved == pytest.approx(0.002 * 2 * (0.1 - moved))
        assert region.return_forgone == pytest.approx(gain * (0.1 - moved))


def test_the_future_changes_no_expected_return():
    panel = panel_of()
    later = panel.market.close.copy()
    later[71:] *= np.random.default_rng(9).uniform(0.5, 1.5, later[71:].shape)
    market = MarketPanel.from_frames(pd.DataFrame(later, panel.market.days, panel.market.symbols))
    before, after = decided(panel), decided(replace(panel, market=market))
    for one, other in zip(before, after, strict=True):
        same = one.expected == other.expected and np.array_equal(one.target, other.target)
        assert same or one.day > 70
    assert before[-1].expected != after[-1].expected


def test_slopes_wait_for_their_returns():
    panel, slopes = panel_of(), ScoreSlopes()
    made = list(rebalance(panel, SPEC, range(0, DAYS, EVERY), slopes=slopes))
    # a decision's returns end six days after it: two decisions later they are known
    assert [d.expected is None for d in made] == [i < ENOUGH + 1 for i in range(len(made))]
    close, at = panel.market.close, 15
    naive = np.polyfit(panel.score[at], close[at + 6] / close[at + 1] - 1.0, 1)[0]
    assert dict(slopes.slopes)[str(panel.market.days[at])] == pytest.approx(naive)
    assert made[-1].expected.shrunk == pytest.approx(0.01, rel=0.3)


def test_a_cost_trades_less_and_a_longer_holding_more():
    def turnover(**changes):
        made = decided(panel_of(), replace(SPEC, turnover_limit=1.0, **changes))
        return sum(np.abs(d.target - d.holdings).sum() for d in made if d.day >= 60)

    free, dear, long = turnover(cost=0.0), turnover(cost=0.01), turnover(cost=0.01, holding_period=20.0)
    assert dear < 0.8 * free
    assert dear < long < free


def test_the_holding_period_is_measured_from_past_decisions():
    """Scores of two weeks: half of the decisions' second week is still theirs, and nothing after it."""
    r = np.random.default_rng(0)
    weeks, stocks = 60, 200
    score = np.repeat(r.standard_normal((weeks // 2, stocks)), 2 * EVERY, axis=0)
    daily = r.normal(0.0, 0.005, score.shape)
    daily[2:] += 0.002 * score[:-2]
    days, symbols = pd.bdate_range("2020-01-06", periods=len(score)), [f"{i:06d}.SZ" for i in range(stocks)]
    market = MarketPanel.from_frames(pd.DataFrame(10.0 * np.cumprod(1.0 + daily, axis=0), days, symbols))
    panel = DecisionPanel.from_frames(market, score, np.full(score.shape, 1.0 / stocks))
    slopes = ScoreSlopes(lags=LAGS)
    made = list(rebalance(panel, SPEC, range(0, len(score), EVERY), slopes=slopes))
    mean = np.mean([found for _, found in slopes.decay], axis=0)
    assert mean[0] > 0.5
    assert mean[1] == pytest.approx(mean[0] / 2, rel=0.1)
    assert np.abs(mean[2:]).max() < 0.05
    assert made[-1].holding_period == pytest.approx(7.5, rel=0.1)
    assert made[-1].problem.cost == pytest.approx(SPEC.cost * EVERY / made[-1].holding_period)
    first = next(i for i, d in enumerate(made) if d.holding_period not in (None, 5.0))
    assert first == ENOUGH + LAGS  # the tenth decision's last lag is complete on the day after its week's end
    given = list(rebalance(panel, replace(SPEC, holding_period=20.0), range(0, 100, EVERY)))
    assert given[-1].problem.cost == pytest.approx(SPEC.cost / 4)
    later = market.close.copy()
    at = made[first].day
    later[at + 1 :] *= r.uniform(0.5, 1.5, later[at + 1 :].shape)
    other = MarketPanel.from_frames(pd.DataFrame(later, days, symbols))
    disturbed = list(rebalance(replace(panel, market=other), SPEC, range(0, at + 1, EVERY)))
    assert disturbed[-1].holding_period == made[first].holding_period


def test_without_skill_nothing_is_traded():
    made = [d for d in decided(panel_of(planted=-0.01), replace(SPEC, stock_limit=1.0)) if d.expected is not None]
    assert made
    assert all(d.expected.shrunk == 0.0 for d in made)
    assert max(np.abs(d.target - d.holdings).max() for d in made) < 1e-9


def test_a_holding_period_follows_the_decay():
    assert holding_period({lag: 0.5 ** (lag - 1) for lag in range(1, 40)}) == pytest.approx(2.0)
    assert holding_period({1: 0.04, 2: 0.02, 3: -0.01, 4: 0.5}) == pytest.approx(1.5)
    with pytest.raises(ProblemError, match="lag 1"):
        holding_period({1: -0.01})
