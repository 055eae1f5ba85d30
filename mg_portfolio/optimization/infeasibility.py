"""Infeasibility report: which constraints exclude one another, and what relaxation would make the problem feasible.

1. An irreducible infeasible subset (IIS): its constraints have no common weights, and without any one of them they
   have. It is found by QuickXplain (Junker, 2004), a bisection over constraints in which every test is one linear
   problem without an objective (:func:`irreducible`).
2. The limits of a subset are taken out and the rest searched again, so that two thin industries are two subsets
   (:func:`diagnose`).
3. For each subset: the stocks that cause it (any one of them trading again would resolve it), and for each limit the
   smallest move that alone resolves it.
4. For the whole problem: the least weighted relaxation, and the one in strict order of priority.
"""

# Not HiGHS' getIis, which reduces single bounds: for "stock_limit, turnover" of 300 stocks it returns 18 to 300 of
# them in 80 to 430 ms (here 30 to 40 ms; HiGHS 1.15.1), prefers no limit, and by default finds none half the time.

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd

from mg_portfolio.optimization.constraints import ConstraintRows, WeightBounds, constraint_rows, weight_bounds
from mg_portfolio.optimization.linear import HighsFailedError, Sifter
from mg_portfolio.optimization.problem import EnhancementProblem
from mg_portfolio.optimization.relaxation import ROUNDING, relaxed_amounts

T = TypeVar("T")

TRADABILITY = ("suspended", "limit_up", "limit_down")
MAX_SUBSETS = 20
MAX_TESTS = 400
"""Linear problems spent on naming the stocks of one subset; beyond it all flagged stocks are named."""


@dataclass(frozen=True)
class InfeasibleSubset:
    """Irreducible infeasible subset (IIS) of a problem's constraints.

    Attributes
    ----------
    constraints : tuple of str
        As in :func:`mg_portfolio.optimization.constraints.violations`; ``w >= 0`` always holds.
    stocks : dict
        Tradability constraint -> the stocks that make it bind here, irreducible as well: any one of them free to trade
        would resolve the subset.
    relaxations : dict
        Limit -> how far it alone has to move to resolve this subset (weight, standard deviations, one-way turnover).
    problem_relaxations : dict
        Limit -> how far it alone has to move to make the whole problem feasible; absent where no move of it does.
    """

    constraints: tuple[str, ...]
    stocks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    relaxations: dict[str, float] = field(default_factory=dict)
    problem_relaxations: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class InfeasibilityReport:
    """Why a problem is infeasible, and the relaxations that make it feasible.

    Attributes
    ----------
    subsets : tuple of InfeasibleSubset
        Empty where the problem is feasible.
    weighted : dict
        Least relaxation under the penalties: constraint -> move of its limit. What ``optimize`` does.
    ordered : dict
        Relaxation in strict order: the limits with the largest penalty move least, then the next class, and so on.
        Both are empty where budget, band and tradability exclude one another, which no relaxation resolves.
    """

    subsets: tuple[InfeasibleSubset, ...]
    weighted: dict[str, float]
    ordered: dict[str, float]

    @property
    def feasible(self) -> bool:
        """Whether some weights satisfy every limit."""
        return not self.subsets

    @property
    def constraints(self) -> tuple[str, ...]:
        """Every constraint of a subset, once."""
        return tuple(dict.fromkeys(name for subset in self.subsets for name in subset.constraints))

    def table(self) -> pd.DataFrame:
        """Tabulate the subsets and relaxations.

        Returns
        -------
        DataFrame
            One row a constraint of a subset, or of a relaxation alone (``subset`` 0). Columns ``subset`` (its
            number), ``constraint``, ``relaxation`` and ``problem_relaxation`` (how far its limit
            alone has to move to resolve the subset, and to make the problem feasible), ``stocks``, ``weighted`` and
            ``ordered`` (its move in each relaxation).
        """
        lines = []
        seen = set()
        for number, subset in enumerate(self.subsets, 1):
            for name in subset.constraints:
                seen.add(name)
                own, whole = subset.relaxations.get(name), subset.problem_relaxations.get(name)
                lines.append((number, name, own, whole, ", ".join(subset.stocks.get(name, ()))))
        lines += [(0, name, None, None, "") for name in (self.weighted | self.ordered) if name not in seen]
        frame = pd.DataFrame(lines, columns=["subset", "constraint", "relaxation", "problem_relaxation", "stocks"])
        frame = frame.astype({"relaxation": float, "problem_relaxation": float})
        frame["weighted"] = [self.weighted.get(n, 0.0) for n in frame["constraint"]]
        frame["ordered"] = [self.ordered.get(n, 0.0) for n in frame["constraint"]]
        return frame

    def __str__(self) -> str:
        if self.feasible:
            return "the problem is feasible: some weights satisfy every limit"
        lines = []
        for subset in self.subsets:
            ways = [_move(name, by, subset.problem_relaxations.get(name)) for name, by in subset.relaxations.items()]
            for name, stocks in subset.stocks.items():
                shown = ", ".join(stocks[:5]) + (f" and {len(stocks) - 5} more" if len(stocks) > 5 else "")
                ways.append(f"any one of the {name} ({shown}) trading")
            resolved = (
                f"any of these resolves it: {'; '.join(ways)}" if ways else "no single move of a limit resolves it"
            )
            lines.append(f"{', '.join(subset.constraints)} exclude one another; {resolved}")
        for title, moves in (("least relaxation", self.weighted), ("in order of priority", self.ordered)):
            if moves:
                lines.append(f"{title}: " + ", ".join(f"{name} by {v:.4g}" for name, v in moves.items()))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return self.table().to_html(index=False, na_rep="", float_format=lambda x: f"{x:.4g}", border=0)


