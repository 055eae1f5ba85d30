"""Infeasibility reports against problems written independently in cvxpy, one line a constraint."""

import pickle
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

from mg_portfolio import EnhancementProblem, InfeasibleError, ProblemError, diagnose, optimize
from mg_portfolio.optimization.constraints import violations
from mg_portfolio.optimization.infeasibility import constraint_names, irreducible
from mg_portfolio.optimization.relaxation import relaxed_text

N = 30
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered in matmul:RuntimeWarning")


def tight(seed: int) -> EnhancementProblem:
    """A rebalance with too many locked stocks, drifted holdings and tight limits; most seeds have no answer."""
    r = np.random.default_rng(seed)
    benchmark = np.where(r.random(N) < 0.7, r.lognormal(0, 0.5, N), 0.0)
    benchmark /= benchmark.sum()
    holdings = benchmark * np.exp(r.normal(0, 0.5, N))
    holdings[r.random(N) < 0.2] = 0.0
    locked = r.random(N)
    return EnhancementProblem(
        score=r.standard_normal(N),
        benchmark=benchmark,
        holdings=holdings / holdings.sum(),
        industry=r.integers(0, 6, N),
        styles=r.standard_normal((N, 2)),
        style_limits=np.array([0.02, 0.3]),
        style_names=("size", "beta"),
        member=benchmark > 0,
        suspended=locked < 0.25,
        limit_up=(locked > 0.25) & (locked < 0.35),
        limit_down=(locked > 0.35) & (locked < 0.45),
        stock_limit=0.03,
        member_floor=0.95,
        industry_limit=0.0 if seed % 2 else 0.01,
        turnover_limit=0.1,
        symbols=np.array([f"{600000 + i}.SH" for i in range(N)], dtype=object),
        industry_names={i: f"ind{i}" for i in range(6)},
    )


def common_weights(p: EnhancementProblem, names, spare: dict[str, float] | None = None) -> bool:
    """Whether the named constraints hold together, written independently of the project's rows."""
    w, b, w0, spare = cp.Variable(N), p.benchmark, p.holdings, spare or {}
    low, high = np.zeros(N), np.ones(N)
    limits = []
    for name in names:
        room = spare.get(name, 0.0)
        if name == "budget":
            limits.append(cp.sum(w) == 1)
        elif name == "members":
            limits.append(cp.sum(w[p.member]) >= p.member_floor - room)
        elif name == "turnover":
            limits.append(0.5 * cp.norm1(w - w0) <= p.turnover_limit + room)
        elif name.startswith("industry["):
            inside = p.industry == int(name[12:-1])
            limits.append(cp.abs(cp.sum(w[inside]) - b[inside].sum()) <= p.industry_limit + room)
        elif name.startswith("style["):
            k = p.style_names.index(name[6:-1])
            limits.append(cp.abs(p.styles[:, k] @ (w - b)) <= p.style_limits[k] + room)
        elif name == "stock_limit":
            d = p.stock_limit + room
            low, high = np.maximum(b - d, 0), np.minimum(b + d, 1)
    for i in range(N):
        if "limit_up" in names and p.limit_up[i]:
            high[i] = min(high[i], w0[i])
            low[i] = min(low[i], high[i])
        if "limit_down" in names and p.limit_down[i]:
            low[i] = max(low[i], w0[i])
            high[i] = max(low[i], high[i])
        if "suspended" in names and p.suspended[i]:
            low[i] = high[i] = w0[i]
    problem = cp.Problem(cp.Minimize(0), [*limits, w >= low, w <= high])
    problem.solve(solver=cp.HIGHS, primal_feasibility_tolerance=1e-9)
    return problem.status == "optimal"


@pytest.mark.parametrize("seed", range(12))
def test_subsets_are_irreducible_and_their_relaxations_enough(seed):
    p = tight(seed)
    found = diagnose(p)
    everything = constraint_names(p)
    assert found.feasible == common_weights(p, everything)
    for subset in found.subsets:
        names = list(subset.constraints)
        assert not common_weights(p, names)
        for name in names:
            assert common_weights(p, [n for n in names if n != name]), f"{name} was not needed in {names}"
        for flag, symbols in subset.stocks.items():
            chosen = np.isin(p.symbols, symbols)
            assert chosen.any()
            assert getattr(p, flag)[chosen].all()
            assert not common_weights(replace(p, **{flag: chosen}), names)
            for i in np.flatnonzero(chosen):  # any one of them trading resolves it
                assert common_weights(replace(p, **{flag: chosen & (np.arange(N) != i)}), names)
        for name, amount in subset.relaxations.items():
            assert amount > 0
            assert common_weights(p, names, {name: amount + 1e-6})
            assert not common_weights(p, names, {name: amount - 1e-5})
            if name in subset.problem_relaxations:
                assert subset.problem_relaxations[name] >= amount - 1e-6
                assert common_weights(p, everything, {name: subset.problem_relaxations[name] + 1e-6})
                assert not common_weights(p, everything, {name: subset.problem_relaxations[name] - 1e-5})
            else:
                assert not common_weights(p, everything, {name: 1.0})
    if not found.feasible:
        assert len(found.table()) >= len(found.constraints)
        assert found.constraints[0] in str(found)
        assert found.constraints[0] in found._repr_html_()


