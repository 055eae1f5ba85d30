"""Sensitivity of the objective to each binding limit: by its shadow price, and by solving again."""

import pandas as pd

from mg_portfolio.optimization.optimize import optimize
from mg_portfolio.optimization.problem import EnhancementProblem, with_limit_offset
from mg_portfolio.optimization.shadow_prices import STEPS, annual_basis_points
from mg_portfolio.optimization.solution import EnhancementSolution


def shadow_price_table(
    problem: EnhancementProblem,
    solution: EnhancementSolution,
    return_per_score: float | None = None,
    rebalances_per_year: float = 252 / 5,
) -> pd.DataFrame:
    """Tabulate what a usual step of each binding limit would earn, by its shadow price and by solving again.

    Parameters
    ----------
    problem : EnhancementProblem
        One rebalance.
    solution : EnhancementSolution
        Its solution.
    return_per_score : float, optional
        Adds the basis points a year; see :func:`mg_portfolio.return_per_score`.
    rebalances_per_year : float
        252 trading days over the days between rebalances.

    Returns
    -------
    DataFrame
        Largest gain first, columns ``constraint``, ``price`` (score per unit of the limit), ``step`` (a usual move
        of it),
        ``at_price`` (their product) and ``gained`` (score found by solving with the limit moved by the step, NaN for
        the budget), and with a regression slope ``basis_points_a_year`` of what is gained.

    Notes
    -----
    A price is a slope, and where the optimum is degenerate (industries sum to the budget) one of several: the objective
    is concave in each limit, so what is gained is not more than ``at_price``. One limit is an exception. Tradability
    wins over the band, so a stock that may not be bought and lies below its band stays where it is, and may be sold
    once a wider band reaches it; likewise one that may not be sold, above its band, and buying. At such a stock the
    room for trading does not grow with the band until the two meet, then it does: ``stock_limit`` can gain more than
    its price says. Where limits had to be relaxed, the least relaxation comes before the score: widening another
    limit may shorten it and cost score, and ``gained`` be below zero. Trust ``gained``.
    """
    lines = []
    for name, price in solution.shadow_prices.items():
        step = STEPS[name.split("[")[0]]
        gained = float("nan")
        if name != "budget":
            gained = optimize(with_limit_offset(problem, name, step)).objective - solution.objective
        lines.append((name, price, step, price * step, gained))
    frame = pd.DataFrame(lines, columns=["constraint", "price", "step", "at_price", "gained"])
    if return_per_score is not None:
        scale = annual_basis_points({"one": 1.0}, return_per_score, rebalances_per_year)["one"]
        frame["basis_points_a_year"] = frame["gained"] * scale
    return frame.sort_values(["gained", "at_price"], ascending=False, ignore_index=True)
