"""The quadratic problem: written in cvxpy, solved by OSQP, PIQP or Clarabel, accepted on proof.

With ``x = N w`` (weights near one, so that a solver's absolute tolerance means the same for 300 stocks as for 5,000)
and the factor exposures ``y = L' F' (x - N b)``, ``C = L L'``, the covariance stays in pieces: ``|y|^2 + |sqrt(D) (x
- N b)|^2``.

A solver's status counts for nothing. Weights are accepted when every constraint holds to 1e-6 and the Frank-Wolfe gap
``max over feasible v of grad(w)'(v - w)``, which bounds the objective left on the table, is below 1e-6. The gap is one
linear problem, solved exactly by :mod:`mg_portfolio.linear` in milliseconds; its multipliers are the shadow prices.
HiGHS is never handed the quadratic problem.
"""

import time
import warnings
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np

from mg_portfolio.constraints import (
    ACCEPTED_VIOLATION,
    Bounds,
    Rows,
    gradient,
    largest_violation,
    objective,
)
from mg_portfolio.errors import SolverError
from mg_portfolio.linear import HighsFailedError, LinearResult, Sifter
from mg_portfolio.problem import Attempt, EnhancementProblem

ACCEPTED_GAP = 1e-6
"""Largest objective that accepted weights may leave, relative to the objective where that is above one."""

SOLVERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("OSQP", {"eps_abs": 1e-5, "eps_rel": 1e-5, "polishing": True, "max_iter": 20_000}),
    ("PIQP", {"eps_abs": 1e-9, "eps_rel": 1e-10}),
    ("CLARABEL", {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}),
)
"""Tried in order until one's weights pass."""


@dataclass(frozen=True, eq=False)
class Formulation:
    """The problem in cvxpy and its variable ``x = N w``."""

    problem: cp.Problem
    x: cp.Variable

    def weights(self) -> np.ndarray | None:
        """Weights of the last solve, None where the solver gave none."""
        return None if self.x.value is None else np.asarray(self.x.value, dtype=np.float64) / self.x.size


def formulate(p: EnhancementProblem, r: Rows, b: Bounds) -> Formulation:
    """Write the problem in cvxpy; without a risk aversion it is the linear problem's twin.

    Trading needs one variable per held stock: with ``sell >= w0 - w``, ``sell >= 0`` and the budget,
    ``sum|w - w0| = 2 sum(sell) + (1 - sum w0)``.
    """
    n = p.size
    x = cp.Variable(n, name="x", bounds=[n * b.lower, n * b.upper])
    exposure = r.matrix @ x
    constraints = []
    equal = r.lower == r.upper
    if equal.any():
        constraints.append(exposure[equal] == n * r.lower[equal])
    above = np.isfinite(r.upper) & ~equal
    if above.any():
        constraints.append(exposure[above] <= n * r.upper[above])
    below = np.isfinite(r.lower) & ~equal
    if below.any():
        constraints.append(exposure[below] >= n * r.lower[below])

    gain = p.score @ x
    held = np.flatnonzero((p.holdings > 0.0) & (b.lower < p.holdings))
    trades = np.isfinite(r.turnover) or p.cost > 0.0
    if trades:
        from_cash = n * (1.0 - p.holdings.sum())
        two_way: Any = from_cash
        if len(held):
            sell = cp.Variable(len(held), name="sell", nonneg=True)
            constraints.append(sell >= n * p.holdings[held] - x[held])
            two_way = 2 * cp.sum(sell) + from_cash
        if np.isfinite(r.turnover) and len(held):
            constraints.append(two_way <= n * r.turnover)
        if p.cost > 0.0:
            gain = gain - p.cost * two_way
    if p.risk_aversion > 0.0:
        active = x - n * p.benchmark
        loadings, cov, specific = p.risk_model
        y = cp.Variable(loadings.shape[1], name="y")
        constraints.append(y == (loadings @ _root(cov)).T @ active)
        risk = cp.sum_squares(y) + cp.sum_squares(cp.multiply(np.sqrt(specific), active))
        gain = gain - (0.5 * p.risk_aversion / n) * risk  # x' Sigma x = N^2 w' Sigma w, and the gain carries one N
    return Formulation(cp.Problem(cp.Maximize(gain), constraints), x)


