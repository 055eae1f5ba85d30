"""One day's plan: what the intraday layer must realise of the daily layer."""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mg_assets.sources.simulated.daily_layer import DailyMarket


@dataclass(frozen=True)
class DayPlan:
    """Targets of one trading day for the S stocks listed on it, symbols ascending.

    Prices are yuan on the 0.01 tick and inside ``[down_limit, up_limit]``. A suspended stock
    has ``open = close = prev_close`` and volume 0. ``open = close =`` a limit means a one-word
    day: every trade is at that limit.

    Attributes
    ----------
    date : date
        The trading day.
    symbols : ndarray of str (S,)
        Ascending.
    prev_close : ndarray of float (S,)
        The exchange's reference price, after ex-rights.
    up_limit, down_limit : ndarray of float (S,)
        The day's price limits.
    open, close : ndarray of float (S,)
        Prices of the opening and of the closing call auction, to be met exactly.
    volume : ndarray of int64 (S,)
        Shares to trade, approximately.
    volatility : ndarray of float (S,)
        Standard deviation of the log return from open to close (fraction).
    alpha : ndarray of float (S,)
        What informed traders act on: the planted signal of the previous close carried to today
        plus today's innovation, a cross-sectional z-score times the alpha strength; all 0 at
        strength 0.
    suspended : ndarray of bool (S,)
        No trading that day.
    one_word : ndarray of bool (S,)
        Locked at a limit all day.
    lot : ndarray of int64 (S,)
        Smallest buy order in shares: 100, on STAR 200.
    board : ndarray of str (S,)
        ``main``, ``star`` or ``chinext``.
    float_shares : ndarray of float (S,)
        Shares that can trade.
    st : ndarray of bool (S,)
        Under special treatment (5% limits).
    """

    date: dt.date
    symbols: np.ndarray
    prev_close: np.ndarray
    up_limit: np.ndarray
    down_limit: np.ndarray
    open: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    volatility: np.ndarray
    alpha: np.ndarray
    suspended: np.ndarray
    one_word: np.ndarray
    lot: np.ndarray
    board: np.ndarray
    float_shares: np.ndarray
    st: np.ndarray

    def __len__(self) -> int:
        return len(self.symbols)


def plan_day(market: "DailyMarket", date: dt.date | str) -> DayPlan:
    """Make the plan of one trading day of the market.

    Returns
    -------
    DayPlan

    Raises
    ------
    SourceError
        ``date`` is not a day of the market.
    """
    d = market.row(date)
    at = np.flatnonzero(market.listed[d])
    yuan = {
        name: market.ticks(name)[d, at] / 100.0 for name in ("prev_close", "up_limit", "down_limit", "open", "close")
    }
    suspended = market.suspended[d, at]
    board = market.board[at]
    locked = (yuan["open"] == yuan["up_limit"]) | (yuan["open"] == yuan["down_limit"])
    return DayPlan(
        date=market.days[d].item(),
        symbols=market.symbols[at],
        volume=market.volume[d, at].astype(np.int64),
        volatility=market.day_vol[d, at].astype(np.float64),
        alpha=market.settings.alpha_strength * market.signal[d, at].astype(np.float64),
        suspended=suspended,
        one_word=locked & (yuan["open"] == yuan["close"]) & ~suspended,
        lot=np.where(board == "star", 200, 100).astype(np.int64),
        board=board,
        float_shares=market.float_shares[d, at],
        st=market.st[d, at],
        **yuan,
    )
