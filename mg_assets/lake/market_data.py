"""Adjusted prices and trading flags of many days as dense arrays, for evaluation, backtest and report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mg_assets.lake.store import Lake
from mg_assets.lake.universe import listed_days
from mg_assets.market.sessions import HALT_SESSIONS

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
    st : bool
    listed : bool
        From the stock's first bar on, until it is delisted: a day without a bar is a halt (:func:`absence`).
    absent : bool
        Not listed any more, but only because it has had no bar for so long.
    up_locked, down_locked : bool
        The whole day at the limit, so that nothing could be bought (sold).
    listed_days : int
        Sessions since listing.
    adj_factor : float
        Adjusted price over the exchange's price; NaN without a bar.
    also : dict of str to ndarray
        Further columns of the bars and of the reference data, as they are stored.
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
    absent: np.ndarray
    also: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def keys(self) -> list[str]:
        """Partition keys of the days."""
        return [str(d) for d in self.days]


def market_data(
    lake: Lake,
    keys: Sequence[str],
    symbols: Sequence[str] | np.ndarray | None = None,
    bars_also: Sequence[str] = (),
    reference_also: Sequence[str] = (),
) -> MarketData:
    """Read the given trading days, all of which must be in the lake (MissingPartitionError otherwise).

    Parameters
    ----------
    lake : Lake
    keys : sequence of str
    symbols : sequence of str, optional
        Those with bars by default.
    bars_also, reference_also : sequence of str
        Further columns of the two tables, read in the same pass.

    Returns
    -------
    MarketData
    """
    bars = lake.panel("daily_bars", keys, [*dict.fromkeys((*BARS, *bars_also))], symbols)
    dates = lake.panel("reference", keys, ["list_date", "delist_date", *reference_also], bars.symbols)
    days = np.array(bars.days, "datetime64[D]")
    listed, absent = absence(bars.present, days, _last_known(dates["delist_date"])[-1])
    factor = bars["adj_factor"]
    traded = np.isfinite(bars["vwap"]) & bars.present & ~bars["suspended"]
    tick = 1e-6  # limits and prices are both on the 0.01 tick
    return MarketData(
        days=days,
        symbols=bars.symbols,
        vwap=np.where(traded, bars["vwap"] * factor, np.nan),
        close=_carried(bars["close"] * factor),
        amount=bars["amount"],
        suspended=~traded,
        st=bars["st"],
        listed=listed,
        absent=absent,
        up_locked=traded & (bars["low"] >= bars["up_limit"] - tick),
        down_locked=traded & (bars["high"] <= bars["down_limit"] + tick),
        listed_days=np.where(listed, listed_days(list(bars.days), _last_known(dates["list_date"])), 0),
        adj_factor=factor,
        also={n: bars[n] for n in bars_also} | {n: dates[n] for n in reference_also},
    )


def absence(present: np.ndarray, days: np.ndarray, delisted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tell a halt from a delisting where a stock has no bar.

    Parameters
    ----------
    present : ndarray of bool (D, S)
        Whether the stock has a bar.
    days : ndarray of datetime64[D] (D,)
    delisted : ndarray of datetime64[D] (S,)
        NaT where unknown or still listed.

    Returns
    -------
    listed : ndarray of bool (D, S)
        From the first bar to the last one; behind it until the delisting day, where there is one, else for
        :data:`~mg_assets.market.sessions.HALT_SESSIONS` sessions.
    absent : ndarray of bool (D, S)
        Behind these sessions: no bar since, and nothing says why.
    """
    count = len(days)
    rows = np.arange(count)[:, None]
    some = present.any(axis=0)
    first = np.where(some, present.argmax(axis=0), count)
    last = np.where(some, count - 1 - present[::-1].argmax(axis=0), -1)
    gone = np.where(np.isnat(delisted), last + 1 + HALT_SESSIONS, np.searchsorted(days, delisted))
    end = np.maximum(gone, last + 1)
    return (rows >= first) & (rows < end), some & (rows >= end) & np.isnat(delisted)


def _last_known(dates: np.ndarray) -> np.ndarray:
    """Each stock's date as of its last row up to each day (D, S); NaT before the first."""
    dates = np.asarray(dates, "datetime64[D]")
    rows = np.maximum.accumulate(np.where(np.isnat(dates), -1, np.arange(len(dates))[:, None]), axis=0)
    return np.where(rows >= 0, np.take_along_axis(dates, np.maximum(rows, 0), axis=0), np.datetime64("NaT", "D"))


def _carried(prices: np.ndarray) -> np.ndarray:
    """Fill gaps with the stock's last price."""
    rows = np.where(np.isfinite(prices), np.arange(len(prices))[:, None], -1)
    last = np.maximum.accumulate(rows, axis=0)
    out = np.take_along_axis(prices, np.maximum(last, 0), axis=0)
    return np.where(last >= 0, out, np.nan)
