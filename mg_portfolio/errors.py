"""Errors raised by the portfolio floor. Every message names the field, the stock and the remedy."""

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
    clashing : tuple of str
        Names of the constraints that exclude one another, irreducible sets one after another.
    changes : dict
        Constraint name -> how far its limit has to move. Moving all of them together makes the problem feasible, and
        no other set of moves costs less under the relaxation's penalties.
    diagnosis : mg_portfolio.optimization.infeasibility.Diagnosis or None
        Each clash with its stocks and its cures.
    """

    def __init__(
        self, message: str, clashing: tuple[str, ...], changes: Mapping[str, float], diagnosis: Any = None
    ) -> None:
        super().__init__(message, clashing, dict(changes), diagnosis)  # all of them, so that it pickles
        self.clashing = clashing
        self.changes = dict(changes)
        self.diagnosis = diagnosis

    def __str__(self) -> str:
        return str(self.args[0])
