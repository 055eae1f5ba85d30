"""The optimiser: bounds, relaxation, shadow prices, input validation."""

from contextlib import nullcontext
from dataclasses import fields, replace

import numpy as np
import pytest

from mg_portfolio import EnhancementProblem, InfeasibleError, ProblemError, SolverError, optimize
from mg_portfolio.catalog import PortfolioSpec
from mg_portfolio.optimization import constraints, quadratic
from mg_portfolio.optimization.build_problem import build_problem
from mg_portfolio.optimization.constraints import (
    WeightBounds,
    largest_violation,
    objective,
    violations,
    weight_bounds,
)
from mg_portfolio.optimization.sensitivity import shadow_price_table
from mg_portfolio.optimization.shadow_prices import annual_basis_points, return_per_score


def changed(p: EnhancementProblem, **new) -> EnhancementProblem:
    """The problem with some fields replaced."""
    return EnhancementProblem(**({f.name: getattr(p, f.name) for f in fields(p)} | new))


def enhancement(n: int = 200, seed: int = 0, **new) -> EnhancementProblem:
    """A feasible problem in the shape of the published portfolios."""
    r = np.random.default_rng(seed)
    member = np.arange(n) < n // 2
    benchmark = np.where(member, r.lognormal(0, 0.5, n), 0.0)
    benchmark /= benchmark.sum()
    holdings = benchmark + np.where(member, 0.0, 0.1 / (n - n // 2))
    given = {
        "score": r.standard_normal(n),
        "benchmark": benchmark,
        "holdings": holdings / holdings.sum(),
        "industry": r.integers(0, 8, n),
        "styles": r.standard_normal((n, 2)),
        "style_limits": np.array([0.2, 0.8]),
        "member": member,
        "stock_limit": 0.02,
        "member_floor": 0.8,
        "industry_limit": 0.02,
        "turnover_limit": 0.15,
    }
    return EnhancementProblem(**(given | new))


def with_risk(p: EnhancementProblem, aversion: float, seed: int = 1) -> EnhancementProblem:
    r = np.random.default_rng(seed)
    return changed(
        p,
        risk_aversion=aversion,
        factor_loadings=r.standard_normal((p.size, 5)),
        factor_cov=np.diag(r.random(5) * 0.02),
        specific_var=0.02 + 0.1 * r.random(p.size),
    )


def test_a_published_kind_of_problem_is_solved_exactly():
    p = enhancement()
    s = optimize(p)
    assert s.status == "optimal"
    assert not s.relaxed
    assert s.largest_violation < 1e-12
    assert s.objective == pytest.approx(p.score @ s.weights)
    assert s.objective > p.score @ p.holdings
    assert s.solver == "highs"
    assert s.attempts
    assert s.attempts[-1].status == "Optimal"


@pytest.mark.parametrize("sum_to", [1.0, 0.4])
def test_tradability_wins_over_the_band(sum_to):
    n = 60
    p = enhancement(n)
    holdings = np.full(n, sum_to / n)
    holdings[0], holdings[1], holdings[2] = 0.0, sum_to * 0.2, 0.0
    holdings *= sum_to / holdings.sum()
    flags = {name: np.arange(n) == i for i, name in enumerate(("suspended", "limit_down", "limit_up"))}
    p = changed(p, holdings=holdings, **flags)
    w = optimize(p).weights
    assert w[0] == holdings[0]  # suspended, although the band asks for more
    assert w[1] >= holdings[1]  # locked at the lower limit far above the band
    assert w[2] <= holdings[2]  # locked at the upper limit below the band
    b = weight_bounds(p)
    assert (b.lower <= b.upper).all()


def test_limit_up_still_sells_down_to_the_band():
    p = enhancement(40, turnover_limit=0.5, style_limits=np.full(2, np.nan), industry_limit=0.5)
    holdings = p.holdings.copy()
    holdings[39] = p.benchmark[39] + 0.1
    p = changed(p, holdings=holdings / holdings.sum(), limit_up=np.arange(40) == 39)
    assert optimize(p).weights[39] <= p.benchmark[39] + p.stock_limit + 1e-12


def test_cold_start_relaxes_the_turnover_by_what_buying_in_needs():
    p = enhancement(holdings=np.zeros(200))
    s = optimize(p)
    assert s.status == "relaxed"
    assert s.relaxed == pytest.approx({"turnover": 0.35})
    assert s.weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert "turnover" in s.message
    assert "turnover" not in s.shadow_prices
    with pytest.raises(InfeasibleError, match="turnover"):
        optimize(p, allow_relaxation=False)


def test_limits_missed_by_rounding_leave_the_gap_known():
    """A quadratic solver's weights are measured against rows that were moved just so far that they can be kept."""
    p = enhancement(holdings=np.zeros(200), turnover_limit=0.5)  # what buying in needs
    r, b, best = constraints.constraint_rows(p), weight_bounds(p), optimize(p).weights
    left, linear = quadratic.optimality_gap(p, replace(r, turnover=r.turnover - 1e-8), b, best)
    assert left == pytest.approx(0.0, abs=1e-6)
    assert linear.weights == pytest.approx(best, abs=1e-6)


def test_a_neutral_industry_with_suspended_stocks_is_relaxed():
    n = 30
    industry = np.where(np.arange(n) < 2, 7, np.arange(n) % 3)
    benchmark = np.full(n, 1 / n)
    holdings = benchmark.copy()
    holdings[:2] = 0.0  # the whole of a thin industry is suspended and not held
    holdings /= holdings.sum()
    p = EnhancementProblem(
        score=np.arange(n, dtype=float),
        benchmark=benchmark,
        holdings=holdings,
        industry=industry,
        industry_limit=0.0,
        stock_limit=0.03,
        turnover_limit=0.3,
        suspended=np.arange(n) < 2,
        industry_names={7: "coal", 0: "a", 1: "b", 2: "c"},
    )
    s = optimize(p)
    assert s.status == "relaxed"
    assert s.relaxed["industry[coal]"] == pytest.approx(2 / n)
    assert sum(s.relaxed.values()) == pytest.approx(4 / n)  # what one industry lacks the others have too much of
    with pytest.raises(InfeasibleError) as caught:
        optimize(p, allow_relaxation=False)
    assert {"industry[coal]", "suspended"} <= set(caught.value.constraints)
    assert caught.value.relaxation["industry[coal]"] == pytest.approx(2 / n)


def test_limits_with_the_smallest_penalty_are_relaxed_first():
    p = enhancement(60, holdings=np.eye(60)[59], turnover_limit=0.2)
    s = optimize(p)
    assert s.status == "relaxed"
    assert set(s.relaxed) == {"turnover"}  # penalty 1, before styles and industries


@pytest.mark.parametrize(
    ("exposure", "relaxed"), [(1.05, {"turnover": 1.0}), (0.95, {"style[0]": 0.95})], ids=["trades", "stays"]
)
def test_turnover_gives_way_at_a_penalty_of_one(exposure, relaxed):
    """A unit of one-way turnover takes off ``exposure`` of a style with the same penalty."""
    p = EnhancementProblem(
        score=np.zeros(2),
        benchmark=np.array([0.0, 1.0]),
        holdings=np.array([1.0, 0.0]),
        styles=np.array([[exposure], [0.0]]),
        style_limits=np.zeros(1),
        style_priority=np.ones(1),
        turnover_limit=0.0,
    )
    assert optimize(p).relaxed == pytest.approx(relaxed)


def test_style_priority_decides_which_style_is_relaxed():
    n = 40
    r = np.random.default_rng(3)
    first = r.standard_normal(n)
    given = {
        "score": r.standard_normal(n),
        "benchmark": np.full(n, 1 / n),
        "holdings": np.full(n, 1 / n),
        "suspended": np.arange(n) > 1,
        "limit_down": np.arange(n) == 0,
        "styles": np.column_stack([first, first + 0.3 * r.standard_normal(n)]),
        "style_limits": np.array([0.0, 0.0]),
        "style_names": ("size", "beta"),
    }
    # feasible yet: not trading is neutral
    assert optimize(EnhancementProblem(**given)).status == "optimal"
    drifted = given["holdings"].copy()
    drifted[5] += 0.01
    given["holdings"] = drifted / drifted.sum()
    loose = {}
    for name, priority in (("size", [1.0, 1e6]), ("beta", [1e6, 1.0])):
        s = optimize(EnhancementProblem(**given, style_priority=np.array(priority)))
        assert s.status == "relaxed"
        loose[name] = s.relaxed
    assert loose["size"].get("style[size]", 0) > loose["beta"].get("style[size]", 0)
    assert loose["beta"].get("style[beta]", 0) > loose["size"].get("style[beta]", 0)


def test_budget_and_tradability_alone_can_be_infeasible():
    n = 20
    given = {
        "score": np.zeros(n),
        "benchmark": np.full(n, 1 / n),
        "holdings": np.zeros(n),
        "limit_up": np.arange(n) > 1,
        "stock_limit": 0.01,
    }
    s = optimize(EnhancementProblem(**given))
    assert s.status == "infeasible"
    assert (s.weights == 0).all()
    assert s.largest_violation == pytest.approx(1.0)
    assert "stock_limit" in s.message
    with pytest.raises(InfeasibleError, match="limit_up") as caught:
        optimize(EnhancementProblem(**given), allow_relaxation=False)
    needed = 0.01 + caught.value.relaxation["stock_limit"]
    assert needed == pytest.approx(0.45)
    assert optimize(EnhancementProblem(**(given | {"stock_limit": needed + 1e-9}))).status == "optimal"
    everything = optimize(EnhancementProblem(**(given | {"suspended": np.ones(n, bool)})))
    assert everything.status == "infeasible"
    assert "cash" in everything.message


def test_one_stock_no_styles_no_turnover():
    one = np.ones(1)
    s = optimize(EnhancementProblem(score=one, benchmark=one, holdings=one, turnover_limit=0.0, stock_limit=0.0))
    assert s.weights == pytest.approx([1.0])
    assert s.status == "optimal"
    p = enhancement(turnover_limit=0.0, stock_limit=0.05, styles=np.zeros((200, 0)), style_limits=np.zeros(0))
    s = optimize(p)
    assert s.status == "optimal"
    assert s.weights == pytest.approx(p.holdings, abs=1e-12)


def test_stocks_of_score_benchmark_or_holdings_are_kept():
    score, benchmark, holdings = np.array([[1.0, np.nan, np.nan, np.nan], [0, 2.0, np.nan, 0], [0, 0, 1.0, 0]])
    spec = PortfolioSpec("own", "fused", "csi500", member_floor=None, stock_limit=0.01, industry_limit=0.01)
    p = build_problem(spec, score, benchmark, holdings)
    assert p.positions.tolist() == [0, 1, 2]
    assert p.limit_up.tolist() == [False, True, True]  # without a score: held and sold, not bought
    assert p.benchmark.tolist() == [0.0, 1.0, 0.0]
    assert p.holdings.tolist() == [0.0, 0.0, 1.0]


def test_where_nothing_can_trade_the_holdings_stay():
    everything = np.ones(20, dtype=bool)
    loose = {"style_limits": np.full(2, np.nan), "industry_limit": 0.5, "stock_limit": 0.5}
    p = enhancement(20, suspended=everything, **loose)
    s = optimize(p)
    assert (s.status, s.relaxed) == ("optimal", {})
    assert [a.status for a in s.attempts] == ["Optimal"]
    assert s.weights == pytest.approx(p.holdings)
    p = changed(p, member_floor=p.holdings[p.member].sum() + 0.01)
    s = optimize(p)
    assert (s.status, s.relaxed) == ("relaxed", pytest.approx({"members": 0.01}))
    assert s.weights == pytest.approx(p.holdings)


def test_no_limits_at_all_buys_the_best_stock():
    n = 50
    score = np.random.default_rng(0).standard_normal(n)
    s = optimize(EnhancementProblem(score=score, benchmark=np.full(n, 1 / n), holdings=np.full(n, 1 / n)))
    assert s.weights[score.argmax()] == pytest.approx(1.0)
    best = np.sort(score)[-2:]
    assert best[0] - 1e-9 <= s.shadow_prices["budget"] <= best[1] + 1e-9  # the stock's own bound ties with the budget


def test_cost_stops_trades_that_do_not_pay():
    p = enhancement(60, turnover_limit=None)
    assert optimize(changed(p, cost=100.0)).weights == pytest.approx(p.holdings, abs=1e-12)
    free, costly = optimize(p).weights, optimize(changed(p, cost=0.5)).weights
    assert np.abs(costly - p.holdings).sum() < np.abs(free - p.holdings).sum()


@pytest.mark.parametrize("risk", [0.0, 20.0])
def test_permuting_stocks_permutes_the_answer(risk):
    p = enhancement(120, cost=0.05)
    if risk:
        p = with_risk(p, risk)
    order = np.random.default_rng(9).permutation(p.size)
    names = "score benchmark holdings industry styles member suspended limit_up limit_down factor_loadings specific_var"
    moved = {name: getattr(p, name)[order] for name in names.split() if getattr(p, name) is not None}
    a, b = optimize(p), optimize(changed(p, **moved))
    assert a.objective == pytest.approx(b.objective, abs=1e-6 if risk else 1e-11)
    assert a.weights[order] == pytest.approx(b.weights, abs=1e-4 if risk else 1e-10)  # scores differ: unique


@pytest.mark.parametrize("risk", [0.0, 20.0])
@pytest.mark.parametrize("unit", [1e-5, 1e5])
def test_the_unit_of_the_scores_does_not_matter(risk, unit):
    p = enhancement(120, cost=0.05, holdings=np.r_[np.zeros(60), np.full(60, 1 / 60)])
    if risk:
        p = with_risk(p, risk)
    scaled = changed(p, score=p.score * unit, cost=p.cost * unit, risk_aversion=risk * unit)
    a, b = optimize(p), optimize(scaled)
    assert a.objective == pytest.approx(b.objective / unit, rel=1e-5 if risk else 1e-10)
    assert a.relaxed == pytest.approx(b.relaxed, abs=1e-6 if risk else 1e-12)
    for name, price in a.shadow_prices.items():
        assert b.shadow_prices[name] / unit == pytest.approx(price, rel=1e-3, abs=1e-3)


def test_without_scores_the_least_risk_wins():
    p = with_risk(enhancement(120, score=np.zeros(120)), 20.0)
    s = optimize(p)
    assert s.objective > objective(p, p.holdings)
    assert s.largest_violation <= 1e-6


def test_sifting_needs_only_some_of_the_columns():
    s = optimize(enhancement(2000, stock_limit=0.008, suspended=np.zeros(2000, bool)))
    assert s.status == "optimal"
    columns = int(s.attempts[0].note.split()[0])
    assert columns < 2500  # buys and sells of 2,000 held stocks would be 4,000


@pytest.mark.parametrize("limit", ["turnover", "members", "stock_limit", "style[0]"])
def test_shadow_prices_are_the_slopes_of_the_objective(limit):
    p = enhancement(80, seed=4, member_floor=0.93, style_limits=np.array([0.02, 0.8]), stock_limit=0.01)
    s = optimize(p)
    step = 1e-5
    looser = {
        "turnover": {"turnover_limit": p.turnover_limit + step},
        "members": {"member_floor": p.member_floor - step},
        "stock_limit": {"stock_limit": p.stock_limit + step},
        "style[0]": {"style_limits": p.style_limits + np.array([step, 0.0])},
    }[limit]
    gained = optimize(changed(p, **looser)).objective - s.objective
    assert limit in s.shadow_prices
    assert s.shadow_prices[limit] == pytest.approx(gained / step, rel=1e-4)


def test_shadow_prices_under_risk_aversion_are_slopes_too():
    p = with_risk(enhancement(80, seed=4), 30.0)
    s = optimize(p)
    step = 1e-4
    gained = optimize(changed(p, turnover_limit=p.turnover_limit + step)).objective - s.objective
    assert s.shadow_prices["turnover"] == pytest.approx(gained / step, rel=0.02)


def test_shadow_prices_in_basis_points_a_year():
    assert annual_basis_points({"turnover": 2.0}, 0.001, 50.0) == pytest.approx({"turnover": 1000.0})


def test_shadow_price_table_has_what_a_step_earns():
    p = enhancement(80, seed=4, member_floor=0.93, style_limits=np.array([0.02, 0.8]), stock_limit=0.01)
    s = optimize(p)
    table = shadow_price_table(p, s, return_per_score=0.001, rebalances_per_year=50.0).set_index("constraint")
    assert set(table.index) == set(s.shadow_prices)
    wider = optimize(changed(p, turnover_limit=p.turnover_limit + 0.01)).objective - s.objective
    assert table.loc["turnover", "gained"] == pytest.approx(wider)
    assert table.loc["turnover", "basis_points_a_year"] == pytest.approx(wider * 0.001 * 50.0 * 1e4)
    real = table.drop(index="budget", errors="ignore")
    assert (real["gained"] <= real["at_price"] + 1e-9).all()  # the objective is concave in its limits
    assert (real["gained"] >= -1e-12).all()
    assert np.isnan(table.loc["budget", "gained"])


def gains_unlike_price(p: EnhancementProblem) -> tuple[set[str], set[str]]:
    """Limits whose step gains more than by their shadow price, and those whose step loses."""
    table = shadow_price_table(p, optimize(p)).query("constraint != 'budget'").set_index("constraint")
    more = table.index[table["gained"] > table["at_price"] + 1e-9]
    return set(more), set(table.index[table["gained"] < -1e-9])


def test_a_band_gains_beyond_its_price_only_at_barred_stocks():
    reached = 0
    for seed in range(30):
        p = enhancement(80, seed=seed, stock_limit=0.01)
        assert gains_unlike_price(p) == (set(), set())
        bottom = np.maximum(p.benchmark - 0.01, 0.0)
        barred = (np.random.default_rng(seed).random(80) < 0.1) & (bottom > 0.003)
        assert gains_unlike_price(changed(p, limit_up=barred)) == (set(), set())  # within their bands: no exception
        p = changed(p, limit_up=barred, holdings=np.where(barred, bottom - 0.0005, p.holdings))
        more, less = gains_unlike_price(p)
        assert more <= {"stock_limit"}
        assert not less
        if more:
            reached += 1
            s, wider = optimize(p), optimize(changed(p, stock_limit=p.stock_limit + 0.001))
            assert s.weights[barred] == pytest.approx(p.holdings[barred], abs=1e-12)
            assert (wider.weights[barred] < p.holdings[barred] - 1e-6).any()  # sold at last
    assert reached > 2


def test_where_limits_were_relaxed_another_step_may_cost_score():
    r = np.random.default_rng(0)
    held = np.where(r.random(80) < 0.6, r.random(80), 0.0)
    p = enhancement(
        80, industry_limit=0.0, turnover_limit=0.1, suspended=r.random(80) < 0.3, holdings=held / held.sum()
    )
    assert optimize(p).status == "relaxed"
    more, less = gains_unlike_price(p)
    assert not more
    assert less


@pytest.mark.parametrize("buying", [True, False])
def test_the_band_that_the_budget_needs_is_the_smallest(buying):
    r = np.random.default_rng(3)
    n = 40
    b = np.full(n, 1 / n)
    # bought too little: 25 are locked at the upper limit, some of them held above the band, whose top then binds
    # sold too little: 25 are locked at the lower limit, some of them held below it
    locked = np.arange(n) < 25
    held = np.where(locked, b * r.uniform(0.2, 1.9, n) if buying else b * r.uniform(0.2, 2.6, n), b)
    flags = {"limit_up": locked} if buying else {"limit_down": locked}
    given = {"score": r.standard_normal(n), "benchmark": b, "holdings": held / max(1.0, held.sum())}
    p = EnhancementProblem(**given, **flags, stock_limit=0.001)
    with pytest.raises(InfeasibleError) as error:
        optimize(p, allow_relaxation=False)
    extra = error.value.relaxation["stock_limit"]
    assert optimize(changed(p, stock_limit=0.001 + extra)).status == "optimal"
    assert optimize(changed(p, stock_limit=0.001 + extra * 0.999)).status == "infeasible"


def test_return_per_score_finds_a_planted_slope():
    r = np.random.default_rng(0)
    score = r.standard_normal((50, 400))
    returns = 0.002 * score + 0.03 * r.standard_normal((50, 1)) + 0.05 * r.standard_normal((50, 400))
    score[r.random(score.shape) < 0.1] = np.nan
    score[7, 20:] = np.nan  # too few stocks that week
    slope, t = return_per_score(score, returns)
    by_hand = []
    for x, y in zip(score, returns, strict=True):
        on = np.isfinite(x)
        if on.sum() >= 30:
            by_hand.append(np.polyfit(x[on], y[on], 1)[0])
    assert slope == pytest.approx(np.mean(by_hand), rel=1e-12)
    assert t == pytest.approx(np.mean(by_hand) / (np.std(by_hand, ddof=1) / np.sqrt(len(by_hand))), rel=1e-12)
    assert slope == pytest.approx(0.002, abs=0.0015)
    assert np.isnan(return_per_score(score[:, :5], returns[:, :5])).all()
    with pytest.raises(ProblemError, match="shapes differed"):
        return_per_score(score, returns[:5])


def test_an_unknown_relaxation_is_refused():
    with pytest.raises(ProblemError, match="relaxation was 'strict', expected 'weighted' or 'ordered'"):
        optimize(enhancement(), relaxation="strict")


def test_risk_aversion_lowers_risk():
    from mg_portfolio.optimization.constraints import active_variance

    p = enhancement()
    risks = [active_variance(with_risk(p, 1.0), optimize(with_risk(p, g)).weights) for g in (1.0, 30.0, 1000.0)]
    assert risks[0] > risks[1] > risks[2]


def test_risk_aversion_with_a_needed_relaxation():
    p = with_risk(enhancement(holdings=np.zeros(200)), 10.0)
    s = optimize(p)
    assert s.status == "relaxed"
    assert s.relaxed == pytest.approx({"turnover": 0.35}, abs=1e-6)
    assert s.largest_violation <= 1e-6


def test_the_check_sees_every_kind_of_violation():
    p = enhancement(40, suspended=np.arange(40) == 3, limit_up=np.arange(40) == 4, limit_down=np.arange(40) == 5)
    w = p.holdings.copy()
    w[3] += 0.5
    w[4] += 0.5
    w[5] -= 0.02
    w[6] = -0.1
    found = violations(p, w)
    assert {"budget", "long_only", "suspended", "limit_up", "limit_down", "stock_limit", "turnover"} <= set(found)
    assert found["suspended"] == pytest.approx(0.5)
    assert found["long_only"] == pytest.approx(0.1)
    assert largest_violation(p, w) == pytest.approx(max(found.values()))
    assert largest_violation(p, np.full(40, np.nan)) == np.inf
    assert violations(p, p.holdings).keys().isdisjoint({"budget", "suspended", "turnover"})


def violations_by_hand(p: EnhancementProblem, w: np.ndarray) -> dict[str, float]:
    """Every constraint of a problem from its definition, stock by stock."""
    found = {"budget": abs(sum(w) - 1.0), "long_only": max(0.0, *(-w))}
    worst = {"suspended": 0.0, "limit_up": 0.0, "limit_down": 0.0, "stock_limit": 0.0}
    for i in range(p.size):
        moved, away = w[i] - p.holdings[i], w[i] - p.benchmark[i]
        low, high = p.benchmark[i] - p.stock_limit, p.benchmark[i] + p.stock_limit
        if p.suspended[i]:
            worst["suspended"] = max(worst["suspended"], abs(moved))
            continue
        if p.limit_up[i]:
            worst["limit_up"] = max(worst["limit_up"], moved)
        if p.limit_down[i]:
            worst["limit_down"] = max(worst["limit_down"], -moved)
        if (p.limit_up[i] and p.holdings[i] < low) or (p.limit_down[i] and p.holdings[i] > high):
            continue
        worst["stock_limit"] = max(worst["stock_limit"], abs(away) - p.stock_limit)
    found |= worst
    found["members"] = p.member_floor - sum(w[i] for i in range(p.size) if p.member[i])
    for code in range(8):
        tilt = sum(w[i] - p.benchmark[i] for i in range(p.size) if p.industry[i] == code)
        found[f"industry[{code}]"] = abs(tilt) - p.industry_limit
    tilt = sum((w[i] - p.benchmark[i]) * p.styles[i, 1] for i in range(p.size))
    found["style[1]"] = abs(tilt) - p.style_limits[1]  # the other style has no limit
    found["turnover"] = sum(abs(w[i] - p.holdings[i]) for i in range(p.size)) / 2 - p.turnover_limit
    return {name: amount for name, amount in found.items() if amount > 0.0}


@pytest.mark.parametrize("seed", range(5))
def test_violations_are_the_definitions(seed):
    r = np.random.default_rng(seed)
    flags = {name: r.random(60) < 0.2 for name in ("suspended", "limit_up", "limit_down")}
    limits = {"style_limits": np.array([np.nan, 0.1]), "industry_limit": 0.003, "member_floor": 0.95}
    p = enhancement(60, seed, stock_limit=0.005, turnover_limit=0.05, **flags, **limits)
    p = changed(p, holdings=r.permutation(p.holdings))
    w = np.where(r.random(60) < 0.5, p.holdings, r.dirichlet(np.full(60, 0.5)) - 0.001)
    expected = violations_by_hand(p, w)
    assert len(expected) > 12
    assert violations(p, w) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("flag", "holdings", "bound"),
    [
        ("limit_up", 0.125, False), ("limit_up", 0.25, True), ("limit_up", 0.875, True),
        ("limit_down", 0.875, False), ("limit_down", 0.75, True), ("limit_down", 0.125, True), (None, 0.875, True),
    ],
)  # fmt: skip
def test_a_violated_band_is_seen_where_it_can_be_kept(flag, holdings, bound):
    """The first stock is 0.25 beyond a band of 0.25, unless it is locked outside of it; the second is suspended."""
    flags = {name: np.array([name == flag, False]) for name in ("limit_up", "limit_down")}
    kept = {"benchmark": np.full(2, 0.5), "holdings": np.array([holdings, 1.0 - holdings]), "stock_limit": 0.25}
    p = EnhancementProblem(score=np.zeros(2), suspended=np.array([False, True]), **kept, **flags)
    w = np.array([float(holdings > 0.5), 1.0 - holdings])
    assert violations(p, w).get("stock_limit", 0.0) == (0.25 if bound else 0.0)


def test_the_residue_of_the_budget_goes_where_there_is_room():
    upper = np.array([0.5, 0.4, 0.3])
    bounds = WeightBounds(np.zeros(3), upper, np.zeros(3), upper)
    for residue in (1e-9, -1e-9):
        w = quadratic._tidied(np.array([0.5, 0.3, 0.2 + residue]), bounds)
        assert w.sum() == pytest.approx(1.0, abs=1e-15)
        assert np.all((w >= 0.0) & (w <= upper))
    full = WeightBounds(np.zeros(3), upper / 2, np.zeros(3), upper / 2)
    assert quadratic._tidied(upper / 2, full).tolist() == (upper / 2).tolist()  # no room: as it is


def test_members_need_not_be_the_stocks_of_the_benchmark():
    member = np.arange(80) % 4 > 0
    p = enhancement(80, member=member, member_floor=None)
    floor = optimize(p).weights[member].sum() + 0.01
    s = optimize(changed(p, member_floor=floor))
    assert s.status == "optimal"
    assert s.weights[member].sum() == pytest.approx(floor)


def looser(amount: float) -> dict[str, tuple[str, object]]:
    """Mistakes of the rows and bounds that let weights pass a limit by ``amount``: what is replaced, by what."""
    bounds, rows = constraints.weight_bounds, constraints.constraint_rows
    styles = EnhancementProblem.limited_styles.fget

    def of_rows(name: str):
        def wrong(p: EnhancementProblem) -> constraints.ConstraintRows:
            r = rows(p)
            here = np.array([n.startswith(name) for n in r.names])
            turnover = r.turnover + 2.0 * amount * (name == "turnover")
            return replace(r, lower=r.lower - amount * here, upper=r.upper + amount * here, turnover=turnover)

        return wrong

    def of_styles(p: EnhancementProblem):
        exposure, limits, *rest = styles(p)
        return exposure, limits + amount, *rest

    def of_members(p: EnhancementProblem) -> np.ndarray:
        return np.ones(p.size, dtype=bool)

    def of_band(p: EnhancementProblem) -> constraints.WeightBounds:
        return bounds(changed(p, stock_limit=p.stock_limit + amount))

    module, names = "mg_portfolio.optimization.optimize", ("members", "industry", "style", "turnover")
    return {name: (f"{module}.constraint_rows", of_rows(name)) for name in names} | {
        "styles of the problem": ("mg_portfolio.EnhancementProblem.limited_styles", property(of_styles)),
        "members of the problem": ("mg_portfolio.optimization.constraints.members", of_members),
        "stock_limit": (f"{module}.weight_bounds", of_band),
    }


@pytest.mark.parametrize("what", looser(0.0))
def test_a_mistake_in_the_rows_is_no_answer(what, monkeypatch):
    """The check shares nothing with them: weights that pass a limit by more than 1e-6 are refused, by less are not."""
    styles = np.array([0.02, 0.8])
    p = enhancement(80, 4, member_floor=0.93, style_limits=styles, stock_limit=0.01, industry_limit=0.001)
    assert optimize(p).status == "optimal"
    for amount, refused in ((5e-7, False), (2e-6, True)):
        if what == "members of the problem" and not refused:
            continue  # stocks that are no members are not a matter of size
        name, mistake = looser(amount)[what]
        with monkeypatch.context() as patch, pytest.raises(SolverError) if refused else nullcontext():
            patch.setattr(name, mistake)
            assert optimize(p).largest_violation == pytest.approx(amount, rel=1e-3)


@pytest.mark.parametrize("bound", ["gap", "violation"])
def test_risky_weights_are_accepted_up_to_a_bound(bound, monkeypatch):
    """A quadratic solver's weights are taken up to 1e-6 beyond a limit, and with 1e-6 of the objective left."""
    p = with_risk(enhancement(80, 4, stock_limit=None), 30.0)
    best = optimize(p).weights
    r, b = constraints.constraint_rows(p), weight_bounds(p)
    unit = max(quadratic.objective_unit(p), abs(objective(p, best)))

    def weights(size: float) -> np.ndarray:
        """Between the best and the holdings with a gap of that size, or as far beyond the best."""
        if bound == "violation":
            return best + (size / p.turnover_limit) * (best - p.holdings)
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = 0.5 * (low + high)
            left = quadratic.optimality_gap(p, r, b, best + middle * (p.holdings - best))[0]
            low, high = (middle, high) if left < size * unit else (low, middle)
        return best + low * (p.holdings - best)

    if bound == "violation":
        assert largest_violation(p, weights(9e-7)) == pytest.approx(9e-7, rel=0.05)
        monkeypatch.setattr(quadratic, "ACCEPTED_GAP", 1.0)
        monkeypatch.setattr(quadratic, "_tidied", lambda w, _: w)
    accepted, refused = weights(9e-7), weights(1.1e-6)
    monkeypatch.setattr(quadratic, "_call", lambda *_: ("optimal", accepted))
    assert optimize(p).weights == pytest.approx(accepted, abs=1e-12)
    monkeypatch.setattr(quadratic, "_call", lambda *_: ("optimal", refused))
    with pytest.raises(SolverError, match=f"{bound} {1.1e-6 * (unit if bound == 'gap' else 1.0):.2g}"):
        optimize(p)


def test_objective_is_the_formula():
    p = with_risk(enhancement(30, cost=0.2), 3.0)
    w = np.full(30, 1 / 30)
    sigma = p.factor_loadings @ p.factor_cov @ p.factor_loadings.T + np.diag(p.specific_var)
    active = w - p.benchmark
    expected = p.score @ w - 1.5 * active @ sigma @ active - 0.2 * np.abs(w - p.holdings).sum()
    assert objective(p, w) == pytest.approx(expected, abs=1e-12)


BAD = [
    ({"score": np.r_[np.nan, np.zeros(199)]}, "score had 1 NaN"),
    ({"score": np.zeros(3)}, "expected"),
    ({"benchmark": np.full(200, 0.01)}, "benchmark summed to 2"),
    ({"benchmark": np.r_[-0.5, 1.5, np.zeros(198)]}, "benchmark was -0.5"),
    ({"holdings": np.full(200, 0.01)}, "holdings summed to 2"),
    ({"holdings": np.zeros(7)}, r"holdings had shape \(7,\)"),
    ({"industry": np.full(200, 0.5)}, "integer codes"),
    ({"industry": None}, "industry_limit was set"),
    ({"styles": np.zeros((200, 3))}, "style_limits had shape"),
    ({"styles": np.full((200, 2), np.inf)}, "styles had 400 NaN"),
    ({"style_limits": np.array([-1.0, 0.1])}, "style_limits had -1"),
    ({"style_names": ("size", "size")}, "different names"),
    ({"style_priority": np.array([0.0, 1.0])}, "style_priority"),
    ({"member": np.full(200, 2)}, "member had values"),
    ({"suspended": np.zeros(5, bool)}, "suspended had shape"),
    ({"stock_limit": -0.01}, "stock_limit was -0.01"),
    ({"member_floor": 80.0}, "member_floor was 80"),
    ({"turnover_limit": float("nan")}, "turnover_limit was nan"),
    ({"turnover_limit": "much"}, "turnover_limit was 'much'"),
    ({"cost": -1.0}, "cost was -1"),
    ({"risk_aversion": 1.0}, "factor_loadings, factor_cov, specific_var was not given"),
    ({"symbols": np.array(["a"])}, "symbols had shape"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[m for _, m in BAD])
def test_an_unusable_field_is_refused_by_name(change, message):
    with pytest.raises(ProblemError, match=message):
        enhancement(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"factor_cov": -np.eye(5)}, "semidefinite"),
        ({"factor_cov": np.arange(25.0).reshape(5, 5)}, "symmetric"),
        ({"specific_var": np.full(200, -1.0)}, "specific_var was -1"),
        ({"factor_loadings": np.zeros((3, 5))}, "factor_loadings had shape"),
    ],
)
def test_a_wrong_risk_model_is_refused(change, message):
    with pytest.raises(ProblemError, match=message):
        changed(with_risk(enhancement(), 1.0), **change)


def test_errors_name_the_stock():
    score = np.zeros(200)
    score[7] = np.nan
    symbols = np.array([f"{i:06d}.SZ" for i in range(200)])
    with pytest.raises(ProblemError, match=r"000007\.SZ"):
        enhancement(score=score, symbols=symbols)
