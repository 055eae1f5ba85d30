"""Hundreds of consecutive rebalances: each is solved within its limits or a recorded relaxation."""

import numpy as np
import pytest

from mg_portfolio import EnhancementProblem, optimize
from mg_portfolio.optimization.constraints import largest_violation

SETTINGS = {
    "csi": {"industry_limit": 0.02, "member_floor": 0.8, "style_limits": [0.2, np.nan], "turnover_limit": 0.15},
    "neutral": {"industry_limit": 0.0, "member_floor": None, "style_limits": [0.0, 0.8], "turnover_limit": 0.3},
}


@pytest.mark.parametrize("relaxation", ["weighted", "ordered"])
@pytest.mark.parametrize("kind", SETTINGS)
def test_120_weeks_in_a_row_are_all_solved(kind, relaxation):
    statuses = weeks_in_a_row(kind, 300, 120, seed=5, relaxation=relaxation)
    assert statuses[0] == "relaxed"  # a cold start
    assert statuses.count("optimal") > 120 / 3


@pytest.mark.parametrize("kind", SETTINGS)
def test_60_weeks_of_a_rough_market_are_all_solved(kind):
    statuses = weeks_in_a_row(kind, 200, 60, seed=11, rough=True)
    assert statuses.count("infeasible") == 0


@pytest.mark.slow
@pytest.mark.parametrize("risk", [0.0, 100.0], ids=["linear", "quadratic"])
@pytest.mark.parametrize("kind", SETTINGS)
def test_500_weeks_of_a_rough_market_are_all_solved(kind, risk):
    statuses = weeks_in_a_row(kind, 400, 500, seed=11, risk=risk, rough=True)
    assert statuses.count("infeasible") == 0
    assert statuses.count("optimal") > 500 / 3


def weeks_in_a_row(kind, n, weeks, seed, relaxation="weighted", risk=0.0, rough=False) -> list[str]:
    """Drive the optimiser through random suspensions, limits and index changes; returns each week's status."""
    r = np.random.default_rng(seed)
    model = {}
    if risk:
        model = {
            "risk_aversion": risk,
            "factor_loadings": 0.3 * r.standard_normal((n, 10)),
            "factor_cov": np.diag(0.02 * r.random(10)),
            "specific_var": 0.02 + 0.1 * r.random(n),
        }
    industry = np.r_[0, r.integers(0, 25, n - 1)]
    style = r.standard_normal((n, 2))
    score = r.standard_normal(n)
    cap = r.lognormal(0, 1, n)
    holdings = np.zeros(n)
    statuses = []
    for week in range(weeks):
        if week % 26 == 0 or (rough and r.random() < 0.05):  # twice a year, and at random
            member = np.argsort(np.argsort(-cap * r.lognormal(0, 0.2, n))) < n // 2
        benchmark = np.where(member, cap, 0.0) / cap[member].sum()
        crash = week == 60 or (rough and r.random() < 0.05)  # a week like July 2015
        suspended = r.random(n) < (0.4 if crash else 0.03)
        limit_up = r.random(n) < (0.3 if rough and r.random() < 0.05 else 0.02)
        p = EnhancementProblem(
            score=score,
            benchmark=benchmark,
            holdings=holdings,
            industry=industry,
            styles=style,
            member=member,
            suspended=suspended,
            limit_up=limit_up,
            limit_down=(r.random(n) < (0.3 if rough and r.random() < 0.05 else 0.02)) & ~limit_up,
            stock_limit=0.01,
            **SETTINGS[kind],
            **model,
        )
        s = optimize(p, relaxation=relaxation)
        statuses.append(s.status)
        assert s.status in ("optimal", "relaxed"), f"week {week}: {s.message}"
        assert s.largest_violation <= 1e-6
        assert largest_violation(p, s.weights, s.relaxed) <= 1e-6
        assert (s.status == "relaxed") == bool(s.relaxed) == bool(s.message)
        growth = np.exp(0.03 * r.standard_normal(n))
        holdings = s.weights * growth / (s.weights @ growth)
        cap *= growth
        score = 0.7 * score + 0.7 * r.standard_normal(n)
        style += 0.02 * r.standard_normal((n, 2))
    return statuses
