"""Speed and exactness of consecutive rebalances beside other ways to solve the same problems.

Run: ``python benchmarks/optimizer.py --sizes 1000 3000 5000 10000 --weeks 50`` (one thread). Each week starts from the
last one's weights, drifted; the index changes in the 26th. All ways get the same problems. Prints Markdown tables:
median CPU seconds a week (so that a busy machine does not matter), the ratio to ours, the objective's largest distance
from ours (above it only by violation), and the largest violation in the weights, recomputed. Ours includes the check
and the shadow prices; the others only building and solving. A way that used up ``--patience`` CPU seconds stops, and
the table shows after how many weeks. ``--tables`` and ``--ways`` cut a run into pieces on the same problems (ours is
always run). qlib, skfolio and cvxportfolio take part where they are installed and can express
the problem (``pip install pyqlib skfolio cvxportfolio``).
"""

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cvxpy as cp
import numpy as np
import optimizer_peers as peers

from mg_portfolio import EnhancementProblem, optimize
from mg_portfolio.optimization.constraints import constraint_rows, largest_violation, objective, weight_bounds
from mg_portfolio.optimization.linear import Sifter
from mg_portfolio.optimization.quadratic import formulate

Way = Callable[[EnhancementProblem], np.ndarray]


def weeks(
    n: int, count: int, seed: int = 0, risk: float = 0.0, neutral: bool = False, plain: bool = False
) -> list[EnhancementProblem]:
    """Consecutive rebalances in the shape of the published portfolios, without those that need a relaxation.

    ``plain`` leaves out what qlib cannot express: the floor on members and the price limits.
    """
    r = np.random.default_rng(seed)
    cap = r.lognormal(0, 0.6, n)
    industry = r.integers(0, 30, n)
    styles = r.standard_normal((n, 8))
    fixed = {
        "industry": industry,
        "styles": styles,
        "style_limits": np.array([0.2, 0.0] + [0.8] * 6) if neutral else np.array([0.2] + [np.nan] * 7),
        "stock_limit": 0.01 if neutral else 0.008,
        "member_floor": None if neutral or plain else 0.8,
        "industry_limit": 0.0 if neutral else 0.02,
        "turnover_limit": 0.3 if neutral else 0.15,
    }
    if risk:
        fixed |= {
            "risk_aversion": risk,
            "factor_loadings": 0.3 * r.standard_normal((n, 40)),
            "factor_cov": np.diag(0.02 * r.random(40)),
            "specific_var": 0.02 + 0.1 * r.random(n),
        }
    out: list[EnhancementProblem] = []
    score = r.standard_normal(n)
    member = np.zeros(n, dtype=bool)
    holdings = None
    week = 0
    while len(out) < count:
        if week % 26 == 0:
            member = np.zeros(n, dtype=bool)
            member[np.argsort(-cap * r.lognormal(0, 0.1, n))[: min(500, n // 2)]] = True
        benchmark = np.where(member, cap, 0.0) / cap[member].sum()
        locked = r.random(n)
        flags = {"suspended": locked < 0.01}
        if not plain:
            flags |= {"limit_up": (locked > 0.01) & (locked < 0.02), "limit_down": (locked > 0.02) & (locked < 0.03)}
        p = EnhancementProblem(
            score=score, benchmark=benchmark, holdings=benchmark if holdings is None else holdings, member=member,
            **(fixed | flags),
        )  # fmt: skip
        linear = optimize(replace(p, risk_aversion=0.0))  # the path of the holdings; the same for every way
        if week and linear.status == "optimal":
            out.append(p)
        growth = np.exp(0.03 * r.standard_normal(n))
        holdings = linear.weights * growth / (linear.weights @ growth)
        cap = cap * growth
        score = 0.7 * score + 0.7 * r.standard_normal(n)
        week += 1
    return out


def careful(p: EnhancementProblem, solver: str, **settings) -> np.ndarray:
    """Our formulation through cvxpy, rebuilt each week."""
    form = formulate(p, constraint_rows(p), weight_bounds(p))
    form.problem.solve(solver=solver, canon_backend=cp.SCIPY_CANON_BACKEND, **settings)
    return form.weights()


def direct(p: EnhancementProblem) -> np.ndarray:
    """HiGHS called directly with all columns."""
    sifter = Sifter(constraint_rows(p), weight_bounds(p), p.holdings, p.score, p.cost, first_share=1.0)
    sifter.solve()
    return sifter.result().weights


LINEAR: dict[str, Way] = {
    "ours": lambda p: optimize(p).weights,
    "HiGHS direct, all columns": direct,
    "cvxpy, same form, HiGHS, presolve off": lambda p: careful(p, cp.HIGHS, presolve="off"),
    "cvxpy, naive, HiGHS": lambda p: peers.naive(p, cp.HIGHS),
    "cvxpy, naive, Clarabel": lambda p: peers.naive(p, cp.CLARABEL),
    "skfolio, Clarabel": peers.skfolio,
    "cvxportfolio, HiGHS": peers.cvxportfolio,
    "qlib": peers.qlib,
}
QUADRATIC: dict[str, Way] = {
    "ours": lambda p: optimize(p).weights,
    "cvxpy, same form, PIQP": lambda p: careful(p, cp.PIQP),
    "cvxpy, same form, Clarabel": lambda p: careful(p, cp.CLARABEL),
    "cvxpy, same form, OSQP": lambda p: careful(p, cp.OSQP),
    "qlib, Clarabel": peers.qlib,
    "cvxpy, naive and dense, Clarabel": lambda p: peers.naive(p, cp.CLARABEL),
}


def table(
    title: str, ways: dict[str, Way], problems: list[EnhancementProblem], warm: EnhancementProblem, patience: float
) -> None:
    """Print one table: every way on every week, after a small problem for imports and caches."""
    print(f"\n{title}\n\n| way | weeks | CPU seconds | times ours | objective - ours | violation |")
    print("|---|---|---|---|---|---|")
    ours: list[float] = []
    median_ours = float("nan")
    for name, way in ways.items():
        seconds, values, worst, none = [], [], 0.0, 0
        reason = ""
        try:
            way(warm)
        except ImportError as failure:
            reason = f"not installed ({failure.name})"
        except peers.Inexpressible as failure:
            reason = str(failure)
        except Exception as failure:  # another library's error is a result here
            reason = f"failed: {type(failure).__name__} {str(failure)[:80]}"
        if reason:
            print(f"| {name} | 0 | {reason} | | | |", flush=True)
            continue
        for p in problems:
            started = time.process_time()
            try:
                weights = way(p)
            except peers.Inexpressible as failure:
                reason = str(failure)
                break
            except Exception:
                weights = None
            seconds.append(time.process_time() - started)
            if weights is None or not np.isfinite(weights).all():
                none += 1
                values.append(float("nan"))
            else:
                values.append(objective(p, weights))
                worst = max(worst, largest_violation(p, weights))
            if sum(seconds) > patience:
                break
        if reason:
            print(f"| {name} | 0 | {reason} | | | |", flush=True)
            continue
        median = statistics.median(seconds)
        if name == "ours":
            ours, median_ours = values, median
        gaps = np.array(values) - np.array(ours[: len(values)])
        gap = gaps[np.nanargmax(np.abs(gaps))] if np.isfinite(gaps).any() else float("nan")
        done = f"{len(values)}" + (f", {none} without weights" if none else "")
        print(f"| {name} | {done} | {median:.4f} | {median / median_ours:.1f} | {gap:+.1e} | {worst:.0e} |", flush=True)


WARM = 300  # stocks
TABLES = ("linear", "neutral", "quadratic")


def chosen(ways: dict[str, Way], words: list[str] | None) -> dict[str, Way]:
    return {name: way for name, way in ways.items() if not words or name == "ours" or any(w in name for w in words)}


def sizes(n: int, options: argparse.Namespace) -> tuple[tuple[int, int], tuple[int, int]]:
    """Stocks and weeks of the problems, and of the one that warms up."""
    return (n, options.weeks), (WARM, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 3000, 5000, 10000])
    parser.add_argument("--weeks", type=int, default=50)
    parser.add_argument("--patience", type=float, default=60.0, help="CPU seconds that one way may use on one table")
    parser.add_argument("--risk", type=float, default=300.0, help="risk aversion of the quadratic; 0 leaves them out")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--ways", nargs="+", metavar="WORD", help="only ways whose names have one of the words")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for n in options.sizes:
        for kind, title in (("linear", "series 72, 0.15 one-way"), ("neutral", "neutral, 0.3 one-way")):
            if kind in options.tables:
                problems, (warm,) = (weeks(size, count, neutral=kind == "neutral") for size, count in sizes(n, options))
                table(f"Linear, {n} stocks, {title}", chosen(LINEAR, options.ways), problems, warm, options.patience)
        if options.risk and "quadratic" in options.tables:
            ways = QUADRATIC if n <= 2000 else {k: v for k, v in QUADRATIC.items() if "dense" not in k}
            problems, (warm,) = (weeks(size, count, risk=options.risk, plain=True) for size, count in sizes(n, options))
            title = f"Quadratic, {n} stocks, risk aversion {options.risk:g}"
            table(title, chosen(ways, options.ways), problems, warm, options.patience)


if __name__ == "__main__":
    main()
