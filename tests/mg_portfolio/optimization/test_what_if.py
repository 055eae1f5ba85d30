"""What-if comparisons: every figure of the tables recomputed from the weights."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from mg_portfolio import EnhancementProblem, ProblemError, compare, optimize
from mg_portfolio.costs import Costs

N = 80


def problem(**new) -> EnhancementProblem:
    r = np.random.default_rng(2)
    benchmark = np.where(np.arange(N) < 50, r.lognormal(0, 0.5, N), 0.0)
    benchmark /= benchmark.sum()
    holdings = benchmark * np.exp(0.2 * r.standard_normal(N))
    given = {
        "score": r.standard_normal(N),
        "benchmark": benchmark,
        "holdings": holdings / holdings.sum(),
        "industry": r.integers(0, 6, N),
        "industry_names": {i: f"ind{i}" for i in range(6)},
        "styles": r.standard_normal((N, 2)),
        "style_limits": np.array([0.1, np.nan]),
        "style_names": ("size", "beta"),
        "stock_limit": 0.02,
        "member_floor": 0.9,
        "industry_limit": 0.02,
        "turnover_limit": 0.1,
        "symbols": np.array([f"{600000 + i}.SH" for i in range(N)], dtype=object),
    }
    return EnhancementProblem(**(given | new))


def test_tables_are_those_of_the_weights():
    before, after = problem(), problem(turnover_limit=0.2, limit_offsets={"industry[ind1]": 0.01})
    c = compare(
        before, after, Costs(0.001, 0.0005), return_per_score=0.002, rebalances_per_year=50, title="more <turnover>"
    )
    a, b = optimize(before).weights, optimize(after).weights
    s = c.summary
    assert s.loc["score", "before"] == pytest.approx(before.score @ a)
    assert s.loc["score", "after"] == pytest.approx(before.score @ b)
    assert s.loc["score", "change"] == pytest.approx(before.score @ (b - a))
    assert s.loc["score", "change"] > 0
    traded = b - after.holdings
    cost = 0.001 * traded[traded > 0].sum() - 0.0015 * traded[traded < 0].sum()
    assert s.loc["cost_bp", "after"] == pytest.approx(cost * 1e4)
    assert s.loc["turnover_one_way", "after"] == pytest.approx(np.abs(traded).sum() / 2)
    expected = before.score @ (b - before.benchmark) * 0.002 * 50 * 1e4
    assert s.loc["expected_excess_bp_a_year", "after"] == pytest.approx(expected)
    assert s.loc["stocks", "after"] == (b > 1e-9).sum()
    assert s.loc["active_share", "before"] == pytest.approx(np.abs(a - before.benchmark).sum() / 2)
    assert np.isnan(s.loc["status", "change"])

    w = c.weights.set_index("symbol")
    assert (w["change"].abs().diff().dropna() <= 1e-15).all()
    assert w["after"].sum() == pytest.approx(1.0)
    for i, symbol in enumerate(before.symbols):
        if symbol in w.index:
            assert w.loc[symbol, ["before", "after"]].tolist() == [a[i], b[i]]
        else:
            assert max(a[i], b[i], before.holdings[i], before.benchmark[i]) <= 1e-9

    e = c.exposures
    for k in range(6):
        inside = before.industry == k
        assert e.loc[f"industry[ind{k}]", "after"] == pytest.approx((b - before.benchmark)[inside].sum(), abs=1e-15)
    assert e.loc["industry[ind1]", ["limit_before", "limit_after"]].tolist() == pytest.approx([0.02, 0.03])
    assert e.loc["turnover", ["limit_before", "limit_after"]].tolist() == pytest.approx([0.1, 0.2])
    assert e.loc["style[size]", "before"] == pytest.approx(before.styles[:, 0] @ (a - before.benchmark))
    assert np.isnan(e.loc["style[beta]", "limit_after"])

    prices = c.shadow_prices
    assert prices.loc["turnover", "before"] == optimize(before).shadow_prices["turnover"]
    assert prices.loc["turnover", "bp_after"] == pytest.approx(
        prices.loc["turnover", "after"] * 0.01 * 0.002 * 50 * 1e4
    )
    assert prices.loc["turnover", "after"] < prices.loc["turnover", "before"]  # concave in the limit


def test_text_html_and_pickle():
    c = compare(problem(), problem(stock_limit=0.03), title="wider <band>")
    text, html = str(c), c._repr_html_()
    assert "wider <band>" in text
    assert "wider &lt;band&gt;" in html
    assert html.count("<table") == 4
    assert "stock_limit" in text
    again = pickle.loads(pickle.dumps(c))
    assert again.summary.equals(c.summary)


def test_a_limit_that_does_not_bind_changes_nothing():
    p = problem(turnover_limit=0.9)
    c = compare(p, replace(p, turnover_limit=0.95))
    assert (c.weights["change"] == 0).all()
    assert "no weight changes" in str(c)


def test_an_infeasible_change_is_relaxed_and_reported():
    p = problem()
    c = compare(p, replace(p, holdings=p.holdings, turnover_limit=0.0, industry_limit=0.0))
    assert c.summary.loc["status", "after"] == "relaxed"
    assert "turnover by" in c.summary.loc["relaxed", "after"]
    assert c.shadow_prices["before"].notna().all()
    assert c.shadow_prices["after"].isna().all()  # the least relaxation comes before the score: a price says nothing
    title = "shadow prices, score per unit of the limit (none after, where limits were relaxed)"
    assert title in str(c)
    assert title.capitalize() in c.to_html()
    assert "nan" not in str(c).lower()
    assert "nan" not in c.to_html().lower()


def test_only_limits_may_differ():
    p = problem()
    with pytest.raises(ProblemError, match="holdings differed"):
        compare(p, replace(p, holdings=p.benchmark))
    with pytest.raises(ProblemError, match="symbols differed"):
        compare(p, replace(p, symbols=None))


def test_the_summary_has_risk_where_there_is_a_model():
    r = np.random.default_rng(0)
    model = {
        "factor_loadings": r.standard_normal((N, 3)),
        "factor_cov": np.diag([0.01, 0.02, 0.03]),
        "specific_var": 0.05 + 0.1 * r.random(N),
        "risk_aversion": 1.0,
    }
    c = compare(problem(**model), problem(**(model | {"risk_aversion": 100.0})))
    assert c.summary.loc["active_risk", "after"] < c.summary.loc["active_risk", "before"]
