"""The quadratic problem: written in cvxpy, solved by PIQP, Clarabel or OSQP, accepted on proof.

With ``x = N w`` (weights near one, so that a solver's tolerance means the same for 300 stocks as for 5,000) and the
factor exposures ``y = L' F' (x - N b)``, ``C = L L'``, the covariance stays in pieces:
``|y|^2 + |sqrt(D) (x - N b)|^2``.

A solver's status is not trusted. Weights are accepted when every constraint holds to 1e-6 and the Frank-Wolfe gap
``max over feasible v of grad(w)'(v - w)``, which bounds the objective left on the table, is below 1e-6 of the largest
score. The gap is one linear problem, solved exactly by :mod:`mg_portfolio.optimization.linear` in milliseconds; its
multipliers are the shadow prices. HiGHS is never handed the quadratic problem.

Only stocks that can matter enter at first (:func:`_first_pool`); where a stock left out would pay, it enters and the
problem is solved again. The gap is always over all stocks.
"""

import time
import warnings
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np

from mg_portfolio.errors import SolverError
from mg_portfolio.optimization.constraints import (
    ACCEPTED_VIOLATION,
    ConstraintRows,
    WeightBounds,
    gradient,
    largest_violation,
    objective,
)
from mg_portfolio.optimization.linear import FIRST_SHARE, LADDER, HighsFailedError, LinearResult, Sifter
from mg_portfolio.optimization.problem import EnhancementProblem
from mg_portfolio.optimization.solution import Attempt

ACCEPTED_GAP = 1e-6
"""Largest objective that accepted weights may leave, relative to the largest score or to the objective."""

OSQP_WORK = 1.5e6
"""Iterations times stocks after which OSQP has lost: where many constraints bind at once its polishing fails. Where it
polishes, it is exact to 1e-15 well before."""

MAX_ROUNDS = 6
"""How often a solver may be given more stocks before the next one is tried."""

SOLVERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("PIQP", {"eps_abs": 1e-9, "eps_rel": 1e-10}),
    ("CLARABEL", {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}),
    ("OSQP", {"eps_abs": 1e-5, "eps_rel": 1e-5, "polishing": True}),
)
"""Tried in order until one's weights pass; a solver that is not installed is one more failed attempt. The order is by
measured time: of 1,000 stocks PIQP takes a third of OSQP's and half of Clarabel's (``benchmarks/optimizer.py``)."""


@dataclass(frozen=True, eq=False)
class Formulation:
    """The problem in cvxpy over the stocks that can move; variable ``x = N w``, value ``N objective / unit``."""

    problem: cp.Problem
    x: cp.Variable
    free: np.ndarray  # (N,) bool: stocks with room between their bounds
    fixed: np.ndarray  # (N,) float: weights of the others, 0 for the free
    unit: float  # the largest score, so that solvers' tolerances mean the same for z-scores and for returns

    def weights(self) -> np.ndarray | None:
        """Weights of the last solve, None where the solver gave none."""
        if self.x.value is None:
            return None
        w = self.fixed.copy()
        w[self.free] = np.asarray(self.x.value, dtype=np.float64) / len(self.fixed)
        return w


