"""Listings, suspensions, special treatment and delistings, day by day.

A suspension spell lasts ten days on average, a spell of special treatment (ST) 200. A stock
leaves the exchange after ST with a small chance each day, or after twenty closes under one
yuan; the decision is public fifteen trading days before. Only main-board stocks carry ST, so
that the 5% limit is theirs alone.
"""

import numpy as np

from mg_assets.sources.simulated.random_streams import RandomStream, generator
from mg_assets.sources.simulated.settings import SimulationSettings
from mg_assets.sources.simulated.stocks import Stocks

SUSPENSION_DAYS = 10.0
ST_DAYS = 200.0
DELISTING_CHANCE = 0.0004  # of an ST stock, a day
LAST_DAYS = 15  # trading days between the decision and the end
LOW_PRICE, LOW_DAYS = 100, 20  # ticks, consecutive closes below
NEVER = 2**31 - 1

ENTERS_ST, LEAVES_ST, LAST_DAYS_DRIFT = -0.08, 0.03, -0.02
"""Log returns on the day of the news, which nothing foretells; the last is of names under ST alone."""


class StatusProcess:
    """Who is listed, suspended and under special treatment."""

    def __init__(self, settings: SimulationSettings, stocks: Stocks):
        self.settings, self.stocks = settings, stocks
        n = settings.stocks
        self.listed = np.zeros(n, bool)
        self.suspended = np.zeros(n, bool)
        self.st = np.zeros(n, bool)
        self.delist_row = np.full(n, NEVER, np.int64)
        self.decision_row = np.full(n, NEVER, np.int64)
        self.low = np.zeros(n, np.int64)
        self.main = stocks.board == "main"

    def step(self, day: int, close_ticks: np.ndarray) -> np.ndarray:
        """Advance to ``day``, given the closes of the day before; return the extra log return (S,)."""
        s = self.settings
        u = generator(s.seed, RandomStream.STATUS, day).random((3, s.stocks))
        listed = (self.stocks.list_row <= day) & (self.delist_row > day)
        fresh = listed & ~self.listed & (self.stocks.list_row >= 0)
        self.listed = listed
        extra = np.zeros(s.stocks)

        sound = self.main & listed & ~self.st
        wanted = s.st_share * listed.sum()
        if day == 0:
            st = np.zeros(s.stocks, bool)
            st[np.argsort(np.where(sound, u[0], 2.0), kind="stable")[: min(round(wanted), sound.sum())]] = True
        else:
            # pulled towards the share: delistings end spells early and new names begin without ST
            pull = np.clip(1 + 3 * (wanted - self.st.sum()) / max(wanted, 1), 0, 4)
            enters = sound & (u[0] < pull * wanted / max(sound.sum(), 1) / ST_DAYS)
            leaves = self.st & (u[0] < 1 / ST_DAYS) & (self.decision_row == NEVER)
            extra += ENTERS_ST * enters + LEAVES_ST * leaves
            st = (self.st | enters) & ~leaves
        self.low = np.where(listed & (close_ticks < LOW_PRICE) & ~fresh, self.low + 1, 0)
        ends = listed & (self.decision_row == NEVER)
        ends &= (self.st & st & (u[1] < DELISTING_CHANCE)) | (self.low >= LOW_DAYS)
        self.decision_row[ends] = day
        self.delist_row[ends] = day + LAST_DAYS
        going = self.decision_row <= day
        extra += LAST_DAYS_DRIFT * going
        self.st = (st | going) & listed & ~fresh

        share = s.suspended_share
        if day == 0:
            suspended = u[2] < share
        else:
            goes = ~self.suspended & (u[2] < share / (1 - share) / SUSPENSION_DAYS)
            suspended = goes | (self.suspended & (u[2] >= 1 / SUSPENSION_DAYS))
        self.suspended = suspended & listed & ~fresh & ~going
        return extra
