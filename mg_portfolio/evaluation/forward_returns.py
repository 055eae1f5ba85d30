"""What followed each day on one universe, at one execution price and rebalance: shared by all signals judged on it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mg_portfolio.arguments import EvaluationError, ascending_days, dense, flags
from mg_portfolio.evaluation.quantile_portfolios import carry_forward, forward_from
from mg_portfolio.evaluation.rank_ic import sort_rows

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
    """One way of judging a signal.

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
    """Cases to judge, the main one first: the first universe, execution and rebalance named.

    Parameters
    ----------
    universes, executions, every
    whole : bool
        Every combination; else only the cases that differ from the main one in the universe alone, or in execution and
        rebalance alone (the published tables are of these two kinds).
    """
    u, e, n = list(dict.fromkeys(universes)), list(dict.fromkeys(executions)), list(dict.fromkeys(every))
    if not (u and e and n):
        raise EvaluationError("universes, executions and every were partly empty, expected at least one of each")
    found = [Case(a, b, c) for a in u for b in e for c in n]
    return [c for c in found if whole or c.universe == u[0] or (c.execution, c.every) == (e[0], n[0])]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Prices of one execution, and returns that follow each day's decision, sorted once.

    Attributes
    ----------
    days : ndarray of datetime64[D] (D,)
    price, last : ndarray of float64 (D, S)
        Adjusted execution prices, yuan (NaN without trades), and the last one known at each day.
    universe : ndarray of bool (D, S)
    in_universe : ndarray of int64 (D,)
    every, delay : int
    forward : ndarray of float64 (D, S)
        From `mg_portfolio.evaluation.quantile_portfolios.forward_returns`.
    forward_order, forward_counts : ndarray
        `mg_portfolio.evaluation.rank_ic.sort_rows` of it over the universe.
    """

    days: np.ndarray
    price: np.ndarray
    last: np.ndarray
    universe: np.ndarray
    in_universe: np.ndarray
    every: int
    delay: int
    forward: np.ndarray
    forward_order: np.ndarray
    forward_counts: np.ndarray

    def since(self, first: int) -> "Outcomes":
        """The same from a later day on, without a copy."""
        arrays: dict[str, Any] = {
            name: values[first:] for name, values in vars(self).items() if isinstance(values, np.ndarray)
        }
        return replace(self, **arrays)


def outcomes(
    price: np.ndarray,
    universe: np.ndarray,
    days: np.ndarray,
    every: int = 5,
    delay: int = 1,
    last: np.ndarray | None = None,
) -> Outcomes:
    """Prepare what many signals are judged by.

    Parameters
    ----------
    price : ndarray of float (D, S)
        Adjusted execution prices, yuan; NaN where the stock did not trade.
    universe : ndarray of bool (D, S)
    days : ndarray of datetime64[D] (D,)
    every : int
        Trading days between rebalances: 5 weekly, 10 biweekly.
    delay : int
        Trading days from the decision to its execution.
    last : ndarray of float64 (D, S), optional
        `mg_portfolio.evaluation.quantile_portfolios.carry_forward` of the price, where it is at hand.

    Raises
    ------
    EvaluationError
        Panels of different shapes, or days out of order.
    """
    price = dense("price", price)
    universe = flags("universe", universe, price.shape)
    days = ascending_days(days, len(price))
    last = carry_forward(price) if last is None else last
    forward = forward_from(price, last, every, delay)
    return Outcomes(
        days, price, last, universe, universe.sum(axis=1), every, delay, forward, *sort_rows(forward, universe)
    )
