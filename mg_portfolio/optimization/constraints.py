"""The problem's constraints as arrays: bounds per stock, one stacked sparse block of rows, and the check of weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from mg_portfolio.errors import ProblemError
from mg_portfolio.optimization.problem import EnhancementProblem

ACCEPTED_VIOLATION = 1e-6
"""Weights that break a constraint by more are never returned as optimal or relaxed."""

TURNOVER_PENALTY = 1.0
HEAVY_PENALTY = 1e4  # industries and members; styles carry their own in style_priority


@dataclass(frozen=True, eq=False)
class WeightBounds:
    """Each stock's range after band and tradability.

    Attributes
    ----------
    lower, upper : (N,) float
        ``lower <= w <= upper``, never crossed: tradability has already won over the band.
    band_low, band_high : (N,) float
        The stock band alone, within [0, 1].
    """

    lower: np.ndarray
    upper: np.ndarray
    band_low: np.ndarray
    band_high: np.ndarray


@dataclass(frozen=True, eq=False)
class ConstraintRows:
    """Linear rows ``lower <= matrix @ w <= upper``; the first is the budget.

    Attributes
    ----------
    matrix : (M, N) csc
        Budget, members, industries, styles.
    names : tuple of M str
    lower, upper : (M,) float
        Limits on ``matrix @ w``, the benchmark's exposure included.
    penalty : (M,) float
        Cost of a unit of slack in the least relaxation; infinite for the budget.
    turnover : float
        Limit on ``sum|w - holdings|`` (two-way), infinite where there is none.
    turnover_penalty : float
        Cost of a unit of one-way turnover beyond its limit in the least relaxation; infinite where it may not give way.
    """

    matrix: sp.csc_array
    names: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray
    penalty: np.ndarray
    turnover: float
    turnover_penalty: float = TURNOVER_PENALTY

    @cached_property
    def by_row(self) -> sp.csr_array:
        """The same matrix stored by rows, for products with weights."""
        return self.matrix.tocsr()


def weight_bounds(p: EnhancementProblem) -> WeightBounds:
    """Range of each stock's weight: the band within [0, 1], then tradability, which wins.

    Parameters
    ----------
    p : EnhancementProblem
        Of N stocks.

    Returns
    -------
    WeightBounds
        Never crossed.
    """
    w0 = p.holdings
    band_low = np.zeros(p.size)
    band_high = np.ones(p.size)
    if p.stock_limit is not None:
        band_low = np.maximum(p.benchmark - p.stock_limit, 0.0)
        band_high = np.minimum(p.benchmark + p.stock_limit, 1.0)
    lower, upper = band_low.copy(), band_high.copy()
    if p.limit_up is not None:
        upper = np.where(p.limit_up, np.minimum(upper, w0), upper)
        lower = np.minimum(lower, upper)
    if p.limit_down is not None:
        lower = np.where(p.limit_down, np.maximum(lower, w0), lower)
        upper = np.maximum(lower, upper)
    if p.suspended is not None:
        lower = np.where(p.suspended, w0, lower)
        upper = np.where(p.suspended, w0, upper)
    return WeightBounds(lower, upper, band_low, band_high)


def members(p: EnhancementProblem) -> np.ndarray:
    """Index members: as given, else the stocks with a benchmark weight."""
    return p.member if p.member is not None else p.benchmark > 0.0


def constraint_rows(p: EnhancementProblem) -> ConstraintRows:
    """Stack budget, members, industries and styles into one sparse block.

    Parameters
    ----------
    p : EnhancementProblem
        Of N stocks.

    Returns
    -------
    ConstraintRows
        M rows, the budget first.

    Raises
    ------
    ProblemError
        A limit offset names no constraint of the problem, or tightens one beyond zero.
    """
    n = p.size
    blocks = [sp.csr_array(np.ones((1, n)))]
    names = ["budget"]
    lower: list[np.ndarray] = [np.ones(1)]
    upper: list[np.ndarray] = [np.ones(1)]
    penalty: list[np.ndarray] = [np.full(1, np.inf)]
    if p.member_floor is not None:
        blocks.append(sp.csr_array(members(p).astype(np.float64)[None, :]))
        names.append("members")
        lower.append(np.full(1, p.member_floor))
        upper.append(np.full(1, np.inf))
        penalty.append(np.full(1, HEAVY_PENALTY))
    if p.industry_limit is not None and p.industry is not None:
        codes, group = np.unique(p.industry, return_inverse=True)
        blocks.append(sp.csr_array((np.ones(n), (group, np.arange(n))), shape=(len(codes), n)))
        labels = p.industry_names or {}
        names += [f"industry[{labels.get(int(c), c)}]" for c in codes]
        centre = np.bincount(group, weights=p.benchmark, minlength=len(codes))
        lower.append(centre - p.industry_limit)
        upper.append(centre + p.industry_limit)
        penalty.append(np.full(len(codes), HEAVY_PENALTY))
    exposure, limits, priority, styles = p.limited_styles
    if len(styles):
        blocks.append(sp.csr_array(exposure.T))
        names += [f"style[{style}]" for style in styles]
        centre = exposure.T @ p.benchmark
        lower.append(centre - limits)
        upper.append(centre + limits)
        penalty.append(priority)
    low, high = np.concatenate(lower), np.concatenate(upper)
    turnover = np.inf if p.turnover_limit is None else 2.0 * p.turnover_limit
    if p.limit_offsets:
        room = _room(p.limit_offsets, names, np.isfinite(turnover))
        low, high = low - room[:-1], high + room[:-1]
        turnover += 2.0 * room[-1]
        crossed = np.flatnonzero(low > high)
        if len(crossed) or turnover < 0.0:
            name = names[crossed[0]] if len(crossed) else "turnover"
            raise ProblemError(
                f"limit_offsets[{name}] was {p.limit_offsets[name]:g}, which takes more than the limit allows"
            )
    return ConstraintRows(sp.vstack(blocks, format="csc"), tuple(names), low, high, np.concatenate(penalty), turnover)


def _room(offsets: Mapping[str, float], names: list[str], limited: bool) -> np.ndarray:
    """Extra room of each row, the turnover's last; (M + 1,)."""
    at = {name: i for i, name in enumerate(names) if i} | ({"turnover": len(names)} if limited else {})
    unknown = [name for name in offsets if name not in at]
    if unknown:
        raise ProblemError(
            f"limit_offsets named {unknown[0]!r}, which the problem does not limit; it limits {list(at)}"
        )
    room = np.zeros(len(names) + 1)
    for name, amount in offsets.items():
        room[at[name]] = amount
    return room


