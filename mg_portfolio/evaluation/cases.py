"""Evaluation cases: the universe, execution price and rebalance frequency under which signals are evaluated."""

from collections.abc import Iterable
from dataclasses import dataclass

from mg_portfolio.arguments import EvaluationError

EXECUTIONS: dict[str, tuple[str, int]] = {
    "t0_close": ("close", 0),
    "t1_vwap": ("vwap", 1),
    "t1_open": ("open", 1),
    "t1_close": ("close", 1),
}
"""Execution by name: the price, and the trading days from the decision to it."""

FREQUENCIES = {5: "weekly", 10: "biweekly"}
"""Trading days between rebalances, as the published tables name them."""


@dataclass(frozen=True)
class Case:
    """One set of conditions under which a signal is evaluated.

    Attributes
    ----------
    universe : str
        Of `mg_portfolio.evaluation.universes.UNIVERSES`.
    execution : str
        Of `EXECUTIONS`.
    every : int
        Trading days between rebalances.
    """

    universe: str = "all"
    execution: str = "t1_vwap"
    every: int = 5

    def __post_init__(self) -> None:
        if self.execution not in EXECUTIONS:
            raise EvaluationError(f"execution was {self.execution!r}, expected one of {', '.join(EXECUTIONS)}")
        if self.every < 1:
            raise EvaluationError(f"every was {self.every} trading days, expected at least 1")

    def __str__(self) -> str:
        return f"{self.universe} {FREQUENCIES.get(self.every, f'every {self.every} days')} {self.execution}"


def cases(
    universes: Iterable[str] = ("all",),
    executions: Iterable[str] = ("t1_vwap",),
    every: Iterable[int] = (5,),
    whole: bool = False,
) -> list[Case]:
    """Cases to evaluate, the main one first: the first universe, execution and rebalance named.

    Parameters
    ----------
    universes : iterable of str
        Of `mg_portfolio.evaluation.universes.UNIVERSES`.
    executions : iterable of str
        Of `EXECUTIONS`.
    every : iterable of int
        Trading days between rebalances.
    whole : bool
        Every combination; else only the cases that differ from the main one in the universe alone, or in execution and
        rebalance alone (the published tables are of these two kinds).

    Returns
    -------
    list of Case

    Raises
    ------
    EvaluationError
        An argument is empty, or names an execution that there is none of.
    """
    u, e, n = list(dict.fromkeys(universes)), list(dict.fromkeys(executions)), list(dict.fromkeys(every))
    if not (u and e and n):
        raise EvaluationError("universes, executions and every were partly empty, expected at least one of each")
    found = [Case(a, b, c) for a in u for b in e for c in n]
    return [c for c in found if whole or c.universe == u[0] or (c.execution, c.every) == (e[0], n[0])]