def test_the_problems_are_infeasible_in_several_ways():
    found = [diagnose(tight(seed)) for seed in range(8)]
    assert {"suspended", "industry", "turnover"} <= {n.split("[")[0] for d in found for n in d.constraints}
    assert max(len(d.subsets) for d in found) > 1


@pytest.mark.parametrize("seed", range(6))
def test_both_relaxations_suffice_and_order_spares_heavy_limits(seed):
    p = tight(seed)
    found = diagnose(p)
    everything = constraint_names(p)
    for moves in (found.weighted, found.ordered):
        if moves:
            assert common_weights(p, everything, {name: v + 1e-7 for name, v in moves.items()})

    def heavy(moves):  # industries and members have the largest penalty
        return sum(v for name, v in moves.items() if name.startswith(("industry", "members")))

    assert heavy(found.ordered) <= heavy(found.weighted) + 1e-9
    s = optimize(p, relaxation="ordered")
    assert s.relaxed == pytest.approx(found.ordered, abs=1e-7)
    assert s.largest_violation <= 1e-6


def test_strict_order_moves_the_light_limit_however_far():
    # being neutral costs five times the turnover that it saves in exposure; the style's penalty is 1% larger
    p = EnhancementProblem(
        score=np.zeros(2),
        benchmark=np.full(2, 0.5),
        holdings=np.array([1.0, 0.0]),
        styles=np.array([[0.1], [-0.1]]),
        style_limits=np.zeros(1),
        style_names=("size",),
        style_priority=np.array([1.01]),
        turnover_limit=0.0,
    )
    assert optimize(p).relaxed == pytest.approx({"style[size]": 0.1})
    assert optimize(p, relaxation="ordered").relaxed == pytest.approx({"turnover": 0.5})
    found = diagnose(p)
    assert (found.weighted, found.ordered) == (pytest.approx({"style[size]": 0.1}), pytest.approx({"turnover": 0.5}))


def test_budget_and_tradability_alone_have_a_report_too():
    p = replace(tight(1), limit_up=np.arange(N) > 1, holdings=np.zeros(N), suspended=None, limit_down=None)
    found = diagnose(p)
    assert found.weighted == found.ordered == {}
    subset = found.subsets[0]
    assert set(subset.constraints) <= {"budget", "limit_up", "stock_limit"}
    with pytest.raises(InfeasibleError) as caught:
        optimize(p, allow_relaxation=False)
    assert caught.value.report.constraints == found.constraints


def test_the_error_carries_the_report_and_pickles():
    p = next(p for p in map(tight, range(12)) if diagnose(p).weighted)
    with pytest.raises(InfeasibleError) as caught:
        optimize(p, allow_relaxation=False)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.constraints == caught.value.constraints == caught.value.report.constraints
    assert again.relaxation == caught.value.relaxation
    assert again.report == caught.value.report


def test_a_feasible_problem_has_no_subset():
    p = replace(tight(0), suspended=None, limit_up=None, limit_down=None, holdings=tight(0).benchmark)
    found = diagnose(p)
    assert found.feasible
    assert "is feasible" in str(found)
    assert found.table().empty


def test_quickxplain_against_all_subsets():
    from itertools import combinations

    r = np.random.default_rng(0)
    for _ in range(50):
        bad = [set(r.choice(8, r.integers(1, 4), replace=False).tolist()) for _ in range(r.integers(1, 4))]

        def infeasible(chosen, bad=bad):
            return any(b <= set(chosen) for b in bad)

        found = irreducible(list(range(8)), infeasible)
        assert infeasible(found)
        assert not any(infeasible(part) for part in combinations(found, len(found) - 1))


def test_limit_offsets_widen_one_constraint():
    p = replace(tight(0), suspended=None, limit_up=None, limit_down=None, turnover_limit=0.4)
    prices = {n: v for n, v in optimize(p).shadow_prices.items() if n.startswith("industry")}
    name, price = max(prices.items(), key=lambda pair: pair[1])
    looser = replace(p, limit_offsets={name: 1e-5})
    s = optimize(looser)
    assert 0.0 < s.objective - optimize(p).objective <= price * 1e-5 * (1 + 1e-9)  # industries sum to the budget
    assert violations(p, s.weights)[name] == pytest.approx(1e-5)
    assert violations(looser, s.weights).get(name, 0.0) < 1e-12
    with pytest.raises(ProblemError, match="which the problem does not limit"):
        optimize(replace(p, limit_offsets={"industry[nowhere]": 0.1}))
    with pytest.raises(ProblemError, match="takes more than the limit allows"):
        optimize(replace(p, limit_offsets={name: -0.1}))


def test_problems_and_solutions_pickle():
    p = tight(3)
    s = optimize(p)
    twin, again = pickle.loads(pickle.dumps(p)), pickle.loads(pickle.dumps(s))
    assert (again.weights == s.weights).all()
    assert (optimize(twin).weights == s.weights).all()  # nothing is kept between calls
    assert again.shadow_prices == s.shadow_prices


def test_a_small_relaxation_is_a_plain_number():
    relaxed = {"industry[Banks]": 6.826e-05, "turnover": 0.1}
    assert relaxed_text(relaxed) == "industry[Banks] by 0.00006826, turnover by 0.1"
