"""The daily layer: a whole market's history at once, vectorised over stocks.

1. daily_returns.py      latent factor, idiosyncratic and planted-alpha returns of the day
2. listing_status.py     who is listed, suspended, under special treatment
3. corporate_actions.py  dividends, splits: the day's reference price
4. daily_prices.py       limits; open, high, low, close, vwap on the tick
5. daily_volume.py       shares and trades
6. indices.py            membership
7. fundamentals.py       reports and consensus

The state goes from day to day, but every random number comes from (seed, stream, day), so that
``end`` changes nothing before it and every process makes the same bytes.
"""

import datetime as dt
import threading
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from mg_assets.errors import SourceError
from mg_assets.market.calendar import trading_days
from mg_assets.market.schema import INDICES
from mg_assets.sources.simulated.corporate_actions import CorporateActions
from mg_assets.sources.simulated.daily_prices import NIGHT, form_prices, limits
from mg_assets.sources.simulated.daily_returns import ReturnProcess, masked_zscore
from mg_assets.sources.simulated.daily_volume import VolumeProcess
from mg_assets.sources.simulated.fundamentals import RATIOS, Fundamentals
from mg_assets.sources.simulated.indices import IndexRule, review_days
from mg_assets.sources.simulated.listing_status import NEVER, StatusProcess
from mg_assets.sources.simulated.settings import SimulationSettings
from mg_assets.sources.simulated.stocks import make_stocks

PRICES = ("open", "high", "low", "close", "vwap", "prev_close", "up_limit", "down_limit")
FIRST_DAY_RETURN = 0.20  # mean log return of a stock's first day


