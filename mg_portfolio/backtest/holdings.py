"""Holdings in units and cash, from weights."""

from dataclasses import dataclass

import numpy as np

from mg_axes import STOCK_WEIGHTS
from mg_portfolio.backtest.market_panel import MarketPanel
from mg_portfolio.errors import BacktestError
from mg_portfolio.optimization.validation import DUST, SUM_TOLERANCE


@dataclass(frozen=True, eq=False)
class Holdings:
    """Holdings of a portfolio.

    Attributes
    ----------
    units : (S,) float
        Of each stock, at adjusted prices.
    cash : float
        In units of the portfolio's first value.
    """

    units: np.ndarray
    cash: float


def checked_weights(market: MarketPanel, weights: np.ndarray, what: str) -> np.ndarray:
    """Check weights on the panel's symbols: not negative, summing to one or (the rest is cash) less.

    Parameters
    ----------
    market : MarketPanel
        Panel of S stocks.
    weights : (S,) float, or labelled by symbol
        Fractions of the portfolio's value; 0 for a symbol that labelled ones lack.
    what : str
        What they are, for error messages.

    Returns
    -------
    (S,) float64
        The weights, rounding below zero and above one taken off.

    Raises
    ------
    BacktestError
        Naming ``what`` and the stock.
    """
    w = np.array(market.on_axes({what: STOCK_WEIGHTS}, {what: weights})[what], dtype=np.float64)
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


def holdings_from_weights(market: MarketPanel, weights: np.ndarray, day: int, what: str = "holdings") -> Holdings:
    """Buy units for these weights, at the value one, at the close of a day.

    Parameters
    ----------
    market : MarketPanel
        Panel of S stocks.
    weights : (S,) float
        Fractions of the portfolio's value; what is missing to one is cash.
    day : int
        Index in the panel.
    what : str
        What the weights are, for error messages.

    Returns
    -------
    Holdings
        Worth one in all.

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
    return Holdings(np.divide(w, price, out=np.zeros_like(w), where=price > 0.0), 1.0 - float(w.sum()))
