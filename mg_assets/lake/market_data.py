"""Adjusted prices and trading flags of many days as dense arrays, for evaluation, backtest and report."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mg_assets.lake.store import Lake
from mg_assets.lake.universe import listed_days

BARS = ("high", "low", "close", "vwap", "amount", "adj_factor", "up_limit", "down_limit", "suspended", "st")


@dataclass(frozen=True)
class MarketData:
    """Daily market of every stock, ``(D, S)`` each.

    Attributes
    ----------
    days : ndarray of datetime64[D] (D,)
    symbols : ndarray of object (S,)
    vwap, close : float
        Adjusted, yuan. vwap is NaN without trades; close is carried over days without one.
    amount : float
        Yuan.
    suspended : bool
        No trade is possible: suspended, or not listed that day.
    st, listed : bool
    up_locked, down_locked : bool
        The whole day at the limit, so that nothing could be bought (sold).
    listed_days : int
        Sessions since listing.
    adj_factor : float
        Adjusted price over the exchange's price; NaN without a bar.
    """

    days: np.ndarray
    symbols: np.ndarray
    vwap: np.ndarray
    close: np.ndarray
    amount: np.ndarray
    suspended: np.ndarray
    st: np.ndarray
    listed: np.ndarray
    up_locked: np.ndarray
    down_locked: np.ndarray
    listed_days: np.ndarray
    adj_factor: np.ndarray

    @property
    def keys(self) -> list[str]:
        """Partition keys of the days."""
        return [str(d) for d in self.days]


def market_data(lake: Lake, keys: Sequence[str], symbols: Sequence[str] | np.ndarray | None = None) -> MarketData:
    """Read the given trading days, all of which must be in the lake (MissingPartitionError otherwise)."""
    bars = lake.panel("daily_bars", keys, BARS, symbols)
    listed = lake.panel("reference", keys, ["list_date"], bars.symbols)
    factor = bars["adj_factor"]
    traded = np.isfinite(bars["vwap"]) & bars.present & ~bars["suspended"]
    tick = 1e-6  # limits and prices are both on the 0.01 tick
    return MarketData(
        days=np.array(bars.days, "datetime64[D]"),
        symbols=bars.symbols,
        vwap=np.where(traded, bars["vwap"] * factor, np.nan),
        close=_carried(bars["close"] * factor),
        amount=bars["amount"],
        suspended=~traded,
        st=bars["st"],
        listed=bars.present,
        up_locked=traded & (bars["low"] >= bars["up_limit"] - tick),
        down_locked=traded & (bars["high"] <= bars["down_limit"] + tick),
        listed_days=np.where(bars.present, listed_days(list(bars.days), listed["list_date"]), 0),
        adj_factor=factor,
    )


def _carried(prices: np.ndarray) -> np.ndarray:
    """Fill gaps with the stock's last price."""
    rows = np.where(np.isfinite(prices), np.arange(len(prices))[:, None], -1)
    last = np.maximum.accumulate(rows, axis=0)
    out = np.take_along_axis(prices, np.maximum(last, 0), axis=0)
    return np.where(last >= 0, out, np.nan)