def solve(
    p: EnhancementProblem,
    r: Rows,
    b: Bounds,
    start: np.ndarray,
    relaxed: dict[str, float],
    attempts: list[Attempt],
) -> tuple[np.ndarray, str, LinearResult]:
    """Best weights under a risk aversion.

    Parameters
    ----------
    r : Rows
        Limits that are known to be feasible (already relaxed where they had to be).
    start : (N,) float
        Feasible weights of the linear problem.
    relaxed : dict
        How far the limits in ``r`` were moved from the problem's.

    Returns
    -------
    weights, solver name, LinearResult
        The last is the linear problem at the weights, whose multipliers are the shadow prices.

    Raises
    ------
    SolverError
        No solver's weights passed.
    """
    form = formulate(p, r, b)
    for solver, settings in SOLVERS:
        started = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # "may be inaccurate": the check below decides
                form.problem.solve(solver=solver, **settings)
            status, found = str(form.problem.status), form.weights()
        except cp.error.SolverError as failure:
            status, found = f"failed: {failure}", None
        seconds = time.perf_counter() - started
        if found is None or not np.isfinite(found).all():
            attempts.append(Attempt(solver.lower(), "risk", status, seconds))
            continue
        weights = _tidied(found, b)
        worst = largest_violation(p, weights, relaxed)
        left, linear = optimality_gap(p, r, b, weights)
        attempts.append(Attempt(solver.lower(), "risk", status, seconds, worst, left))
        if (
            linear is not None
            and worst <= ACCEPTED_VIOLATION
            and left <= ACCEPTED_GAP * max(1.0, abs(objective(p, weights)))
        ):
            return weights, solver.lower(), linear
    raise SolverError(
        "no quadratic solver gave weights that pass the check: "
        + "; ".join(
            f"{a.solver} said {a.status!r}, violation {a.largest_violation:.2g}, gap {a.gap:.2g}"
            for a in attempts
            if a.stage == "risk"
        )
        + ". Check the scale of risk_aversion and of the covariance"
    )


def optimality_gap(p: EnhancementProblem, r: Rows, b: Bounds, weights: np.ndarray) -> tuple[float, LinearResult | None]:
    """Bound the objective left at ``weights`` by the best linear step from it (Frank-Wolfe gap); infinite if unknown.

    The objective is concave, so ``f(v) - f(w) <= grad'(v - w) - cost (|v - w0| - |w - w0|)`` for every feasible ``v``.
    """
    slope = gradient(p, weights)
    try:
        sifter = Sifter(r, b, p.holdings, slope, p.cost)
        if not sifter.solve():
            sifter.freeze(sifter.relax())
            if not sifter.solve():
                return float("inf"), None
    except HighsFailedError:
        return float("inf"), None
    best = sifter.result()
    traded = np.abs(best.weights - p.holdings).sum() - np.abs(weights - p.holdings).sum()
    return float(slope @ (best.weights - weights) - p.cost * traded), best


def _root(covariance: np.ndarray) -> np.ndarray:
    """``L`` with ``L L' = C`` for a positive semidefinite C; rounding below zero is cut."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _tidied(w: np.ndarray, b: Bounds) -> np.ndarray:
    """Weights inside their bounds, the budget's residue (a first-order solver's 1e-9) spread over the room left."""
    w = np.clip(w, b.lower, b.upper)
    missing = 1.0 - w.sum()
    room = b.upper - w if missing > 0.0 else w - b.lower
    total = room.sum()
    return w if total <= 0.0 else w + missing * room / total