def _move(name: str, amount: float, whole: float | None) -> str:
    """A limit's move in words."""
    if whole is None:
        return f"{name} by {amount:.4g} (the whole problem by no move of it alone)"
    return f"{name} by {amount:.4g}" + (f" (the whole problem by {whole:.4g})" if whole > amount + ROUNDING else "")


def diagnose(problem: EnhancementProblem) -> InfeasibilityReport:
    """Find the irreducible infeasible subsets of a problem and the relaxations that resolve them.

    Parameters
    ----------
    problem : EnhancementProblem
        One rebalance, feasible or not.

    Returns
    -------
    InfeasibilityReport
        Without subsets where the problem is feasible. At most 20 subsets are searched.

    Notes
    -----
    Which of several irreducible sets is found depends on an order: facts first (budget, tradability), then limits by
    ascending penalty, so that a subset names the limit that is cheapest to move where it can.
    """
    left = constraint_names(problem)
    subsets: list[InfeasibleSubset] = []
    while len(subsets) < MAX_SUBSETS and not _feasible(problem, left):
        found = irreducible(left, lambda names: not _feasible(problem, names))
        subsets.append(_subset(problem, found))
        movable = [n for n in found if n not in ("budget", *TRADABILITY)]
        left = [n for n in left if n not in (movable or found)]
    if not subsets:
        return InfeasibilityReport((), {}, {})
    return InfeasibilityReport(tuple(subsets), _least(problem, ordered=False), _least(problem, ordered=True))


def irreducible(elements: Sequence[T], infeasible: Callable[[list[T]], bool]) -> list[T]:
    """Subset of the elements that is infeasible and none of whose proper subsets is (QuickXplain).

    Parameters
    ----------
    elements : sequence
        Those that come first are preferred.
    infeasible : callable
        Must hold for all elements together, and must not turn false when an element is added.

    Returns
    -------
    list
        The subset, in the order of the elements; empty for no elements.
    """

    def search(fixed: list[T], grown: bool, open_: list[T]) -> list[T]:
        if grown and infeasible(fixed):
            return []
        if len(open_) == 1:
            return open_
        half = len(open_) // 2
        second = search(fixed + open_[:half], True, open_[half:])
        first = search(fixed + second, bool(second), open_[:half])
        return first + second

    return search([], False, list(elements)) if elements else []


def constraint_names(p: EnhancementProblem) -> list[str]:
    """Names of the problem's constraints: facts, then limits by ascending penalty."""
    r = constraint_rows(p)
    soft = [(float(penalty), name) for name, penalty in zip(r.names, r.penalty, strict=True) if np.isfinite(penalty)]
    if p.turnover_limit is not None:
        soft.append((r.turnover_penalty, "turnover"))
    locked = []
    for name in TRADABILITY:
        flags = getattr(p, name)
        if flags is not None and flags.any():
            locked.append(name)
    band = ["stock_limit"] if p.stock_limit is not None else []
    return ["budget", *locked, *band, *(name for _, name in sorted(soft, key=lambda pair: pair[0]))]


