"""Placebo portfolios: like the real signal in all but what it knows, and on the real one's own path."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import backtest_frames as frames
import numpy as np
import pytest
from scipy.stats import spearmanr
from scipy.stats import t as student

from mg_portfolio.backtest.execution import Execution
from mg_portfolio.backtest.expected_returns import shrunk_slope
from mg_portfolio.backtest.placebo import (
    placebo_figures,
    placebo_scores,
    rank_autocorrelation,
    simulate_placebo,
)
from mg_portfolio.backtest.rebalance import DecisionPanel, rebalance, simulate_decisions
from mg_portfolio.catalog import PORTFOLIOS
from mg_portfolio.costs import chinese_costs
from mg_portfolio.optimization.shadow_prices import return_per_score

SPEC = PORTFOLIOS["csi500_turnover30"]
EVERY = 5
EXECUTION = Execution(5e8, participation=0.2, lots=True)


def persistent(weeks: int, stocks: int, keep: float, seed: int = 0) -> np.ndarray:
    r = np.random.default_rng(seed)
    x = r.standard_normal((weeks, stocks))
    for week in range(1, weeks):
        x[week] = keep * x[week - 1] + np.sqrt(1 - keep**2) * x[week]
    x = np.exp(x)  # skewed, so that ranks differ from values
    x[r.random(x.shape) < 0.05] = np.nan
    return x


def panel(days: int = 60, stocks: int = 90, seed: int = 0) -> DecisionPanel:
    market = frames.real_market(seed, days=days, stocks=stocks)
    score = np.repeat(persistent(days // EVERY, stocks, 0.8, seed), EVERY, axis=0)
    styles = {"size": np.tile(np.random.default_rng(1).standard_normal(stocks), (days, 1))}
    weight = np.where(np.arange(stocks) < 50, 1.0, 0.0) * np.ones((days, stocks))
    industry = np.tile(np.arange(stocks) % 5, (days, 1))
    return DecisionPanel.from_frames(market, score, weight, industry, styles)


def symbols(count: int) -> np.ndarray:
    return np.array([f"{600000 + i}.SH" for i in range(count)], dtype=object)


def test_a_placebo_has_the_values_and_coverage_of_the_signal():
    real = persistent(40, 300, 0.9)
    drawn = placebo_scores(real, symbols(300), SPEC.name, 3)
    np.testing.assert_array_equal(np.isfinite(drawn), np.isfinite(real))
    np.testing.assert_array_equal(np.sort(drawn, axis=1), np.sort(real, axis=1))
    between = [spearmanr(a, b, nan_policy="omit").statistic for a, b in zip(real, drawn, strict=True)]
    assert abs(np.mean(between)) < 0.03


@pytest.mark.parametrize("keep", [0.95, 0.5, 0.0, -0.4])
def test_a_placebo_is_as_persistent_as_the_signal(keep):
    real = persistent(60, 400, keep)
    drawn = placebo_scores(real, symbols(400), SPEC.name, 1)
    weekly = [spearmanr(a, b, nan_policy="omit").statistic for a, b in zip(real[1:], real[:-1], strict=True)]
    assert rank_autocorrelation(real)[-1] == pytest.approx(np.mean(weekly), abs=1e-12)
    assert rank_autocorrelation(drawn)[-1] == pytest.approx(np.mean(weekly), abs=0.02)


def test_a_constant_signal_stays_and_few_stocks_have_no_rank():
    flat = np.tile(np.arange(50.0), (5, 1))
    drawn = placebo_scores(flat, symbols(50), SPEC.name, 1)
    assert (drawn == drawn[0]).all()
    assert (rank_autocorrelation(np.full((4, 2), 1.0)) == 0.0).all()


def test_placebos_differ_by_number_and_by_portfolio():
    real, names = persistent(5, 80, 0.7), symbols(80)
    drawn = [placebo_scores(real, names, p, n) for p, n in (("a", 1), ("a", 2), ("b", 1))]
    both = [spearmanr(drawn[i][0], drawn[j][0], nan_policy="omit").statistic for i, j in ((0, 1), (0, 2), (1, 2))]
    assert max(map(abs, both)) < 0.4


def test_later_data_and_new_stocks_change_no_earlier_score():
    real, names = persistent(30, 80, 0.7), symbols(90)
    before = placebo_scores(real, names[:80], SPEC.name, 2)
    later = np.full((30, 90), np.nan)  # ten stocks are listed later, in the middle of the axis
    later[:, np.r_[0:40, 50:90]] = real
    later[20:] = np.random.default_rng(5).standard_normal((10, 90))
    axis = np.concatenate([names[:40], names[80:], names[40:80]])
    after = placebo_scores(later, axis, SPEC.name, 2)
    np.testing.assert_array_equal(after[:20, np.r_[0:40, 50:90]], before[:20])
    assert not np.array_equal(after[20:, :40], before[20:, :40], equal_nan=True)


@pytest.mark.parametrize("execution", [None, EXECUTION], ids=["plain", "lots and capacity"])
def test_the_real_scores_give_the_real_backtest_exactly(execution):
    p, decided = panel(), np.arange(0, 60, EVERY)
    own = simulate_decisions(
        p, SPEC, rebalance(p, SPEC, decided, chinese_costs(), execution), chinese_costs(), execution
    ).result
    other = simulate_placebo(
        replace(p, score=np.full(p.score.shape, np.nan)), SPEC, decided, p.score[decided], chinese_costs(), execution
    ).result
    for name in ("nav", "benchmark_nav", "holdings", "cash"):
        assert (getattr(own, name) == getattr(other, name)).all(), name
    assert own.trades.equals(other.trades)
    assert own.rebalances.equals(other.rebalances)


def test_later_data_change_no_earlier_weight_of_a_placebo():
    p, decided, until = panel(), np.arange(0, 60, EVERY), 35
    r = np.random.default_rng(9)

    def weights(of: DecisionPanel) -> np.ndarray:
        scores = placebo_scores(of.score[decided], of.market.symbols, SPEC.name, 1)
        return simulate_placebo(of, SPEC, decided, scores).result.holdings

    late = np.arange(60)[:, None] > until
    noise = np.exp(0.1 * r.standard_normal(p.market.close.shape))
    market = frames.changed(
        p.market,
        close=np.where(late, p.market.close * noise, p.market.close),
        trade_price=np.where(late, p.market.trade_price * noise, p.market.trade_price),
    )
    score = np.where(late, r.standard_normal(p.score.shape), p.score)
    disturbed = replace(p, market=market, score=score, benchmark=np.where(late, noise, p.benchmark))
    before, after = weights(p), weights(disturbed)
    assert (before[: until + 1] == after[: until + 1]).all()
    assert not (before[until + 1 :] == after[until + 1 :]).all()


def test_a_placebo_is_scaled_by_its_own_scores():
    """With a cost and a risk aversion: what the real signal earned is nowhere in a placebo's decisions."""
    days = 80
    p, decided = panel(days=days), np.arange(0, days, EVERY)
    spec = replace(SPEC, cost=0.001, risk_aversion=20.0)
    scores = placebo_scores(p.score[decided], p.market.symbols, spec.name, 1)
    given = np.full(p.score.shape, np.nan)
    given[decided] = scores
    steps = list(rebalance(replace(p, score=given), spec, decided))
    seeing = -p.score  # another real signal, which has earned the opposite
    path = simulate_placebo(p, spec, decided, scores)
    other = simulate_placebo(replace(p, score=seeing), spec, decided, scores)
    assert (path.result.holdings == other.result.holdings).all()
    own = [
        return_per_score(scores[w], p.market.trade_price[d + 1 + EVERY] / entry_price(p.market, d + 1) - 1.0)[0]
        for w, d in enumerate(decided[:-2])
    ]
    found, known = steps[-1].expected, shrunk_slope(np.array(own))
    assert (found.mean, found.standard_error) == pytest.approx((known.mean, known.standard_error))
    assert steps[-1].problem.risk_aversion == 20.0


