"""One rebalance, start to finish.

1. Bounds and rows of the problem (:mod:`mg_portfolio.constraints`); budget, band and tradability must have room at all
   (:func:`mg_portfolio.relaxation.hard_clash`).
2. The linear problem by sifted simplex (:mod:`mg_portfolio.linear`). Where it is infeasible: least relaxation, then
   the best score within it, or :class:`~mg_portfolio.errors.InfeasibleError` if no relaxation is allowed.
3. With a risk aversion, the quadratic problem under the limits that step 2 found feasible
   (:mod:`mg_portfolio.quadratic`).
4. Every constraint recomputed on the weights that go out; a violation above 1e-6 sends the problem to the next solver.
5. Shadow prices from the multipliers of the (linearised) problem.
"""

from typing import Any

import numpy as np

from mg_portfolio.constraints import (
    ACCEPTED_VIOLATION,
    Bounds,
    Rows,
    bounds,
    gradient,
    largest_violation,
    objective,
    rows,
)
from mg_portfolio.errors import InfeasibleError, SolverError
from mg_portfolio.linear import SLACK_DUST, HighsFailedError, LinearResult, Sifter
from mg_portfolio.problem import Attempt, EnhancementProblem, EnhancementSolution
from mg_portfolio.relaxation import NOTED, clashing, describe, hard_clash, relaxed_amounts, weighted

LADDER: tuple[dict[str, Any], ...] = (
    {},
    {"first_share": 1.0},
    {"first_share": 1.0, "presolve": True},
)
"""Settings of the linear solver, tried in order until the weights pass the check."""


def optimize(problem: EnhancementProblem, allow_relaxation: bool = True) -> EnhancementSolution:
    """Solve one rebalance and check the answer.

    Parameters
    ----------
    problem : EnhancementProblem
    allow_relaxation : bool
        Where no weights satisfy every limit: move limits as little as possible (penalties: turnover 1, styles 1e2,
        size and valuation 1e3, industries and members 1e4; budget, band and tradability never) and say so in
        ``relaxed``; else raise. The mildest set of moves is frozen first; the score is maximised within it.

    Returns
    -------
    EnhancementSolution
        Status "optimal", "relaxed", or "infeasible" (budget, band and tradability clash by themselves; weights are
        then the holdings, unchanged). From an all-cash start every fully invested portfolio has a one-way turnover of
        0.5, so a turnover limit below that is always relaxed there.

    Raises
    ------
    InfeasibleError
        Relaxation was not allowed and would be needed; names the clash and the smallest change.
    SolverError
        No solver's weights passed the check of every constraint.
    """
    b, r = bounds(problem), rows(problem)
    clash = hard_clash(problem, b)
    if clash is not None:
        message, names, changes = clash
        if not allow_relaxation:
            raise InfeasibleError(message, names, changes)
        return EnhancementSolution(
            weights=problem.holdings.copy(),
            objective=objective(problem, problem.holdings),
            status="infeasible",
            largest_violation=largest_violation(problem, problem.holdings),
            solver="none",
            message=message,
        )
    attempts: list[Attempt] = []
    linear, relaxed = _linear(problem, r, b, problem.score, allow_relaxation, attempts)
    weights, solver = linear.weights, "highs"
    if problem.risk_aversion > 0.0:
        from mg_portfolio import quadratic  # cvxpy takes a second to import, and linear problems do not need it

        loose = _loosened(r, linear, bool(relaxed))
        weights, solver, linear = quadratic.solve(problem, loose, b, weights, relaxed, attempts)
        if relaxed:  # an inexact solver's 1e-8 elsewhere is a violation, not a relaxation
            relaxed = {name: v for name, v in relaxed_amounts(problem, weights).items() if name in relaxed}
    worst = largest_violation(problem, weights, relaxed)
    return EnhancementSolution(
        weights=weights,
        objective=objective(problem, weights),
        status="relaxed" if relaxed else "optimal",
        largest_violation=worst,
        relaxed=relaxed,
        shadow_prices=shadow_prices(problem, r, b, weights, linear, relaxed),
        solver=solver,
        attempts=tuple(attempts),
        message=_said(relaxed),
    )


