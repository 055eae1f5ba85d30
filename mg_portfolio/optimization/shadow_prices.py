"""Shadow prices (dual values): what each binding limit costs, in score and in basis points a year."""

from collections.abc import Mapping

import numpy as np

from mg_axes import PANEL, aligned
from mg_portfolio.errors import ProblemError
from mg_portfolio.optimization.constraints import ConstraintRows, WeightBounds, gradient
from mg_portfolio.optimization.linear import LinearResult
from mg_portfolio.optimization.problem import EnhancementProblem
from mg_portfolio.optimization.relaxation import ROUNDING

STEPS = {"turnover": 0.01, "members": 0.01, "industry": 0.01, "stock_limit": 0.001, "style": 0.1, "budget": 0.01}
"""A usual move of each kind of limit: 1% of weight, 0.1% of the stock band, a tenth of a standard deviation."""


def shadow_prices(
    p: EnhancementProblem,
    r: ConstraintRows,
    b: WeightBounds,
    weights: np.ndarray,
    linear: LinearResult,
    relaxed: Mapping[str, float],
) -> dict[str, float]:
    """Objective gained per unit that each binding limit is widened.

    A limit that was relaxed has none: widening it would shorten the relaxation, not raise the score. The budget's is
    what one more unit of weight would earn, and may have either sign.

    Parameters
    ----------
    p : EnhancementProblem
        Of N stocks.
    r : ConstraintRows
        Its rows.
    b : WeightBounds
        Its bounds.
    weights : (N,) float
        The solution's.
    linear : LinearResult
        Multipliers at the weights.
    relaxed : mapping of str to float
        Limits that were relaxed.

    Returns
    -------
    dict
        Constraint name -> objective per unit of its limit.
    """
    prices = {
        name: float(dual) if name == "budget" else abs(float(dual))
        for name, dual in zip(r.names, linear.row_dual, strict=True)
        if abs(dual) > ROUNDING and name not in relaxed
    }
    trade = abs(linear.turnover_dual)
    if trade > ROUNDING and "turnover" not in relaxed:
        prices["turnover"] = 2.0 * trade  # the row is two-way, the limit one-way
    if p.stock_limit is not None:
        gain = gradient(p, weights) - linear.row_dual @ r.matrix  # (N,) per unit more of each stock
        friction = trade + p.cost
        up = gain - np.where(weights >= p.holdings, friction, -friction)
        down = -gain - np.where(weights <= p.holdings, friction, -friction)
        free = b.upper > b.lower
        at_top = free & (b.upper == b.band_high) & (b.band_high < 1.0) & (weights >= b.upper - ROUNDING)
        at_bottom = free & (b.lower == b.band_low) & (b.band_low > 0.0) & (weights <= b.lower + ROUNDING)
        price = float(np.maximum(up, 0.0)[at_top].sum() + np.maximum(down, 0.0)[at_bottom].sum())
        if price > ROUNDING:
            prices["stock_limit"] = price
    return prices


def annual_basis_points(
    shadow_prices: Mapping[str, float], return_per_score: float, rebalances_per_year: float = 252 / 5
) -> dict[str, float]:
    """Shadow prices as basis points a year per unit of each limit.

    Parameters
    ----------
    shadow_prices : dict
        ``EnhancementSolution.shadow_prices``, score per unit of each limit.
    return_per_score : float
        Slope of the regression of next-rebalance returns on the signal (fraction per unit of score), see
        :func:`return_per_score`.
    rebalances_per_year : float
        252 trading days over the days between rebalances.

    Returns
    -------
    dict
        Constraint name -> basis points a year per unit of its limit.
    """
    return {name: price * return_per_score * rebalances_per_year * 1e4 for name, price in shadow_prices.items()}


@aligned(ProblemError, by=("returns",), scores=PANEL, returns=PANEL)
def return_per_score(scores: np.ndarray, returns: np.ndarray, min_stocks: int = 30) -> tuple[float, float]:
    """Regress returns to the next rebalance on scores: mean cross-sectional slope, and its t-statistic.

    Parameters
    ----------
    scores, returns : (T, S) float, or labelled
        Labelled scores (:mod:`mg_axes`) are aligned on the dates and symbols of the returns. Signal at each decision,
        and the return from its trade to the next one's; NaN leaves a stock out.
    min_stocks : int
        Decisions with fewer stocks are left out.

    Returns
    -------
    slope : float
        Return per unit of score, after Fama and MacBeth (1973); NaN where no decision has enough stocks.
    t_statistic : float
        Of the slope; NaN with a single decision.

    Raises
    ------
    ProblemError
        Shapes differ.
    """
    x, y = np.atleast_2d(np.asarray(scores, dtype=np.float64)), np.atleast_2d(np.asarray(returns, dtype=np.float64))
    if x.shape != y.shape:
        raise ProblemError(f"shapes differed: scores {x.shape}, returns {y.shape}")
    both = np.isfinite(x) & np.isfinite(y)
    count = both.sum(axis=1)
    used = count >= min_stocks
    x, y, both, count = x[used], y[used], both[used], count[used, None]
    x, y = np.where(both, x, 0.0), np.where(both, y, 0.0)
    dx = np.where(both, x - x.sum(axis=1, keepdims=True) / count, 0.0)
    dy = np.where(both, y - y.sum(axis=1, keepdims=True) / count, 0.0)
    spread = (dx**2).sum(axis=1)
    slope = (dx * dy).sum(axis=1)[spread > 0.0] / spread[spread > 0.0]
    if not len(slope):
        return float("nan"), float("nan")
    error = float(slope.std(ddof=1) / np.sqrt(len(slope))) if len(slope) > 1 else float("nan")
    return float(slope.mean()), float(slope.mean() / error) if error > 0.0 else float("nan")
