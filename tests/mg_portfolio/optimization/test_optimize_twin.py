"""The optimiser against problems written independently and naively in cvxpy."""

import cvxpy as cp
import numpy as np
import pytest

from mg_portfolio import EnhancementProblem, InfeasibleError, optimize
from mg_portfolio.optimization import quadratic
from mg_portfolio.optimization.constraints import constraint_rows, violations, weight_bounds
from mg_portfolio.optimization.quadratic import formulate

pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered in matmul:RuntimeWarning")

FEATURES = ("suspended", "limits", "neutral", "members", "styles", "cost", "free", "cash")


def problem_of(seed: int, n: int = 40, risk: float = 0.0, **changes) -> EnhancementProblem:
    """Random problem; the seed also decides which features it has."""
    r = np.random.default_rng(seed)
    on = dict(zip(FEATURES, r.random(len(FEATURES)) < 0.5, strict=True))
    member = r.random(n) < 0.5
    member[0] = True
    benchmark = np.where(member, r.lognormal(0, 0.7, n), 0.0)
    benchmark /= benchmark.sum()
    holdings = np.clip(benchmark + r.normal(0, 0.01, n) * (r.random(n) < 0.5), 0, None)
    holdings /= holdings.sum() * (1.1 if on["cash"] else 1.0)
    k = int(r.integers(0, 4)) if on["styles"] else 0
    limits = np.array([0.2, 0.8, np.nan])[:k]
    fields = {
        "score": r.standard_normal(n),
        "benchmark": benchmark,
        "holdings": holdings,
        "industry": r.integers(0, 5, n),
        "styles": r.standard_normal((n, k)),
        "style_limits": limits,
        "member": member,
        "suspended": (r.random(n) < 0.1) & on["suspended"],
        "limit_up": (r.random(n) < 0.1) & on["limits"],
        "limit_down": (r.random(n) < 0.1) & on["limits"],
        "stock_limit": None if on["free"] else 0.04,
        "member_floor": 0.8 if on["members"] else None,
        "industry_limit": 0.0 if on["neutral"] else 0.02,
        "turnover_limit": None if on["free"] and on["neutral"] else float(r.choice([0.1, 0.2, 0.3])),
        "cost": 0.3 if on["cost"] else 0.0,
    }
    if risk:
        f = 6
        root = r.standard_normal((f, f)) * 0.2
        fields |= {
            "risk_aversion": risk,
            "factor_loadings": r.standard_normal((n, f)),
            "factor_cov": root @ root.T,
            "specific_var": 0.02 + 0.1 * r.random(n),
        }
    return EnhancementProblem(**(fields | changes))


class Naive:
    """The problem as its specification states it, one line a constraint, with slack on every soft one."""

    def __init__(self, p: EnhancementProblem) -> None:
        n = p.size
        self.p, self.w = p, cp.Variable(n)
        w, b, w0 = self.w, p.benchmark, p.holdings
        d = 1.0 if p.stock_limit is None else p.stock_limit
        low, high = np.maximum(b - d, 0), np.minimum(b + d, 1)
        for i in range(n):  # tradability wins over the band
            if p.suspended is not None and p.suspended[i]:
                low[i] = high[i] = w0[i]
                continue
            if p.limit_up is not None and p.limit_up[i]:
                high[i] = min(high[i], w0[i])
                low[i] = min(low[i], high[i])
            if p.limit_down is not None and p.limit_down[i]:
                low[i] = max(low[i], w0[i])
                high[i] = max(low[i], high[i])
        self.hard = [cp.sum(w) == 1, w >= low, w <= high]
        self.soft: list[tuple[float, object]] = []  # (penalty, amount above the limit)
        if p.member_floor is not None:
            self.soft.append((1e4, p.member_floor - cp.sum(w[np.flatnonzero(p.member)])))
        if p.industry_limit is not None:
            for code in np.unique(p.industry):
                inside = np.flatnonzero(p.industry == code)
                self.soft.append((1e4, cp.abs(cp.sum(w[inside]) - b[inside].sum()) - p.industry_limit))
        for k, limit in enumerate(p.style_limits):
            if not np.isnan(limit):
                self.soft.append((1e3 if limit <= 0.2 else 1e2, cp.abs(p.styles[:, k] @ (w - b)) - limit))
        if p.turnover_limit is not None:
            self.soft.append((1.0, 0.5 * cp.norm1(w - w0) - p.turnover_limit))
        self.value = p.score @ w - p.cost * cp.norm1(w - w0)
        if p.risk_aversion > 0:
            sigma = p.factor_loadings @ p.factor_cov @ p.factor_loadings.T + np.diag(p.specific_var)  # dense on purpose
            self.value = self.value - 0.5 * p.risk_aversion * cp.quad_form(w - b, cp.psd_wrap(sigma))

    def best(self, allowance: float = 0.0) -> float | None:
        """Best objective with a weighted slack of at most ``allowance``; None where infeasible."""
        if allowance == 0.0:
            problem = cp.Problem(cp.Maximize(self.value), [*self.hard, *(e <= 0 for _, e in self.soft)])
        else:
            slack = cp.Variable(len(self.soft), nonneg=True)
            total = sum(price * slack[i] for i, (price, _) in enumerate(self.soft))
            limits = [e <= slack[i] for i, (_, e) in enumerate(self.soft)]
            problem = cp.Problem(cp.Maximize(self.value), [*self.hard, *limits, total <= allowance])
        solve(problem, quadratic=self.p.risk_aversion > 0)
        return problem.value if problem.status in ("optimal", "optimal_inaccurate") else None

    def least_relaxation(self) -> float:
        """Smallest weighted slack."""
        problem = cp.Problem(cp.Minimize(sum(price * cp.pos(e) for price, e in self.soft)), self.hard)
        solve(problem)
        return float(problem.value)


