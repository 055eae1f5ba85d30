"""Weights in, units out: what a portfolio owns."""

from dataclasses import dataclass

import numpy as np

from mg_portfolio.backtest.market_panel import MarketPanel
from mg_portfolio.errors import BacktestError
from mg_portfolio.optimization.validation import DUST, SUM_TOLERANCE


@dataclass(frozen=True, eq=False)
class Book:
    """What the portfolio owns: units of each stock (at adjusted prices) and cash."""

    units: np.ndarray  # (S,)
    cash: float

    def value(self, price: np.ndarray) -> float:
        """Worth at the given prices."""
        return float(self.units @ price) + self.cash


def checked_weights(market: MarketPanel, weights: np.ndarray, what: str) -> np.ndarray:
    """Weights as float64 on the panel's symbols, not negative, summing to one or (the rest is cash) less.

    Raises
    ------
    BacktestError
        Naming ``what`` and the stock.
    """
    w = np.array(weights, dtype=np.float64)
    if w.shape != (len(market.symbols),):
        raise BacktestError(f"{what} had shape {w.shape}, expected ({len(market.symbols)},) like the panel's symbols")
    bad = np.flatnonzero(~(w >= -DUST))
    if len(bad):
        raise BacktestError(
            f"{what} was {float(w[bad[0]])!r} for {market.symbols[bad[0]]}, expected a weight of 0 or more: "
            "0 for what is not held"
        )
    if w.sum() > 1.0 + SUM_TOLERANCE:
        raise BacktestError(f"{what} summed to {w.sum():.8g}, expected at most 1: give fractions, not percent")
    w[w < DUST] = 0.0
    total = w.sum()
    return w / total if total > 1.0 - DUST else w


def book_of(market: MarketPanel, weights: np.ndarray, day: int, what: str = "holdings") -> Book:
    """Units and cash that have these weights, and the value one, at the close of a day.

    Raises
    ------
    BacktestError
        A weight is not usable, or that of a stock without a price; names ``what``, the day and the stock.
    """
    w = checked_weights(market, weights, f"{what} on {market.days[day]}")
    price = market.mark[day]
    unpriced = np.flatnonzero((w > 0.0) & (price <= 0.0))
    if len(unpriced):
        raise BacktestError(
            f"{what} on {market.days[day]} had {market.symbols[unpriced[0]]}, which had no price up to then "
            f"({len(unpriced)} such stocks): begin the panel earlier or carry the close of halted stocks forward"
        )
    return Book(np.divide(w, price, out=np.zeros_like(w), where=price > 0.0), 1.0 - float(w.sum()))
