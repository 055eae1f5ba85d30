"""The solution of an enhancement problem, and the solver calls behind it."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Attempt:
    """One solver call, recorded whether or not its weights were accepted.

    Attributes
    ----------
    solver : str
        "highs", "piqp", "clarabel" or "osqp".
    stage : str
        "optimise", "least relaxation", "optimise relaxed" or "risk".
    status : str
        As the solver reports it.
    seconds : float
        Wall-clock time of the call.
    largest_violation : float
        Of its weights, recomputed; NaN where not computed.
    gap : float
        Bound on the objective left; NaN where not computed.
    note : str
        Size of the problem.
    """

    solver: str
    stage: str
    status: str
    seconds: float
    largest_violation: float = float("nan")
    gap: float = float("nan")
    note: str = ""


@dataclass(frozen=True, eq=False)
class EnhancementSolution:
    """Weights of a rebalance, and how they were found.

    Attributes
    ----------
    weights : (N,) float
        For status "infeasible": the holdings unchanged, because no fully invested weights exist.
    objective : float
        The problem's objective at ``weights``.
    status : str
        "optimal"; "relaxed" when a limit had to give way; "infeasible" when even budget, band and tradability
        exclude one another.
    largest_violation : float
        Largest amount by which ``weights`` break a constraint, recomputed from the problem (relaxed limits moved by the
        amounts in ``relaxed``). Above 1e-6 weights are never returned as optimal or relaxed.
    relaxed : dict
        Constraint name -> how far beyond its limit the weights lie (weight, or standard deviations for a style).
    shadow_prices : dict
        Binding constraint -> objective gained per unit that its limit is widened (for ``stock_limit`` all stocks'
        bands at once; for ``turnover`` per unit of one-way turnover).
    solver : str
        Solver whose weights these are.
    attempts : tuple of Attempt
        Every solver call, in order.
    message : str
        One sentence for a person; empty for "optimal".
    symbols : (N,), optional
        The problem's stock codes.

    Notes
    -----
    Problems and solutions are plain arrays: they pickle, and ``optimize`` keeps nothing between calls, so weeks can be
    solved on any worker in any order that their holdings allow.
    """

    weights: np.ndarray
    objective: float
    status: str
    largest_violation: float
    relaxed: dict[str, float] = field(default_factory=dict)
    shadow_prices: dict[str, float] = field(default_factory=dict)
    solver: str = ""
    attempts: tuple[Attempt, ...] = ()
    message: str = ""
    symbols: np.ndarray | None = None

    @property
    def by_symbol(self) -> pd.Series:
        """Weights by symbol, or by number where the problem has no codes."""
        return pd.Series(self.weights, None if self.symbols is None else pd.Index(self.symbols, name="symbol"))