def solve(problem: cp.Problem, quadratic: bool = False) -> None:
    if quadratic:
        problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    else:
        problem.solve(solver=cp.HIGHS, primal_feasibility_tolerance=1e-10, dual_feasibility_tolerance=1e-10)


@pytest.mark.parametrize("block", range(6))
def test_linear_objective_equals_the_naive_twins(block):
    seen = set()
    for seed in range(20 * block, 20 * block + 20):
        p = problem_of(seed)
        solution = optimize(p)
        naive = Naive(p)
        best = naive.best()
        seen.add(solution.status)
        if best is None:
            assert solution.status == "relaxed", f"seed {seed}"
            least = naive.least_relaxation()
            penalty = dict(zip(constraint_rows(p).names, constraint_rows(p).penalty, strict=True)) | {"turnover": 1.0}
            used = sum(penalty[name] * amount for name, amount in solution.relaxed.items())
            assert used == pytest.approx(least, abs=1e-7), f"seed {seed}"
            assert solution.objective == pytest.approx(naive.best(least + 1e-9), abs=1e-5), f"seed {seed}"
        else:
            assert solution.status == "optimal", f"seed {seed}"
            assert solution.objective == pytest.approx(best, abs=1e-9), f"seed {seed}"
            assert not violations(p, solution.weights) or solution.largest_violation < 1e-9
        assert solution.largest_violation <= 1e-6
    assert "optimal" in seen


@pytest.mark.parametrize("seed", range(12))
def test_quadratic_objective_equals_clarabel_on_dense_covariance(seed):
    p = problem_of(seed, risk=float(10 ** (seed % 4)))
    solution = optimize(p)
    if solution.status == "optimal":
        best = Naive(p).best()
        assert best is not None
        assert solution.objective == pytest.approx(best, abs=3e-6 * max(1.0, abs(best)))
    assert solution.largest_violation <= 1e-6
    assert solution.solver in ("osqp", "piqp", "clarabel")
    assert not any(a.solver == "highs" and a.stage == "risk" for a in solution.attempts)


@pytest.mark.parametrize("seed", [4, 6, 7, 8])
def test_stocks_left_out_at_first_enter_where_they_pay(seed):
    p = problem_of(seed, n=200, risk=300.0)
    solution = optimize(p)
    sizes = [int(a.note.split()[0]) for a in solution.attempts if a.stage == "risk"]
    assert sizes[-1] > sizes[0]  # the pool had to grow
    assert solution.objective == pytest.approx(Naive(p).best(), abs=3e-6)


@pytest.mark.parametrize("seed", [5, 7, 8])
@pytest.mark.parametrize("settings", quadratic.SOLVERS, ids=[name for name, _ in quadratic.SOLVERS])
def test_each_quadratic_solver_is_enough_alone(settings, seed, monkeypatch):
    p = problem_of(seed, n=200, risk=30.0)
    usual = optimize(p)
    monkeypatch.setattr(quadratic, "SOLVERS", (settings,))
    solution = optimize(p)
    assert solution.solver == settings[0].lower()
    assert solution.objective == pytest.approx(usual.objective, abs=3e-6)
    assert solution.largest_violation <= 1e-6


def test_a_solver_that_is_absent_is_one_failed_attempt(monkeypatch):
    monkeypatch.setattr(quadratic, "SOLVERS", (("GUROBI", {}), *quadratic.SOLVERS))
    solution = optimize(problem_of(7, n=60, risk=30.0))
    risk = [a for a in solution.attempts if a.stage == "risk"]
    assert risk[0].solver == "gurobi"
    assert risk[0].status.startswith("failed")
    assert solution.solver != "gurobi"


@pytest.mark.parametrize("seed", range(10))
def test_documented_formulation_is_the_same_linear_problem(seed):
    p = problem_of(seed, member_floor=None, industry_limit=0.05, turnover_limit=0.6)
    form = formulate(p, constraint_rows(p), weight_bounds(p))
    solve(form.problem)
    assert form.problem.value * form.unit / p.size == pytest.approx(optimize(p).objective, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_without_relaxation_the_error_names_what_suffices(seed):
    p = problem_of(seed, n=30, turnover_limit=0.01, holdings=np.eye(30)[0], stock_limit=0.03)
    with pytest.raises(InfeasibleError, match="turnover") as caught:
        optimize(p, allow_relaxation=False)
    error = caught.value
    assert "turnover" in error.constraints
    assert "turnover" in error.relaxation
    looser = {"turnover_limit": 0.01 + error.relaxation.pop("turnover") + 1e-9}
    if not error.relaxation:
        fields = {f: getattr(p, f) for f in p.__dataclass_fields__} | looser
        assert optimize(EnhancementProblem(**fields), allow_relaxation=False).status == "optimal"
        looser["turnover_limit"] -= 1e-4
        with pytest.raises(InfeasibleError):
            optimize(EnhancementProblem(**(fields | looser)), allow_relaxation=False)