def formulate(p: EnhancementProblem, r: ConstraintRows, b: WeightBounds) -> Formulation:
    """Write the problem in cvxpy; without a risk aversion it is the linear problem's twin.

    Trading needs one variable per held stock: with ``sell >= w0 - w``, ``sell >= 0`` and the budget,
    ``sum|w - w0| = 2 sum(sell) + (1 - sum w0)``. Stocks without room between their bounds are constants.

    Parameters
    ----------
    p : EnhancementProblem
        Of N stocks.
    r : ConstraintRows
        Its rows.
    b : WeightBounds
        Its bounds.

    Returns
    -------
    Formulation
        The cvxpy problem and its variable.
    """
    n = p.size
    free = b.upper > b.lower
    if not free.any():
        free = np.ones(n, dtype=bool)  # a solver needs a variable, if only one that cannot move
    fixed = np.where(free, 0.0, b.lower)
    x = cp.Variable(int(free.sum()), name="x", bounds=[n * b.lower[free], n * b.upper[free]])
    exposure = r.matrix[:, free] @ x
    lower, upper = n * (r.lower - r.by_row @ fixed), n * (r.upper - r.by_row @ fixed)
    constraints = []
    equal = r.lower == r.upper
    above, below = np.isfinite(r.upper) & ~equal, np.isfinite(r.lower) & ~equal
    if equal.any():
        constraints.append(exposure[equal] == lower[equal])
    if above.any():
        constraints.append(exposure[above] <= upper[above])
    if below.any():
        constraints.append(exposure[below] >= lower[below])

    gain = p.score[free] @ x + n * float(p.score @ fixed)
    if np.isfinite(r.turnover) or p.cost > 0.0:
        sold = n * float(np.maximum(p.holdings - fixed, 0.0)[~free].sum())
        two_way: Any = 2.0 * sold + n * (1.0 - float(p.holdings.sum()))
        column = np.cumsum(free) - 1
        held = np.flatnonzero(free & (b.lower < p.holdings))
        if len(held):
            sell = cp.Variable(len(held), name="sell", nonneg=True)
            constraints.append(sell >= n * p.holdings[held] - x[column[held]])
            two_way = 2 * cp.sum(sell) + two_way
            if np.isfinite(r.turnover):
                constraints.append(two_way <= n * r.turnover)
        if p.cost > 0.0:
            gain = gain - p.cost * two_way
    if p.risk_aversion > 0.0:
        loadings, cov, specific = p.risk_model
        root = loadings @ _root(cov)  # (N, F)
        y = cp.Variable(root.shape[1], name="y")
        constraints.append(y == root[free].T @ x + n * ((fixed - p.benchmark) @ root))
        own = cp.multiply(np.sqrt(specific[free]), x - n * p.benchmark[free])
        still = float(specific[~free] @ (n * (fixed - p.benchmark)[~free]) ** 2)
        # x' Sigma x = N^2 w' Sigma w, and the gain carries one N
        gain = gain - (0.5 * p.risk_aversion / n) * (cp.sum_squares(y) + cp.sum_squares(own) + still)
    unit = objective_unit(p)
    return Formulation(cp.Problem(cp.Maximize(gain / unit), constraints), x, free, fixed, unit)


def objective_unit(p: EnhancementProblem) -> float:
    """Size of the objective's slopes: the largest score, or without scores the largest slope at the holdings."""
    return float(np.abs(p.score).max()) or float(np.abs(gradient(p, p.holdings)).max()) or 1.0


def solve(
    p: EnhancementProblem,
    r: ConstraintRows,
    b: WeightBounds,
    start: np.ndarray,
    relaxed: dict[str, float],
    attempts: list[Attempt],
) -> tuple[np.ndarray, str, LinearResult]:
    """Best weights under a risk aversion.

    Parameters
    ----------
    p : EnhancementProblem
        With a risk model.
    r : ConstraintRows
        Limits found feasible (already relaxed where they had to be).
    b : WeightBounds
        Of the problem.
    start : (N,) float
        Feasible weights of the linear problem.
    relaxed : dict
        How far the limits in ``r`` were moved from the problem's.
    attempts : list of Attempt
        Every solver call is appended.

    Returns
    -------
    weights, solver name, LinearResult
        The last is the linear problem at the weights, whose multipliers are the shadow prices.

    Raises
    ------
    SolverError
        No solver's weights passed.
    """
    pool = _first_pool(p, b, start)
    for solver, settings in SOLVERS:
        for _ in range(MAX_ROUNDS):
            inside = WeightBounds(b.lower, np.where(pool, b.upper, b.lower), b.band_low, b.band_high)
            started = time.perf_counter()
            limit = {"max_iter": int(np.clip(OSQP_WORK / pool.sum(), 1_000, 20_000))} if solver == "OSQP" else {}
            status, found = _call(formulate(p, r, inside), solver, settings | limit)
            seconds = time.perf_counter() - started
            if found is None:
                attempts.append(Attempt(solver.lower(), "risk", status, seconds, note=f"{pool.sum()} stocks"))
                break
            weights = _tidied(found, inside)
            worst = largest_violation(p, weights, relaxed)
            left, linear = optimality_gap(p, r, b, weights)
            attempts.append(Attempt(solver.lower(), "risk", status, seconds, worst, left, f"{pool.sum()} stocks"))
            small = ACCEPTED_GAP * max(objective_unit(p), abs(objective(p, weights)))
            if linear is not None and worst <= ACCEPTED_VIOLATION and abs(left) <= small:
                return weights, solver.lower(), linear
            if worst > ACCEPTED_VIOLATION:
                break
            entering = _wanted(p, r, inside, weights) & ~pool
            if not entering.any():
                break  # more stocks would not help: this solver is not exact enough here
            pool |= entering
    raise SolverError(
        "no quadratic solver gave weights that pass the check: "
        + "; ".join(
            f"{a.solver} ended with {a.status!r}, violation {a.largest_violation:.2g}, gap {a.gap:.2g}"
            for a in attempts
            if a.stage == "risk"
        )
        + ". Check the scale of risk_aversion and of the covariance"
    )


