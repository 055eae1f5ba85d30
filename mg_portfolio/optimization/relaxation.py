"""Infeasible problems in short: what no relaxation resolves, relaxed amounts and messages.

The whole report is :mod:`mg_portfolio.optimization.infeasibility`.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mg_portfolio.optimization.constraints import ConstraintRows, WeightBounds, violations, weight_bounds
from mg_portfolio.optimization.problem import EnhancementProblem

ROUNDING = 1e-9
"""Violations and multipliers below this are rounding."""


def hard_infeasibility(p: EnhancementProblem, b: WeightBounds) -> tuple[str, tuple[str, ...], dict[str, float]] | None:
    """Check whether budget, band and tradability alone exclude any weights.

    They do when the stocks' upper ends sum to less than one or their lower ends to more; all else can be relaxed.

    Parameters
    ----------
    p : EnhancementProblem
        Of N stocks.
    b : WeightBounds
        Its bounds.

    Returns
    -------
    (message, constraint names, relaxation) or None
        The relaxation is the smallest ``stock_limit`` increase that makes room, empty where no band is wide enough.
    """
    reach = float(b.upper.sum())
    least = float(b.lower.sum())
    if reach >= 1.0 - ROUNDING and least <= 1.0 + ROUNDING:
        return None
    names = ["budget"]
    if p.stock_limit is not None:
        names.append("stock_limit")
    for name in ("suspended", "limit_up", "limit_down"):
        flags = getattr(p, name)
        if flags is not None and flags.any():
            names.append(name)
    counts = ", ".join(f"{int(getattr(p, n).sum())} {n}" for n in names if n in ("suspended", "limit_up", "limit_down"))
    shortage = (
        f"the stocks' upper bounds sum to {reach:.6g}, below 1"
        if reach < 1.0
        else f"the stocks' lower bounds sum to {least:.6g}, above 1"
    )
    extra = _band_that_fits(p, buying=reach < 1.0)
    remedy = (
        "no stock band is wide enough: fewer stocks may be locked, or part of the portfolio stays in cash"
        if extra is None or p.stock_limit is None
        else f"stock_limit would have to be at least {p.stock_limit + extra:.6g}"
    )
    message = f"budget, band and tradability exclude one another ({counts or 'no stock locked'}): {shortage}; {remedy}"
    return message, tuple(names), {} if extra is None else {"stock_limit": extra}


def _band_that_fits(p: EnhancementProblem, buying: bool) -> float | None:
    """Smallest widening of the stock band that lets the bounds meet the budget; None where none does."""
    if p.stock_limit is None:
        return None
    width = p.stock_limit

    def fits(extra: float) -> bool:
        wider = weight_bounds(replace(p, stock_limit=width + extra))
        return bool(wider.upper.sum() >= 1.0 if buying else wider.lower.sum() <= 1.0)

    low, high = 0.0, 1.0
    if not fits(high):
        return None
    for _ in range(60):  # bounds do not narrow as the band widens: bisection to rounding
        middle = 0.5 * (low + high)
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def relaxed_amounts(p: EnhancementProblem, weights: np.ndarray) -> dict[str, float]:
    """How far the soft limits had to move for these weights: name -> amount, rounding left out."""
    hard = ("budget", "long_only", "stock_limit", "suspended", "limit_up", "limit_down")
    return {name: v for name, v in violations(p, weights).items() if name not in hard and v > ROUNDING}


def relaxed_text(relaxed: Mapping[str, float]) -> str:
    """Relaxed limits and by how much, as ``turnover by 0.02, industry[Banks] by 0.00006826``."""
    shown = {n: np.format_float_positional(v, 4, fractional=False, trim="-") for n, v in relaxed.items()}
    return ", ".join(f"{name} by {amount}" for name, amount in shown.items())


def weighted_slack(r: ConstraintRows, amounts: Mapping[str, float]) -> float:
    """Sum of the amounts under the penalties of the least relaxation."""
    penalty = dict(zip(r.names, r.penalty.tolist(), strict=True)) | {"turnover": r.turnover_penalty}
    return float(sum(penalty[name] * amount for name, amount in amounts.items()))


def infeasibility_message(relaxation: Mapping[str, float], names: tuple[str, ...]) -> str:
    """One sentence naming the constraints that exclude one another and the smallest relaxation."""
    moves = relaxed_text(dict(sorted(relaxation.items(), key=lambda kv: -kv[1])))
    return f"no weights satisfy {', '.join(names)} together; the smallest relaxation that would: {moves}"
