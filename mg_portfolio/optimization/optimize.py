"""One rebalance, start to finish.

1. WeightBounds and rows of the problem (:mod:`mg_portfolio.optimization.constraints`); budget, band and
   tradability must have room at all (:func:`mg_portfolio.optimization.relaxation.hard_infeasibility`).
2. The linear problem by sifted simplex (:mod:`mg_portfolio.optimization.linear`). Where it is infeasible: least
   relaxation, then the best score within it, or
   :class:`~mg_portfolio.errors.InfeasibleError` if no relaxation is allowed.
3. With a risk aversion, the quadratic problem under the limits that step 2 found feasible
   (:mod:`mg_portfolio.optimization.quadratic`).
4. Every constraint recomputed on the weights that go out; a violation above 1e-6 sends the problem to the next solver.
5. Shadow prices from the multipliers of the (linearised) problem.
"""

from dataclasses import replace
from typing import Literal

from mg_portfolio.errors import InfeasibleError, ProblemError, SolverError
from mg_portfolio.optimization.constraints import (
    ACCEPTED_VIOLATION,
    ConstraintRows,
    WeightBounds,
    constraint_rows,
    largest_violation,
    objective,
    weight_bounds,
)
from mg_portfolio.optimization.infeasibility import diagnose
from mg_portfolio.optimization.linear import LADDER, SLACK_DUST, HighsFailedError, LinearResult, Sifter
from mg_portfolio.optimization.problem import EnhancementProblem
from mg_portfolio.optimization.relaxation import (
    hard_infeasibility,
    infeasibility_message,
    relaxed_amounts,
    relaxed_text,
    weighted_slack,
)
from mg_portfolio.optimization.shadow_prices import shadow_prices
from mg_portfolio.optimization.solution import Attempt, EnhancementSolution


def optimize(
    problem: EnhancementProblem,
    allow_relaxation: bool = True,
    relaxation: Literal["weighted", "ordered"] = "weighted",
) -> EnhancementSolution:
    """Solve one rebalance and check the answer.

    Parameters
    ----------
    problem : EnhancementProblem
        Scores, weights, limits and tradability of one rebalance.
    allow_relaxation : bool
        Where no weights satisfy every limit: move limits as little as possible (penalties: turnover 1, styles 1e2,
        size and valuation 1e3, industries and members 1e4; budget, band and tradability never) and record it in
        ``relaxed``; else raise. The least relaxation is frozen first; the score is maximised within it.
    relaxation : "weighted" or "ordered"
        Whether the penalties are summed, or taken as a strict order in which the limits with the largest penalty move
        least and the others as far as that needs.

    Returns
    -------
    EnhancementSolution
        Status "optimal", "relaxed", or "infeasible" (budget, band and tradability exclude one another; weights
        are then the holdings, unchanged). From an all-cash start every fully invested portfolio has a one-way turnover
        of 0.5, so a turnover limit below that is always relaxed there.

    Raises
    ------
    ProblemError
        ``relaxation`` is neither of the two.
    InfeasibleError
        Relaxation was not allowed and would be needed; names the constraints that exclude one another and the smallest
        relaxation, and carries the :class:`~mg_portfolio.InfeasibilityReport`.
    SolverError
        No solver's weights passed the check of every constraint.
    """
    if relaxation not in ("weighted", "ordered"):
        raise ProblemError(f"relaxation was {relaxation!r}, expected 'weighted' or 'ordered'")
    b, r = weight_bounds(problem), constraint_rows(problem)
    hard = hard_infeasibility(problem, b)
    if hard is not None:
        message, names, needed = hard
        if not allow_relaxation:
            raise InfeasibleError(message, names, needed, diagnose(problem))
        return EnhancementSolution(
            weights=problem.holdings.copy(),
            objective=objective(problem, problem.holdings),
            status="infeasible",
            largest_violation=largest_violation(problem, problem.holdings),
            solver="none",
            message=message,
            symbols=problem.symbols,
        )
    attempts: list[Attempt] = []
    linear, relaxed = _linear(problem, r, b, allow_relaxation, relaxation == "ordered", attempts)
    weights, solver = linear.weights, "highs"
    if problem.risk_aversion > 0.0:
        from mg_portfolio.optimization import (
            quadratic,  # cvxpy takes a second to import, and linear problems do not need it
        )

        moved = _relaxed_rows(r, linear) if relaxed else r
        weights, solver, linear = quadratic.solve(problem, moved, b, weights, relaxed, attempts)
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
        message=_relaxation_message(relaxed),
        symbols=problem.symbols,
    )


def _linear(
    p: EnhancementProblem,
    r: ConstraintRows,
    b: WeightBounds,
    allow_relaxation: bool,
    ordered: bool,
    attempts: list[Attempt],
) -> tuple[LinearResult, dict[str, float]]:
    """Best score and the relaxation it needed; climbs the ladder until the check passes."""
    reasons = []
    for settings in LADDER:
        try:
            sifter = Sifter(r, b, p.holdings, p.score, p.cost, attempts=attempts, **settings)
            relaxed: dict[str, float] = {}
            total = 0.0
            if not sifter.solve():
                totals = sifter.relax(ordered)
                if totals is None:
                    raise HighsFailedError("HiGHS called the problem with slack on every soft row infeasible")
                total = sum(totals)
                if total > SLACK_DUST:
                    relaxed = relaxed_amounts(p, sifter.result().weights)
                    if relaxed and not allow_relaxation:
                        found = diagnose(p)
                        raise InfeasibleError(
                            infeasibility_message(relaxed, found.constraints), found.constraints, relaxed, found
                        )
                sifter.freeze(totals)
                if not sifter.solve("optimise relaxed"):
                    raise HighsFailedError("HiGHS lost the feasible point it had")
        except HighsFailedError as failure:
            reasons.append(str(failure))
            continue
        result = sifter.result()
        if relaxed:
            relaxed = relaxed_amounts(p, result.weights)
        worst = max(largest_violation(p, result.weights, relaxed), weighted_slack(r, relaxed) - total)
        attempts[-1] = replace(attempts[-1], largest_violation=worst)
        if worst <= ACCEPTED_VIOLATION:
            return result, relaxed
        reasons.append(f"weights broke a constraint by {worst:.2g}")
    raise SolverError(f"no setting of HiGHS gave weights that pass the check: {'; '.join(reasons)}")


def _relaxed_rows(r: ConstraintRows, linear: LinearResult) -> ConstraintRows:
    """The rows with the limits moved by the slack that the linear problem used."""
    return replace(
        r, lower=r.lower - linear.slack, upper=r.upper + linear.slack, turnover=r.turnover + linear.turnover_slack
    )


def _relaxation_message(relaxed: dict[str, float]) -> str:
    if not relaxed:
        return ""
    return "no weights satisfied every limit; moved " + relaxed_text(relaxed)
