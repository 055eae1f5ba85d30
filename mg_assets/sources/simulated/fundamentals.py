"""Book value, earnings and cash flow from staggered reports, and the consensus between them.

Each stock reports in April, August and October on its own day of the month; figures change on
that day and not before. MatchingBook value follows the price slowly (never the other way round), so that
valuations stay in a band and foretell nothing. Per-share figures are kept per original share, so that a split changes
the raw ones and not the ratios.
"""

import numpy as np

from mg_assets.sources.simulated.random_streams import RandomStream, generator
from mg_assets.sources.simulated.settings import SimulationSettings
from mg_assets.sources.simulated.stocks import Stocks

REPORTS = ((4, 30), (8, 31), (10, 31))  # month and its days
FOLLOW = 0.08  # of the gap between a valuation and its usual level, taken up by each report
REVISION = 0.04  # chance a day that the consensus moves
RATIOS = ("pb", "pe_ttm", "pcf_ttm", "dividend_yield_12m", "eps_fy1", "roe_fy1", "np_fy1")


class Fundamentals:
    """What the last reports and analysts say of the S stocks."""

    def __init__(self, settings: SimulationSettings, stocks: Stocks):
        self.settings, self.stocks = settings, stocks
        rng = generator(settings.seed, RandomStream.FUNDAMENTALS, 2**40)
        n = settings.stocks
        self.book = stocks.first_ticks / 100 / stocks.pb
        self.roe = stocks.roe + 0.03 * rng.standard_normal(n)
        self.cash = stocks.roe * 1.2 + 0.05 * rng.standard_normal(n)
        self.forecast = self.roe + 0.01 + 0.01 * rng.standard_normal(n)
        self.year = -1

    def step(self, day: int, last: np.datetime64, date: np.datetime64, whole: np.ndarray) -> None:
        """Take in the reports dated after ``last`` up to ``date`` and the day's revisions.

        ``whole`` is the close of the day before per original share, yuan.
        """
        self._draw_year(date)
        for k in range(len(REPORTS)):
            due = (self.report_day[k] > last) & (self.report_day[k] <= date)
            if not due.any():
                continue
            earned, ratio, flow = self.news[:, k]
            mean = self.stocks.roe
            stretch = np.log(whole / self.book / self.stocks.pb)
            self.book = np.where(due, self.book * np.exp(FOLLOW * stretch + 0.02 * earned), self.book)
            self.roe = np.where(due, np.clip(mean + 0.85 * (self.roe - mean) + 0.02 * ratio, -0.4, 0.5), self.roe)
            self.cash = np.where(due, self.roe * 1.2 + 0.5 * (self.cash - self.roe * 1.2) + 0.03 * flow, self.cash)
        rng = generator(self.settings.seed, RandomStream.CONSENSUS, day)
        revised = rng.random(self.settings.stocks) < REVISION
        news = rng.standard_normal(self.settings.stocks)
        step = 0.1 * (self.roe + 0.01 - self.forecast) + 0.008 * news
        self.forecast = np.where(revised, self.forecast + step, self.forecast)

    def ratios(self, close: np.ndarray, split: np.ndarray, trailing: np.ndarray, total: np.ndarray) -> np.ndarray:
        """Compute the figures of ``RATIOS``.

        Parameters
        ----------
        close : ndarray (S,)
            Raw close in yuan.
        split : ndarray (S,)
            Shares now per original share.
        trailing : ndarray (S,)
            Dividends of the trailing year per original share, yuan.
        total : ndarray (S,)
            Shares outstanding.

        Returns
        -------
        ndarray of float64 (7, S)
            In the order of ``RATIOS``; the consensus is NaN where no analyst covers the name.
        """
        whole = close * split
        uncovered = ~self.stocks.covered
        out = np.empty((len(RATIOS), len(close)))
        out[0] = whole / self.book
        out[1] = whole / (self.book * _away_from_zero(self.roe))
        out[2] = whole / (self.book * _away_from_zero(self.cash))
        out[3] = np.maximum(trailing, 0.0) / whole
        out[4] = self.forecast * self.book / split
        out[5] = self.forecast
        out[6] = out[4] * total
        out[4:, uncovered] = np.nan
        return out

    def _draw_year(self, date: np.datetime64) -> None:
        year = int(date.astype("datetime64[Y]").astype(int)) + 1970
        if year == self.year:
            return
        self.year = year
        n = self.settings.stocks
        rng = generator(self.settings.seed, RandomStream.FUNDAMENTALS, year)
        u = rng.random((len(REPORTS), n))
        self.news = rng.standard_normal((3, len(REPORTS), n))
        months = date.astype("datetime64[Y]").astype("datetime64[M]")
        self.report_day = [
            (months + (month - 1)).astype("datetime64[D]") + (u[k] * length).astype(int).astype("timedelta64[D]")
            for k, (month, length) in enumerate(REPORTS)
        ]


def _away_from_zero(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 0.002, np.where(x < 0, -0.002, 0.002), x)
