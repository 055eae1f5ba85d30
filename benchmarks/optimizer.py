"""Speed of one rebalance beside other ways to solve the same problem.

Run: ``python benchmarks/optimizer.py --sizes 1000 3000 5000`` (one thread; about two minutes). Prints a Markdown table:
median CPU seconds (so that a busy machine does not matter), the ratio to ours, the objective's distance from ours, and
the largest violation found in the weights. Ours includes the check and the shadow prices; the others only building and
solving.
"""

import argparse
import os
import statistics
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cvxpy as cp
import numpy as np

from mg_portfolio import EnhancementProblem, optimize
from mg_portfolio.constraints import bounds, largest_violation, objective, rows
from mg_portfolio.linear import Sifter
from mg_portfolio.quadratic import formulate


def week(n: int, seed: int, risk: float = 0.0, neutral: bool = False) -> EnhancementProblem:
    """A rebalance in the shape of the published portfolios: last week's weights, drifted, and a score that moved."""
    r = np.random.default_rng(seed)
    member = np.zeros(n, dtype=bool)
    member[r.permutation(n)[: min(500, n // 2)]] = True
    benchmark = np.where(member, r.lognormal(0, 0.6, n), 0.0)
    benchmark /= benchmark.sum()
    fields = {
        "benchmark": benchmark,
        "industry": r.integers(0, 30, n),
        "styles": r.standard_normal((n, 8)),
        "style_limits": np.array([0.2, 0.0] + [0.8] * 6) if neutral else np.array([0.2] + [np.nan] * 7),
        "member": member,
        "stock_limit": 0.01 if neutral else 0.008,
        "member_floor": None if neutral else 0.8,
        "industry_limit": 0.0 if neutral else 0.02,
    }
    old = r.standard_normal(n)
    first = optimize(EnhancementProblem(score=old, holdings=benchmark, turnover_limit=0.3, **fields)).weights
    drifted = first * np.exp(0.03 * r.standard_normal(n))
    locked = r.random(n)
    fields |= {
        "score": 0.7 * old + 0.7 * r.standard_normal(n),
        "holdings": drifted / drifted.sum(),
        "turnover_limit": 0.3 if neutral else 0.15,
        "suspended": locked < 0.01,
        "limit_up": (locked > 0.01) & (locked < 0.02),
        "limit_down": (locked > 0.02) & (locked < 0.03),
    }
    if risk:
        fields |= {
            "risk_aversion": risk,
            "factor_loadings": 0.3 * r.standard_normal((n, 40)),
            "factor_cov": np.diag(0.02 * r.random(40)),
            "specific_var": 0.02 + 0.1 * r.random(n),
        }
    return EnhancementProblem(**fields)


def naive(p: EnhancementProblem, solver: str) -> np.ndarray:
    """As one writes it first: weights, norms, one constraint an industry, the covariance dense."""
    w, b = cp.Variable(p.size), bounds(p)
    limits = [cp.sum(w) == 1, w >= b.lower, w <= b.upper, 0.5 * cp.norm1(w - p.holdings) <= p.turnover_limit]
    if p.member_floor is not None:
        limits.append(cp.sum(w[np.flatnonzero(p.member)]) >= p.member_floor)
    for code in np.unique(p.industry):
        inside = np.flatnonzero(p.industry == code)
        limits.append(cp.abs(cp.sum(w[inside]) - p.benchmark[inside].sum()) <= p.industry_limit)
    for k in np.flatnonzero(~np.isnan(p.style_limits)):
        limits.append(cp.abs(p.styles[:, k] @ (w - p.benchmark)) <= p.style_limits[k])
    value = p.score @ w
    if p.risk_aversion:
        sigma = p.factor_loadings @ p.factor_cov @ p.factor_loadings.T + np.diag(p.specific_var)
        value = value - 0.5 * p.risk_aversion * cp.quad_form(w - p.benchmark, cp.psd_wrap(sigma))
    cp.Problem(cp.Maximize(value), limits).solve(solver=solver)
    return w.value


def careful(p: EnhancementProblem, solver: str, **settings) -> np.ndarray:
    """Our formulation through cvxpy, rebuilt each week."""
    form = formulate(p, rows(p), bounds(p))
    form.problem.solve(solver=solver, canon_backend=cp.SCIPY_CANON_BACKEND, **settings)
    return form.weights()


def direct(p: EnhancementProblem) -> np.ndarray:
    """HiGHS called directly with all columns."""
    sifter = Sifter(rows(p), bounds(p), p.holdings, p.score, p.cost, first_share=1.0)
    sifter.solve()
    return sifter.result().weights


LINEAR = {
    "ours": lambda p: optimize(p).weights,
    "HiGHS direct, all columns": direct,
    "cvxpy, same form, HiGHS, presolve off": lambda p: careful(p, cp.HIGHS, presolve="off"),
    "cvxpy, naive, HiGHS": lambda p: naive(p, cp.HIGHS),
    "cvxpy, naive, Clarabel": lambda p: naive(p, cp.CLARABEL),
}
QUADRATIC = {
    "ours": lambda p: optimize(p).weights,
    "cvxpy, same form, PIQP": lambda p: careful(p, cp.PIQP),
    "cvxpy, same form, Clarabel": lambda p: careful(p, cp.CLARABEL),
    "cvxpy, same form, OSQP defaults": lambda p: careful(p, cp.OSQP),
    "cvxpy, naive and dense, Clarabel": lambda p: naive(p, cp.CLARABEL),
}


def table(title: str, ways: dict, problems: list[EnhancementProblem], skip: tuple[str, ...] = ()) -> None:
    print(f"\n{title}\n\n| way | CPU seconds | times ours | objective - ours | violation |\n|---|---|---|---|---|")
    ours, best = 0.0, 0.0
    for name, way in ways.items():
        if name in skip:
            continue
        seconds, gaps, worst = [], [], 0.0
        for p in problems:
            started = time.process_time()
            try:
                weights = way(p)
            except cp.error.SolverError as failure:
                print(f"| {name} | failed: {failure} | | | |")
                break
            seconds.append(time.process_time() - started)
            if weights is None:
                continue
            gaps.append(objective(p, weights))
            worst = max(worst, largest_violation(p, weights))
        if not gaps:
            continue
        median, value = statistics.median(seconds), statistics.mean(gaps)
        if name == "ours":
            ours, best = median, value
        print(f"| {name} | {median:.4f} | {median / ours:.1f} | {value - best:+.1e} | {worst:.0e} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 3000, 5000])
    parser.add_argument("--repeats", type=int, default=5, help="different weeks a size")
    parser.add_argument(
        "--risk", type=float, default=300.0, help="risk aversion of the quadratic problems; 0 leaves them out"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    naive(week(100, 0), cp.HIGHS)  # imports and caches
    for n in options.sizes:
        for neutral in (False, True):
            problems = [week(n, seed, neutral=neutral) for seed in range(options.repeats)]
            kind = "neutral, 0.3 one-way" if neutral else "series 72, 0.15 one-way"
            table(f"Linear, {n} stocks, {kind}", LINEAR, problems)
        if options.risk:
            problems = [week(n, seed, risk=options.risk) for seed in range(min(options.repeats, 3))]
            dense = () if n <= 2000 else ("cvxpy, naive and dense, Clarabel",)
            table(f"Quadratic, {n} stocks, risk aversion {options.risk:g}", QUADRATIC, problems, dense)


if __name__ == "__main__":
    main()