def violations(p: EnhancementProblem, weights: np.ndarray) -> dict[str, float]:
    """Amounts by which weights break the problem's constraints, recomputed from the fields of the problem.

    Shares no code with the solvers' rows and bounds, so that a mistake there shows here
    (``test_a_mistake_in_the_rows_is_no_answer``).

    Parameters
    ----------
    p : EnhancementProblem
        Of N stocks.
    weights : (N,) float
        Fractions of the portfolio's value.

    Returns
    -------
    dict
        Constraint name -> amount above zero, in weight (standard deviations for styles, one-way for turnover). Names:
        ``budget``, ``long_only``, ``stock_limit``, ``suspended``, ``limit_up``, ``limit_down``, ``members``,
        ``industry[..]``, ``style[..]``, ``turnover``. Those that hold are absent. NaN weights give NaN amounts.
    """
    w, w0, active = weights, p.holdings, weights - p.benchmark
    found: dict[str, float] = {"budget": abs(w.sum() - 1.0), "long_only": float(np.max(-w, initial=0.0))}
    tied = np.zeros(p.size, dtype=bool)  # stocks that tradability keeps outside the band
    if p.suspended is not None:
        tied |= p.suspended
        found["suspended"] = float(np.max(np.abs(w - w0), where=p.suspended, initial=0.0))
    if p.limit_up is not None:
        up = p.limit_up if p.suspended is None else p.limit_up & ~p.suspended
        found["limit_up"] = float(np.max(w - w0, where=up, initial=0.0))
        if p.stock_limit is not None:
            tied |= up & (w0 < p.benchmark - p.stock_limit)
    if p.limit_down is not None:
        down = p.limit_down if p.suspended is None else p.limit_down & ~p.suspended
        found["limit_down"] = float(np.max(w0 - w, where=down, initial=0.0))
        if p.stock_limit is not None:
            tied |= down & (w0 > p.benchmark + p.stock_limit)
    if p.stock_limit is not None:
        found["stock_limit"] = float(np.max(np.abs(active) - p.stock_limit, where=~tied, initial=0.0))
    if p.member_floor is not None:
        counted = p.benchmark > 0.0 if p.member is None else p.member
        found["members"] = p.member_floor - float(np.sum(w, where=counted))
    if p.industry_limit is not None and p.industry is not None:
        labels = p.industry_names or {}
        for code in sorted(set(p.industry.tolist())):
            tilt = float(np.sum(active, where=p.industry == code))
            found[f"industry[{labels.get(code, code)}]"] = abs(tilt) - p.industry_limit
    if p.styles is not None and p.style_limits is not None and p.style_names is not None:
        for style, exposure, limit in zip(p.style_names, p.styles.T, p.style_limits.tolist(), strict=True):
            if limit == limit:  # NaN is no limit
                found[f"style[{style}]"] = abs(float(exposure @ active)) - limit
    if p.turnover_limit is not None:
        found["turnover"] = 0.5 * float(np.abs(w - w0).sum()) - p.turnover_limit
    for name, room in (p.limit_offsets or {}).items():
        found[name] -= room
    return {name: float(amount) for name, amount in found.items() if not amount <= 0.0}