def _linear(
    p: EnhancementProblem, r: Rows, b: Bounds, gain: np.ndarray, allow_relaxation: bool, attempts: list[Attempt]
) -> tuple[LinearResult, dict[str, float]]:
    """Best weights for a linear gain and the relaxation they needed; climbs the ladder until the check passes."""
    reasons = []
    for settings in LADDER:
        try:
            sifter = Sifter(r, b, p.holdings, gain, p.cost, attempts=attempts, **settings)
            relaxed: dict[str, float] = {}
            total = 0.0
            if not sifter.solve():
                total = sifter.relax()
                if total > SLACK_DUST:
                    least = sifter.result()
                    relaxed = relaxed_amounts(p, least.weights)
                    if relaxed and not allow_relaxation:
                        names = clashing(p, r, b, least)
                        raise InfeasibleError(describe(relaxed, names), names, relaxed)
                sifter.freeze(total)
                if not sifter.solve("optimise relaxed"):
                    raise HighsFailedError("HiGHS lost the feasible point it had")
        except HighsFailedError as failure:
            reasons.append(str(failure))
            continue
        result = sifter.result()
        if relaxed:
            relaxed = relaxed_amounts(p, result.weights)
        worst = max(largest_violation(p, result.weights, relaxed), weighted(r, relaxed) - total)
        attempts[-1] = _with_violation(attempts[-1], worst)
        if worst <= ACCEPTED_VIOLATION:
            return result, relaxed
        reasons.append(f"weights broke a constraint by {worst:.2g}")
    raise SolverError(f"no setting of HiGHS gave weights that pass the check: {'; '.join(reasons)}")


def _with_violation(a: Attempt, worst: float) -> Attempt:
    return Attempt(a.solver, a.stage, a.status, a.seconds, worst, a.gap, a.note)


def _loosened(r: Rows, linear: LinearResult, relaxed: bool) -> Rows:
    """The rows with the limits moved by the slack that the linear problem used."""
    if not relaxed:
        return r
    return Rows(
        r.matrix, r.names, r.lower - linear.slack, r.upper + linear.slack, r.penalty, r.turnover + linear.turnover_slack
    )


def shadow_prices(
    p: EnhancementProblem,
    r: Rows,
    b: Bounds,
    weights: np.ndarray,
    linear: LinearResult,
    relaxed: dict[str, float],
) -> dict[str, float]:
    """Objective gained per unit that each binding limit is loosened.

    A limit that was relaxed has no price: loosening it would shorten the relaxation, not raise the score. The budget's
    price is what one more unit of weight would earn, and may have either sign.
    """
    prices = {
        name: float(dual) if name == "budget" else abs(float(dual))
        for name, dual in zip(r.names, linear.row_dual, strict=True)
        if abs(dual) > NOTED and name not in relaxed
    }
    trade = abs(linear.turnover_dual)
    if trade > NOTED and "turnover" not in relaxed:
        prices["turnover"] = 2.0 * trade  # the row is two-way, the limit one-way
    if p.stock_limit is not None:
        gain = gradient(p, weights) - linear.row_dual @ r.matrix  # (N,) per unit more of each stock
        friction = trade + p.cost
        up = gain - np.where(weights >= p.holdings, friction, -friction)
        down = -gain - np.where(weights <= p.holdings, friction, -friction)
        free = b.upper > b.lower
        at_top = free & (b.upper == b.band_high) & (b.band_high < 1.0) & (weights >= b.upper - NOTED)
        at_bottom = free & (b.lower == b.band_low) & (b.band_low > 0.0) & (weights <= b.lower + NOTED)
        price = float(np.maximum(up, 0.0)[at_top].sum() + np.maximum(down, 0.0)[at_bottom].sum())
        if price > NOTED:
            prices["stock_limit"] = price
    return prices


def annual_basis_points(
    prices: dict[str, float], return_per_score: float, rebalances_per_year: float = 252 / 5
) -> dict[str, float]:
    """Shadow prices as basis points a year per unit of each limit.

    Parameters
    ----------
    prices : dict
        ``EnhancementSolution.shadow_prices``.
    return_per_score : float
        Slope of the regression of next-rebalance returns on the signal (fraction per unit of score).
    rebalances_per_year : float
    """
    return {name: price * return_per_score * rebalances_per_year * 1e4 for name, price in prices.items()}


def _said(relaxed: dict[str, float]) -> str:
    if not relaxed:
        return ""
    return "no weights satisfied every limit; moved " + ", ".join(f"{name} by {v:.4g}" for name, v in relaxed.items())
