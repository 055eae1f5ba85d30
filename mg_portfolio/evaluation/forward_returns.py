"""Forward returns per day: from the execution price after a decision to the same price one rebalance later."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numba import njit

from mg_axes import DAYS, FLAGS, PANEL, SYMBOLS, aligned
from mg_portfolio.arguments import EvaluationError, ascending_days, dense, flags
from mg_portfolio.evaluation.rank_ic import sort_rows


@njit(nogil=True, cache=True)
def carry_forward(price):
    """Last finite price at or before each day; NaN before the first. A price at or below 0 is no price."""
    days, stocks = price.shape
    out = np.empty((days, stocks))
    for s in range(stocks):
        last = np.nan
        for d in range(days):
            if np.isfinite(price[d, s]) and price[d, s] > 0.0:
                last = price[d, s]
            out[d, s] = last
    return out


@njit(nogil=True, cache=True)
def _forward_returns(price, last, every, delay):
    days, stocks = price.shape
    out = np.full((days, stocks), np.nan)
    for d in range(days - delay - every):
        for s in range(stocks):
            entry = price[d + delay, s]
            if np.isfinite(entry) and entry > 0.0:
                out[d, s] = last[d + delay + every, s] / entry - 1.0
    return out


@aligned(EvaluationError, result="ds", price=PANEL)
def forward_returns(price: np.ndarray, every: int, delay: int = 1) -> np.ndarray:
    """Return from the execution price after a decision to the same price one rebalance later.

    ``last(T + delay + every) / price(T + delay) - 1`` where ``last`` carries a halted stock's last price.

    Parameters
    ----------
    price : ndarray of float (D, S), or labelled
        Adjusted execution prices, yuan; NaN where the stock did not trade. See :mod:`mg_axes` for labelled ones.
    every : int
        Trading days between rebalances.
    delay : int
        Trading days from the decision to its execution: 1 for T+1 vwap, open or close, 0 for T's close.

    Returns
    -------
    ndarray of float64 (D, S), or DataFrame
        With the dates and symbols of a labelled price. Fractions; NaN without an execution price, and in the last
        ``every + delay`` days.

    Raises
    ------
    EvaluationError
        Prices that are not two-dimensional, ``every`` below 1 or ``delay`` below 0.
    """
    check_rebalance(every, delay)
    price = dense("price", price)
    return _forward_returns(price, carry_forward(price), every, delay)


def check_rebalance(every: int, delay: int) -> None:
    """Check trading days between rebalances and from decision to execution, or raise EvaluationError."""
    if every < 1:
        raise EvaluationError(f"every was {every} trading days, expected at least 1")
    if delay < 0:
        raise EvaluationError(
            f"delay was {delay} trading days, expected 0 (T's close) or more: a decision trades after its day"
        )


@dataclass(frozen=True, eq=False)
class ForwardReturns:
    """Forward returns on one universe at one execution price and rebalance, with their order: shared by all signals.

    Attributes
    ----------
    days : ndarray of datetime64[D] (D,)
    price, last : ndarray of float64 (D, S)
        Adjusted execution prices, yuan (NaN without trades), and the last one as of each day.
    universe : ndarray of bool (D, S)
    in_universe : ndarray of int64 (D,)
        Stocks of the universe.
    every, delay : int
        Trading days between rebalances, and from the decision to its execution.
    returns : ndarray of float64 (D, S)
        From `forward_returns`.
    order : ndarray of int32 (D, S)
    counts : ndarray of int64 (D,)
        `mg_portfolio.evaluation.rank_ic.sort_rows` of the returns over the universe.
    symbols : ndarray of object (S,), optional
        Absent where the prices had no labels.
    """

    days: np.ndarray
    price: np.ndarray
    last: np.ndarray
    universe: np.ndarray
    in_universe: np.ndarray
    every: int
    delay: int
    returns: np.ndarray
    order: np.ndarray
    counts: np.ndarray
    symbols: np.ndarray | None = None

    @classmethod
    @aligned(EvaluationError, by=("price",), price=PANEL, universe=FLAGS, days=DAYS, symbols=SYMBOLS)
    def from_prices(
        cls,
        price: np.ndarray,
        universe: np.ndarray,
        days: np.ndarray | None = None,
        every: int = 5,
        delay: int = 1,
        symbols: np.ndarray | None = None,
    ) -> Self:
        """Compute the forward returns of a market once, for many signals.

        Parameters
        ----------
        price : ndarray of float (D, S), or labelled
            Adjusted execution prices, yuan; NaN where the stock did not trade. Labelled ones (:mod:`mg_axes`) give the
            axes, on which the universe is aligned.
        universe : ndarray of bool (D, S), or labelled
            From `mg_portfolio.evaluation.tradable_universe.tradable_next_day`.
        days : ndarray of datetime64[D] (D,), optional
            Trading days, ascending; by default the dates of ``price``.
        every : int
            Trading days between rebalances: 5 weekly, 10 biweekly.
        delay : int
            Trading days from the decision to its execution.
        symbols : ndarray of object (S,), optional
            By default the symbols of ``price``.

        Returns
        -------
        ForwardReturns
            Returns, universe and their order for every day.

        Raises
        ------
        EvaluationError
            Panels of different shapes, days out of order, a price below 0, ``every`` below 1 or ``delay`` below 0.
        """
        price = dense("price", price)
        universe = flags("universe", universe, price.shape)
        days = ascending_days(days, len(price))
        check_rebalance(every, delay)
        if (below := price < 0.0).any():  # returns in the place of prices would give a RankIC that looks like one
            day, stock = np.argwhere(below)[0]
            whose = "" if symbols is None else f" for {symbols[stock]}"
            raise EvaluationError(
                f"price was {price[day, stock]:.6g} on {days[day]}{whose}, "
                f"one of {below.sum()} below 0: give adjusted prices, NaN where a stock did not trade"
            )
        last = carry_forward(price)
        returns = _forward_returns(price, last, every, delay)
        return cls(
            *(days, price, last, universe, universe.sum(axis=1), every, delay, returns),
            *sort_rows(returns, universe),
            None if symbols is None else np.array([str(s) for s in symbols], dtype=object),
        )

    def since(self, first: int) -> Self:
        """Cut to the days from one on, without a copy.

        Parameters
        ----------
        first : int
            Index of the first day kept.

        Returns
        -------
        ForwardReturns
            Of the days ``first:``.
        """
        arrays: dict[str, Any] = {
            name: values[first:]
            for name, values in vars(self).items()
            if isinstance(values, np.ndarray) and name != "symbols"
        }
        return replace(self, **arrays)
