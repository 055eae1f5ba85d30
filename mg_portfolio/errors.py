"""Errors raised by this package. Every message names the field, the stock and the remedy."""

from collections.abc import Mapping
from typing import Any


class PortfolioError(Exception):
    """Base of the errors that a user can act on."""


class ProblemError(PortfolioError, ValueError):
    """A field of an optimisation problem, a catalog entry or a helper's argument is not usable."""


class BacktestError(PortfolioError, ValueError):
    """Prices, flags, weights or dates handed to the backtest do not fit together."""


class EvaluationError(PortfolioError, ValueError):
    """A signal, price, universe or calendar handed to evaluation or to the report does not fit."""


class SolverError(PortfolioError, RuntimeError):
    """No solver returned weights that pass the check of every constraint."""


class InfeasibleError(PortfolioError):
    """No weights satisfy all constraints.

    Attributes
    ----------
    constraints : tuple of str
        Names of the constraints that exclude one another, irreducible infeasible subsets one after another.
    relaxation : dict
        Constraint name -> how far its limit has to move. Moving all of them together makes the problem feasible, and
        no other set of moves costs less under the penalties.
    report : mg_portfolio.InfeasibilityReport or None
        Each subset with its stocks and relaxations.
    """

    def __init__(
        self, message: str, constraints: tuple[str, ...], relaxation: Mapping[str, float], report: Any = None
    ) -> None:
        super().__init__(message, constraints, dict(relaxation), report)  # all of them, so that it pickles
        self.constraints = constraints
        self.relaxation = dict(relaxation)
        self.report = report

    def __str__(self) -> str:
        return str(self.args[0])