def _part(p: EnhancementProblem, names: Sequence[str]) -> tuple[ConstraintRows, WeightBounds]:
    """The rows and bounds of the named constraints alone."""
    held = set(names)
    r = constraint_rows(p)
    inside = np.array([name in held for name in r.names])
    gone: dict[str, Any] = {name: None for name in (*TRADABILITY, "stock_limit") if name not in held}
    return (
        replace(
            r,
            lower=np.where(inside, r.lower, -np.inf),
            upper=np.where(inside, r.upper, np.inf),
            turnover=r.turnover if "turnover" in held else np.inf,
        ),
        weight_bounds(replace(p, **gone) if gone else p),
    )


def _feasible(p: EnhancementProblem, names: Sequence[str]) -> bool:
    """Whether the named constraints have common weights."""
    r, b = _part(p, names)
    if "budget" in names and not (b.upper.sum() >= 1.0 - ROUNDING and b.lower.sum() <= 1.0 + ROUNDING):
        return False
    return Sifter(r, b, p.holdings, np.zeros(p.size), first_share=1.0).solve()


def _subset(p: EnhancementProblem, names: list[str]) -> InfeasibleSubset:
    """Stocks and relaxations of an irreducible subset."""
    own = {}
    for name in names:
        if name not in ("budget", *TRADABILITY):
            amount = _least_change(p, names, name)
            if amount is not None:
                own[name] = amount
    whole = {}
    for name in own:
        amount = _least_change(p, constraint_names(p), name)
        if amount is not None:
            whole[name] = amount
    stocks = {name: _stocks(p, names, name) for name in names if name in TRADABILITY}
    return InfeasibleSubset(tuple(names), stocks, own, whole)


def _stocks(p: EnhancementProblem, names: list[str], flag: str) -> tuple[str, ...]:
    """Irreducible set of a flag's stocks that keeps the names infeasible; all of them where that takes too long."""
    flags = getattr(p, flag)
    tests = 0

    def still(chosen: list[int]) -> bool:
        nonlocal tests
        tests += 1
        if tests > MAX_TESTS:
            raise TimeoutError
        some = np.zeros(p.size, dtype=bool)
        some[chosen] = True
        return not _feasible(replace(p, **cast(dict[str, Any], {flag: some})), names)

    everyone = np.flatnonzero(flags).tolist()
    try:
        found = irreducible(everyone, still)
    except TimeoutError:
        found = everyone
    return tuple(p.name_of(i) for i in found)


def _least_change(p: EnhancementProblem, names: list[str], name: str) -> float | None:
    """Smallest move of one limit that gives the named constraints common weights; None where none does."""
    return _least_band(p, names) if name == "stock_limit" else _least_move(p, names, name)


def _least_move(p: EnhancementProblem, names: list[str], soft: str) -> float | None:
    """Smallest move of one row's limit that gives the named constraints common weights; None where none does."""
    r, b = _part(p, names)
    only = replace(
        r,
        penalty=np.array([1.0 if name == soft else np.inf for name in r.names]),
        turnover_penalty=1.0 if soft == "turnover" else np.inf,
    )
    try:
        least = Sifter(only, b, p.holdings, np.zeros(p.size), first_share=1.0).relax()
    except HighsFailedError:
        return None
    return None if least is None else least[0]


def _least_band(p: EnhancementProblem, names: list[str]) -> float | None:
    """Smallest widening of the stock band that gives the named constraints common weights, to 1e-7."""
    width = p.stock_limit or 0.0
    if not _feasible(replace(p, stock_limit=1.0), names):
        return None
    low, high = 0.0, 1.0 - width
    while high - low > 1e-7:
        middle = 0.5 * (low + high)
        if _feasible(replace(p, stock_limit=width + middle), names):
            high = middle
        else:
            low = middle
    return high


def _least(p: EnhancementProblem, ordered: bool) -> dict[str, float]:
    """Moves of the least relaxation; empty where none is enough."""
    b = weight_bounds(p)
    if not (b.upper.sum() >= 1.0 - ROUNDING and b.lower.sum() <= 1.0 + ROUNDING):
        return {}
    sifter = Sifter(constraint_rows(p), b, p.holdings, p.score, p.cost)
    totals = sifter.relax(ordered)
    if totals is None:
        return {}
    sifter.freeze(totals)
    if not sifter.solve("optimise relaxed"):
        return {}
    return relaxed_amounts(p, sifter.result().weights)
