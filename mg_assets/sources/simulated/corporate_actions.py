"""Cash dividends, share splits and unlocked shares.

The exchange's reference price on an ex-day is ``(close - cash) / ratio``, rounded to the tick;
``adj_factor`` grows by close / reference, so that the adjusted price is continuous:
``close_d * adj_d / (close_{d-1} * adj_{d-1}) = close_d / prev_close_d``.
"""

import numpy as np

from mg_assets.sources.simulated.random_streams import RandomStream, generator
from mg_assets.sources.simulated.settings import SimulationSettings
from mg_assets.sources.simulated.stocks import Stocks

EX_DAYS = 61  # from June the 1st
RATIOS = np.array([1.2, 1.3, 1.4, 1.5, 1.8, 2.0])
YEAR = 252  # trading days over which dividends count as the trailing year's


class CorporateActions:
    """Shares outstanding, cumulative splits and the trailing year's dividends."""

    def __init__(self, settings: SimulationSettings, stocks: Stocks):
        self.settings, self.stocks = settings, stocks
        n = settings.stocks
        self.float_shares = stocks.float_shares.copy()
        self.total_shares = stocks.total_shares.copy()
        self.split = np.ones(n)
        self.adj_factor = np.ones(n)
        self.ring = np.zeros((YEAR, n), np.float32)  # dividends per original share, by day modulo a year
        self.trailing = np.zeros(n)
        self.year = -1
        rng = generator(settings.seed, RandomStream.ACTIONS, 2**40)
        paid = np.where(stocks.payer, stocks.dividend_yield * stocks.first_ticks / 100, 0.0)
        self.ring[rng.integers(0, YEAR, n), np.arange(n)] = paid  # the year before the first day
        self.trailing = self.ring.sum(axis=0, dtype=np.float64)

    def step(
        self, day: int, last: np.datetime64, date: np.datetime64, close: np.ndarray, alive: np.ndarray
    ) -> np.ndarray:
        """Apply what falls on the days after ``last`` up to ``date``.

        Parameters
        ----------
        day : int
            Row of the day.
        last, date : datetime64[D]
            The day before and the day.
        close : ndarray of int (S,)
            Close of the day before, ticks.
        alive : ndarray of bool (S,)
            Listed and trading (a suspended stock's event is called off).

        Returns
        -------
        ndarray of int (S,)
            The day's reference prices, ticks.
        """
        n = self.settings.stocks
        self._draw_year(date)
        slot = day % YEAR
        self.trailing -= self.ring[slot]
        self.ring[slot] = 0.0
        cash, ratio, reference = np.zeros(n), np.ones(n), close
        seasoned = alive & (self.stocks.list_row < day - 120)
        due = (self.ex_day > last) & (self.ex_day <= date) & seasoned
        if due.any():
            pays = due & self.stocks.payer
            cash[pays] = np.round(close[pays] / 100 * self.ex_yield[pays], 2)
            splits = due & (self.split_chance < np.select([close > 6000, close > 1500], [0.6, 0.08], 0.03))
            ratio[splits] = self.ratio[splits]
            reference = np.maximum(np.floor((close - np.round(cash * 100)) / ratio + 0.5), 1).astype(np.int64)
            self.adj_factor = self.adj_factor * (close / reference)
            per_original = cash * self.split
            self.ring[slot] = per_original
            self.trailing += self.ring[slot]
            self.split = self.split * ratio
            self.float_shares = np.round(self.float_shares * ratio)
            self.total_shares = np.round(self.total_shares * ratio)
        unlocks = (self.unlock_day > last) & (self.unlock_day <= date) & seasoned
        if unlocks.any():
            more = np.minimum(np.round(self.float_shares * self.unlock_ratio / 100) * 100, self.total_shares)
            self.float_shares = np.where(unlocks, np.maximum(more, self.float_shares), self.float_shares)
        return reference

    def _draw_year(self, date: np.datetime64) -> None:
        year = int(date.astype("datetime64[Y]").astype(int)) + 1970
        if year == self.year:
            return
        self.year = year
        s = self.settings
        rng = generator(s.seed, RandomStream.ACTIONS, year)
        u = rng.random((6, s.stocks))
        new_year = date.astype("datetime64[Y]").astype("datetime64[D]")
        june = (date.astype("datetime64[Y]").astype("datetime64[M]") + 5).astype("datetime64[D]")
        self.ex_day = june + (u[0] * EX_DAYS).astype(int).astype("timedelta64[D]")
        self.split_chance = u[1]
        self.ratio = RATIOS[(u[2] * len(RATIOS)).astype(int)]
        self.ex_yield = np.clip(self.stocks.dividend_yield * (0.5 + u[3]), 0.0, 0.08)
        unlock = new_year + (u[4] * 365).astype(int).astype("timedelta64[D]")
        self.unlock_day = np.where(u[5] < 0.25, unlock, np.datetime64("NaT"))
        self.unlock_ratio = 1.05 + u[5]