def entry_price(market, day: int) -> np.ndarray:
    free = market.tradable[day] & ~(market.limit_up[day] | market.limit_down[day])
    return np.where(free, market.trade_price[day], np.nan)


def test_placebos_of_a_market_without_signal_earn_nothing():
    """Equal index weights and returns that nothing predicts: the mean before costs is 0 within its t-interval."""
    days, stocks, count = 90, 80, 20
    market = frames.market(days=days, stocks=stocks, seed=4, halts=0.0, locks=0.0)
    score = np.repeat(persistent(days // EVERY, stocks, 0.7, seed=2), EVERY, axis=0)
    spec = replace(SPEC, style_limits={}, member_floor=None)
    p = DecisionPanel.from_frames(market, score, np.ones((days, stocks)))
    decided = np.arange(0, days, EVERY)
    figures = []
    for number in range(1, count + 1):
        scores = placebo_scores(p.score[decided], market.symbols, spec.name, number)
        figures.append(placebo_figures(simulate_placebo(p, spec, decided, scores).result).loc["whole"])
    earned = np.array([f["excess_before_costs"] for f in figures])
    half = student.ppf(0.975, count - 1) * earned.std(ddof=1) / np.sqrt(count)
    assert abs(earned.mean()) < half
    assert half < 0.03  # the interval is narrow enough to say something
    net = np.array([f["excess_annual"] for f in figures])
    assert net.mean() < -half  # costs alone


def test_the_cost_of_a_backtest_is_what_free_trading_saves():
    p, decided = panel(), np.arange(0, 60, EVERY)
    found = placebo_figures(simulate_placebo(p, SPEC, decided, p.score[decided]).result)
    held = simulate_decisions(p, SPEC, list(rebalance(p, SPEC, decided))).result
    paid = -np.log1p(-held.rebalances["cost"]).sum()
    ratio = np.log1p(found["excess_before_costs"]["whole"]) - np.log1p(found["excess_annual"]["whole"])
    assert ratio == pytest.approx(paid * 252 / (len(held.days) - 1), rel=1e-9)
    assert (found["cost_annual"] > 0).all()


def test_another_process_draws_the_same():
    code = (
        "import hashlib, numpy as np; from mg_portfolio.backtest.placebo import placebo_scores; "
        "x = placebo_scores(np.random.default_rng(0).random((9, 30)), np.array(list(map(str, range(30)))), 'p', 7); "
        "print(hashlib.sha256(x.tobytes()).hexdigest())"
    )
    drawn = placebo_scores(np.random.default_rng(0).random((9, 30)), np.array(list(map(str, range(30)))), "p", 7)
    environment = {**os.environ, "PYTHONHASHSEED": "17"}
    made = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert made.stdout.strip() == hashlib.sha256(drawn.tobytes()).hexdigest()