def largest_violation(p: EnhancementProblem, weights: np.ndarray, relaxed: Mapping[str, float] | None = None) -> float:
    """Largest amount by which weights break a constraint, ``relaxed`` limits moved by theirs; NaN is infinite."""
    allowed = relaxed or {}
    worst = max((v - allowed.get(name, 0.0) for name, v in violations(p, weights).items()), default=0.0)
    return max(float(worst), 0.0) if np.isfinite(worst) else float("inf")


def objective(p: EnhancementProblem, weights: np.ndarray) -> float:
    """``score'w - risk_aversion/2 (w-b)' Sigma (w-b) - cost * sum|w - holdings|``, the covariance never formed."""
    value = float(p.score @ weights)
    if p.cost > 0.0:
        value -= p.cost * float(np.abs(weights - p.holdings).sum())
    if p.risk_aversion > 0.0:
        value -= 0.5 * p.risk_aversion * active_variance(p, weights)
    return value


def active_variance(p: EnhancementProblem, weights: np.ndarray) -> float:
    """``(w-b)' (F C F' + D) (w-b)``, in the units of ``factor_cov``."""
    loadings, cov, specific = p.risk_model
    active = weights - p.benchmark
    exposure = loadings.T @ active  # (F,)
    return float(exposure @ cov @ exposure + specific @ active**2)


def gradient(p: EnhancementProblem, weights: np.ndarray) -> np.ndarray:
    """``score - gamma Sigma (w - b)``: the objective gained per unit more of each stock, trading cost apart; (N,)."""
    if p.risk_aversion == 0.0:
        return p.score
    loadings, cov, specific = p.risk_model
    active = weights - p.benchmark
    sigma_active = loadings @ (cov @ (loadings.T @ active)) + specific * active
    return p.score - p.risk_aversion * sigma_active
