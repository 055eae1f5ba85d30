"""Result of a backtest: daily values, every order, every rebalance."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mg_portfolio.backtest.holdings import DUST
from mg_portfolio.backtest.market_panel import MarketPanel

REASONS = ("", "suspended", "no_price", "limit_up", "limit_down", "delisted", "capacity", "lot", "absent")
"""Why an order was not filled, or (capacity) only in part; the first is no reason. Delisted and absent holdings were
paid out: the listing says so, or nothing has been heard of the stock for long."""
FILLED, SUSPENDED, NO_PRICE, LIMIT_UP, LIMIT_DOWN, DELISTED, CAPACITY, LOT, ABSENT = range(len(REASONS))


@dataclass(frozen=True, eq=False)
class Fill:
    """One day's trading, as fractions of the portfolio's value before it.

    Attributes
    ----------
    planned, filled : (S,) float
        Change of weight that the target asks for at the day's prices, and that was made (payouts apart).
    reason : (S,) int8
        Index into ``REASONS``: why a stock could not trade.
    paid_out : (S,) float
        Weight of delisted holdings turned into cash.
    cost : float
    value : float
        Portfolio's value before trading.
    """

    planned: np.ndarray
    filled: np.ndarray
    reason: np.ndarray
    paid_out: np.ndarray
    cost: float
    value: float


@dataclass(frozen=True, eq=False)
class BacktestResult:
    """Daily values, orders and rebalances of a simulated portfolio.

    Attributes
    ----------
    days : (T,) datetime64[D]
        From the start (first decision, or the panel's first day with start holdings) to the panel's end.
    nav : (T,) float
        Portfolio's value at the close, 1 on the first day.
    benchmark_nav, relative_nav : (T,) float
        Index, 1 on the first day, and ``nav / benchmark_nav``; NaN without a benchmark.
    holdings : (T, S) float
        Weights at the close; their sum falls short of one by the cash.
    cash : (T,) float
        Cash in units of the first day's value.
    units_after_trade : (R, S) float
        Units of each stock (at adjusted prices) after each trade, the start first.
    trade_of_day : (T,) int
        Row of ``units_after_trade`` that was held at the close of each day.
    trades : DataFrame
        One row per order: decided, traded (dates), symbol, side, planned, filled (change of weight), price, reason
        (empty where nothing prevented it; ``filled`` then differs from ``planned`` by the weight that others left
        over).
    rebalances : DataFrame
        One row per trading day: decided, traded, planned_two_way (target against the holdings at the decision),
        realised_two_way, cost (of the value before trading), orders, unfilled, unfilled_weight (what was planned and
        could not be done), cash, value (before trading, at the day's prices), initial (bought from cash).
    """

    days: np.ndarray
    nav: np.ndarray
    benchmark_nav: np.ndarray
    relative_nav: np.ndarray
    holdings: np.ndarray
    cash: np.ndarray
    units_after_trade: np.ndarray
    trade_of_day: np.ndarray
    trades: pd.DataFrame
    rebalances: pd.DataFrame

    @property
    def units(self) -> np.ndarray:
        """Units of each stock at each close, (T, S): ``nav = sum(units * mark) + cash``."""
        return self.units_after_trade[self.trade_of_day]

    @property
    def nav_before_costs(self) -> np.ndarray:
        """``nav`` without what each rebalance cost, (T,)."""
        kept = np.ones(len(self.days))
        kept[np.searchsorted(self.days, self.rebalances["traded"].to_numpy("datetime64[D]"))] -= self.rebalances["cost"]
        return self.nav / np.cumprod(kept)

    @property
    def turnover(self) -> pd.Series:
        """Realised two-way turnover of each rebalance after the first purchase, by trading day."""
        later = self.rebalances[~self.rebalances["initial"]]
        return pd.Series(later["realised_two_way"].to_numpy(), index=pd.DatetimeIndex(later["traded"]))


REBALANCE_COLUMNS = (
    "decided",
    "traded",
    "planned_two_way",
    "realised_two_way",
    "cost",
    "orders",
    "unfilled",
    "unfilled_weight",
    "cash",
    "value",
    "initial",
)


def trade_tables(
    market: MarketPanel,
    fills: list[tuple[int, Fill, float]],
    cash_share: np.ndarray,
    bought_in: bool,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trades and rebalances as frames.

    Parameters
    ----------
    market : MarketPanel
        Prices and tradability of D days and S stocks.
    fills : list of (decision's day index, fill, planned two-way turnover)
    cash_share : (R,) float
        Cash at the close of each trading day, as a fraction of the portfolio.
    bought_in : bool
        Whether the first fill bought the portfolio from cash.

    Returns
    -------
    trades, rebalances : DataFrame
        As in :class:`BacktestResult`.
    """
    orders: list[tuple[np.ndarray, ...]] = []
    lines = []
    for i, (decided, fill, two_way) in enumerate(fills):
        asked = (np.abs(fill.planned) > DUST) | (np.abs(fill.filled) > DUST)
        stuck = (fill.reason != FILLED) & asked & (fill.paid_out == 0.0)
        at = np.flatnonzero(asked | (fill.paid_out > 0.0))
        when = np.full(len(at), decided)
        orders.append((when, at, fill.planned[at], fill.filled[at], fill.paid_out[at], fill.reason[at]))
        turnover = float(np.abs(fill.filled).sum())
        missed = np.abs(fill.planned[stuck] - np.where(fill.reason[stuck] == CAPACITY, fill.filled[stuck], 0.0))
        counts = (int(asked.sum()), int(stuck.sum()), float(missed.sum()))
        dates = (market.days[decided], market.days[decided + 1])
        lines.append(
            (*dates, two_way, turnover, fill.cost, *counts, float(cash_share[i]), fill.value, bought_in and i == 0)
        )
    rebalances = pd.DataFrame(lines, columns=list(REBALANCE_COLUMNS)).astype({"initial": bool})
    none = np.zeros(0, dtype=np.int64)
    on, at, planned, filled, out, why = [np.concatenate(x) for x in zip(*orders, strict=True)] if orders else [none] * 6
    paid = out > 0.0
    planned, filled = np.where(paid, -out, planned), np.where(paid, -out, filled)
    sign = np.where(np.abs(filled) > DUST, filled, planned)
    price = np.where(market.tradable[on + 1, at], market.trade_price[on + 1, at], market.mark[on, at])
    trades = pd.DataFrame(
        {
            "decided": market.days[on],
            "traded": market.days[on + 1],
            "symbol": market.symbols[at],
            "side": np.where(paid, "payout", np.where(sign > 0.0, "buy", "sell")),
            "planned": planned,
            "filled": filled,
            "price": price,
            "reason": pd.Categorical.from_codes(why, REASONS),
        }
    )
    return trades, rebalances