@dataclass(frozen=True, eq=False)
class DailyMarket:
    """The whole daily history, arrays ``(D, S)`` unless noted.

    Prices are kept as integer ticks (:meth:`ticks`); the properties ``open``, ``high``, ...
    convert the whole history to yuan at each access, NaN where not listed.

    Attributes
    ----------
    days : ndarray of datetime64[D] (D,)
        Trading days.
    symbols, board, industry : ndarray of str (S,)
        Every stock ever listed, symbols ascending.
    list_date, delist_date : ndarray of datetime64[D] (S,)
        ``delist_date`` is the first day without the stock, NaT where none is decided by the end.
    announced : ndarray of int (S,)
        Row from which the delisting is public.
    listed, suspended, st : ndarray of bool
        Status.
    volume : ndarray of int64
        Shares; 0 where suspended or not listed.
    num_trades : ndarray of int32
        Trades.
    adj_factor, float_shares, total_shares : ndarray of float64
        NaN where not listed.
    signal : ndarray of float32
        Planted signal as of the close, a z-score over listed stocks; NaN where not listed.
    day_vol : ndarray of float32
        Standard deviation of the log return from open to close, known before the day.
    index_code : ndarray of int8
        0 none, 1 csi300, 2 csi500, 3 csi1000.
    fundamentals : dict of str to ndarray of float32
        pb, pe_ttm, pcf_ttm, dividend_yield_12m, eps_fy1, roe_fy1, np_fy1 as known at the close.
    """

    settings: SimulationSettings
    days: np.ndarray
    symbols: np.ndarray
    board: np.ndarray
    industry: np.ndarray
    list_date: np.ndarray
    delist_date: np.ndarray
    announced: np.ndarray
    listed: np.ndarray
    suspended: np.ndarray
    st: np.ndarray
    prices: dict[str, np.ndarray]
    volume: np.ndarray
    num_trades: np.ndarray
    adj_factor: np.ndarray
    float_shares: np.ndarray
    total_shares: np.ndarray
    signal: np.ndarray
    day_vol: np.ndarray
    index_code: np.ndarray
    fundamentals: dict[str, np.ndarray]

    def row(self, date: dt.date | str | np.datetime64) -> int:
        """Row of a trading day. Raises SourceError where the market has no such day."""
        key = np.datetime64(str(date), "D")
        at = int(np.searchsorted(self.days, key))
        if at == len(self.days) or self.days[at] != key:
            raise SourceError(
                f"the simulated market has no trading day {key}; its days run {self.days[0]}..{self.days[-1]}"
            )
        return at

    def ticks(self, name: str) -> np.ndarray:
        """A price in ticks of 0.01 yuan, int32 ``(D, S)``, 0 where not listed."""
        return self.prices[name]

    def _yuan(self, name: str, present: np.ndarray) -> np.ndarray:
        return np.where(present, self.prices[name] / 100.0, np.nan)

    @property
    def open(self) -> np.ndarray:
        """Opening price, yuan."""
        return self._yuan("open", self.listed)

    @property
    def high(self) -> np.ndarray:
        """Highest price, yuan."""
        return self._yuan("high", self.listed)

    @property
    def low(self) -> np.ndarray:
        """Lowest price, yuan."""
        return self._yuan("low", self.listed)

    @property
    def close(self) -> np.ndarray:
        """Closing price, yuan; the reference price where suspended."""
        return self._yuan("close", self.listed)

    @property
    def vwap(self) -> np.ndarray:
        """Volume-weighted price on the tick, yuan; NaN where suspended."""
        return self._yuan("vwap", self.listed & ~self.suspended)

    @property
    def prev_close(self) -> np.ndarray:
        """The exchange's reference price, after ex-rights, yuan."""
        return self._yuan("prev_close", self.listed)

    @property
    def up_limit(self) -> np.ndarray:
        """Upper price limit, yuan."""
        return self._yuan("up_limit", self.listed)

    @property
    def down_limit(self) -> np.ndarray:
        """Lower price limit, yuan."""
        return self._yuan("down_limit", self.listed)

    @property
    def amount(self) -> np.ndarray:
        """Traded value, ``vwap * volume`` in yuan, exact to the cent; 0 where nothing traded."""
        return self.prices["vwap"].astype(np.int64) * self.volume / 100.0

    def members(self, index: str) -> np.ndarray:
        """Membership of ``csi300``, ``csi500`` or ``csi1000``, bool ``(D, S)``."""
        return self.index_code == INDICES.index(index) + 1

    def weights(self, index: str) -> np.ndarray:
        """Index weights at each close (float cap over the members' sum), ``(D, S)``, 0 outside."""
        cap = np.where(self.members(index), self.prices["close"] * np.nan_to_num(self.float_shares), 0.0)
        return cap / cap.sum(axis=1, keepdims=True)


def daily_market(settings: SimulationSettings) -> DailyMarket:
    """Simulate the daily history of a market, or take it from the cache.

    Parameters
    ----------
    settings : SimulationSettings
        ``tick_start`` does not reach the daily layer: markets that differ in it alone are simulated once.

    Returns
    -------
    DailyMarket
    """
    key = replace(settings, tick_start=None)
    with _making:  # threads that ask at once wait for one history instead of making two
        return _market(key)


_making = threading.Lock()