def _call(form: Formulation, solver: str, settings: dict[str, Any]) -> tuple[str, np.ndarray | None]:
    """One cvxpy solve: its status, and weights where there are any."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "may be inaccurate": the caller checks
            form.problem.solve(solver=solver, **settings)
    except cp.error.SolverError as failure:
        return f"failed: {failure}", None
    found = form.weights()
    usable = found is not None and bool(np.isfinite(found).all())
    return str(form.problem.status), found if usable else None


def _first_pool(p: EnhancementProblem, b: WeightBounds, start: np.ndarray) -> np.ndarray:
    """Stocks that may move at first: held, in the benchmark, bought by the linear problem, or among the best scores."""
    pool = (p.holdings > 0.0) | (p.benchmark > 0.0) | (start > 0.0) | (b.lower > 0.0)
    rest = np.flatnonzero(~pool & (b.upper > b.lower))
    best = rest[np.argsort(-p.score[rest], kind="stable")[: int(np.ceil(FIRST_SHARE * len(rest)))]]
    pool[best] = True
    return pool


def _wanted(p: EnhancementProblem, r: ConstraintRows, inside: WeightBounds, weights: np.ndarray) -> np.ndarray:
    """Stocks whose purchase would pay at the multipliers of the problem without them; (N,) bool."""
    slope = gradient(p, weights)
    linear = _linearised(p, r, inside, slope)
    if linear is None:
        return np.zeros(p.size, dtype=bool)
    earned = slope - linear.row_dual @ r.matrix - linear.turnover_dual - p.cost
    return earned > ACCEPTED_GAP * objective_unit(p)


def _linearised(p: EnhancementProblem, r: ConstraintRows, b: WeightBounds, slope: np.ndarray) -> LinearResult | None:
    """Answer of the linear problem with this gain, None where HiGHS has none."""
    for settings in LADDER:
        try:
            sifter = Sifter(r, b, p.holdings, slope, p.cost, **settings)
            if sifter.solve():
                return sifter.result()
            totals = sifter.relax()
            if totals is None:
                continue
            sifter.freeze(totals)
            if sifter.solve():
                return sifter.result()
        except HighsFailedError:
            continue
    return None


def optimality_gap(
    p: EnhancementProblem, r: ConstraintRows, b: WeightBounds, weights: np.ndarray
) -> tuple[float, LinearResult | None]:
    """Bound the objective left at ``weights`` by the best linear step from it (Frank-Wolfe gap).

    The objective is concave, so ``f(v) - f(w) <= grad'(v - w) - cost (|v - w0| - |w - w0|)`` for every feasible ``v``.

    Parameters
    ----------
    p : EnhancementProblem
        Of N stocks.
    r : ConstraintRows
        Its rows.
    b : WeightBounds
        Its bounds.
    weights : (N,) float
        Feasible weights.

    Returns
    -------
    gap : float
        In units of the objective; infinite if unknown.
    linear : LinearResult or None
        The linear problem at the weights.
    """
    slope = gradient(p, weights)
    best = _linearised(p, r, b, slope)
    if best is None:
        return float("inf"), None
    traded = np.abs(best.weights - p.holdings).sum() - np.abs(weights - p.holdings).sum()
    return float(slope @ (best.weights - weights) - p.cost * traded), best


def _root(covariance: np.ndarray) -> np.ndarray:
    """``L`` with ``L L' = C`` for a positive semidefinite C; rounding below zero is cut."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _tidied(w: np.ndarray, b: WeightBounds) -> np.ndarray:
    """Weights inside their bounds, the budget's residue (a first-order solver's 1e-9) spread over the room left."""
    w = np.clip(w, b.lower, b.upper)
    missing = 1.0 - w.sum()
    room = b.upper - w if missing > 0.0 else w - b.lower
    total = room.sum()
    return w if total <= 0.0 else w + missing * room / total