@lru_cache(maxsize=2)
def _market(settings: SimulationSettings) -> DailyMarket:
    days = trading_days(settings.start, settings.end)
    stocks = make_stocks(settings)
    shape = (len(days), settings.stocks)
    prices = {name: np.zeros(shape, np.int32) for name in PRICES}
    listed, suspended, st = (np.zeros(shape, bool) for _ in range(3))
    volume, num_trades = np.zeros(shape, np.int64), np.zeros(shape, np.int32)
    adj_factor, float_shares, total_shares = (np.full(shape, np.nan) for _ in range(3))
    signals, day_vol = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    index_code = np.zeros(shape, np.int8)
    figures = {name: np.full(shape, np.nan, np.float32) for name in RATIOS}

    returns, status = ReturnProcess(settings, stocks), StatusProcess(settings, stocks)
    actions, volumes = CorporateActions(settings, stocks), VolumeProcess(settings, stocks)
    index, reports = IndexRule(settings, stocks), Fundamentals(settings, stocks)
    reviews = review_days(days)
    close = stocks.first_ticks.copy()
    gathered = np.zeros(settings.stocks)  # log returns of suspended days, paid out at resumption
    here = stocks.list_row < 0
    signal = returns.signal(here)
    yesterday = days[0] - 1
    for d, today in enumerate(days):
        size = masked_zscore(np.log(close * actions.float_shares), here, 3.0)
        value = masked_zscore(np.log(reports.book / (close * actions.split)), here, 3.0)
        move = returns.step(d, signal, size, value)
        extra = status.step(d, close)
        if d == 0 or reviews[d]:
            index.review(d, status.listed, status.suspended | status.st)
        here, still = status.listed, status.suspended
        fresh = here & (stocks.list_row == d)
        reports.step(d, yesterday, today, close / 100 * actions.split)
        reference = actions.step(d, yesterday, today, close, here & ~still)
        up, down = limits(reference, stocks.board, status.st, fresh, today)
        log_return = move.log_return + extra + FIRST_DAY_RETURN * fresh
        price = form_prices(
            settings.seed, d, reference, up, down, log_return, gathered, move.news, move.day_std, still | ~here
        )
        gathered = np.where(still, gathered + log_return, 0.0)
        locked = (price.high == price.low) & ((price.close == up) | (price.close == down))
        shares = volumes.step(d, move, actions.float_shares, locked, here & ~still)
        close = price.close
        signal = returns.signal(here)
        index.step(here, close * actions.float_shares)

        listed[d], suspended[d], st[d] = here, still, status.st
        day = (price.open, price.high, price.low, price.close, price.vwap, reference, up, down)
        for name, ticks in zip(PRICES, day, strict=True):
            prices[name][d] = np.where(here, ticks, 0)
        volume[d] = shares
        num_trades[d] = volumes.trades(price.vwap * shares / 100)
        adj_factor[d] = np.where(here, actions.adj_factor, np.nan)
        float_shares[d] = np.where(here, actions.float_shares, np.nan)
        total_shares[d] = np.where(here, actions.total_shares, np.nan)
        signals[d] = np.where(here, signal, np.nan)
        day_vol[d] = np.where(here, np.sqrt(1 - NIGHT) * move.day_std, np.nan)
        index_code[d] = index.code
        known = reports.ratios(close / 100, actions.split, actions.trailing, actions.total_shares)
        for name, figure in zip(RATIOS, known, strict=True):
            figures[name][d] = np.where(here, figure, np.nan)
        yesterday = today

    arrays = [listed, suspended, st, volume, num_trades, adj_factor, float_shares, total_shares, signals, day_vol]
    arrays.append(index_code)
    for array in (*arrays, *prices.values(), *figures.values()):
        array.setflags(write=False)  # the cache hands the same arrays to everyone
    return DailyMarket(
        settings=settings,
        days=days,
        symbols=stocks.symbols,
        board=stocks.board,
        industry=stocks.industry,
        list_date=stocks.list_date,
        delist_date=_delist_dates(settings, status.delist_row),
        announced=status.decision_row,
        listed=listed,
        suspended=suspended,
        st=st,
        prices=prices,
        volume=volume,
        num_trades=num_trades,
        adj_factor=adj_factor,
        float_shares=float_shares,
        total_shares=total_shares,
        signal=signals,
        day_vol=day_vol,
        index_code=index_code,
        fundamentals=figures,
    )


def _delist_dates(settings: SimulationSettings, rows: np.ndarray) -> np.ndarray:
    calendar = trading_days(settings.start)
    dates = np.full(len(rows), np.datetime64("NaT"), "datetime64[D]")
    decided = rows < NEVER
    beyond = np.maximum(rows - len(calendar) + 1, 0)
    dates[decided] = calendar[np.minimum(rows, len(calendar) - 1)[decided]] + beyond[decided]
    return dates
