"""The simulated exchange as a source of raw tables."""

import datetime as dt
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, fields
from typing import ClassVar

import numpy as np
import pandas as pd

from mg_assets.errors import SourceError
from mg_assets.market.calendar import trading_days
from mg_assets.sources.base import SourceDay
from mg_assets.sources.simulated import tables
from mg_assets.sources.simulated.daily import daily_market
from mg_assets.sources.simulated.plan import plan_day
from mg_assets.sources.simulated.settings import SimulationSettings

VERSION = 1
"""Of what the code makes from given settings; raised with any change that changes a byte."""

TICK_TABLES = ("trades", "orders")
COUNTED_TABLES = (*TICK_TABLES, "daily_bars")  # ``orders_per_stock`` reaches them
DAILY_TABLES: dict[str, Callable[..., pd.DataFrame]] = {
    "reference": tables.reference,
    "planted_signal": tables.planted_signal,
    "daily_bars": tables.daily_bars,
}


@dataclass(frozen=True)
class SimulatedExchange:
    """Raw tables of a simulated market; nothing is read from disk.

    Trades and orders exist from ``tick_start`` on, daily bars only before it (later ones are
    derived from the ticks, and agree on open and close exactly), reference and the planted
    signal on every day.

    Parameters
    ----------
    settings : SimulationSettings
        The market; equal settings make equal bytes in every process, whatever the order of days.
    """

    settings: SimulationSettings = field(default_factory=SimulationSettings)
    name: ClassVar[str] = "simulated"

    def days(self) -> np.ndarray:
        """Trading days of the history, ``datetime64[D]``, ascending."""
        return trading_days(self.settings.start, self.settings.end)

    def has(self, table: str, day: dt.date) -> bool:
        """Whether the exchange has this table on this day."""
        if not self.settings.start <= day <= self.settings.end or not len(trading_days(day, day)):
            return False
        ticks = day >= self.settings.first_tick_day
        return (table in TICK_TABLES and ticks) or (table == "daily_bars" and not ticks) or table in _ALWAYS

    def load(self, table: str, day: dt.date) -> SourceDay:
        """Make one table of one day. Trades and orders of a day come from one simulation.

        Raises
        ------
        SourceError
            Where there is no such table on that day, saying which there are.
        """
        if not self.has(table, day):
            raise SourceError(
                f"the simulated exchange has no {table!r} on {day}: its trading days run {self.settings.start}.."
                f"{self.settings.end}, with trades and orders from {self.settings.first_tick_day}, daily_bars "
                "before, reference and planted_signal on all"
            )
        if table in TICK_TABLES:
            frame = _recent.get((self.settings, day), lambda: _simulate(self.settings, day))[table]
        else:
            frame = DAILY_TABLES[table](daily_market(self.settings), day)
        return SourceDay(frame, notes={"source": self.name, "seed": self.settings.seed, "rows": len(frame)})

    def fingerprint(self, table: str, day: dt.date) -> str:
        """Hash of the code's version and of the settings that reach this table.

        ``end`` and ``tick_start`` are left out: they never change a day they leave in the history.
        """
        without = {"end", "tick_start"} | (set() if table in COUNTED_TABLES else {"orders_per_stock"})
        kept = {f.name: getattr(self.settings, f.name) for f in fields(self.settings) if f.name not in without}
        text = f"{self.name}|{VERSION}|{table}|{day}|{sorted(kept.items())}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


_ALWAYS = ("reference", "planted_signal")


def _simulate(settings: SimulationSettings, day: dt.date) -> dict[str, pd.DataFrame]:
    from mg_assets.sources.simulated.intraday import simulate_day  # numba kernels: loaded only for ticks

    orders, trades = simulate_day(plan_day(daily_market(settings), day), settings)
    return {"orders": orders, "trades": trades}


class RecentDays:
    """The last few simulated days of this process, each made once however many threads ask.

    Parameters
    ----------
    days, rows : int
        What is kept at most; the newest day is kept whatever its size.
    """

    def __init__(self, days: int = 4, rows: int = 20_000_000):
        self.days, self.rows = days, rows
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple, Future] = OrderedDict()

    def get(self, key: tuple, make: Callable[[], dict[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
        """The day under ``key``, made by ``make`` where it is not here; a failure is not kept."""
        with self._lock:
            future = self._made.get(key)
            mine = future is None
            if future is None:
                future = self._made[key] = Future()
            self._made.move_to_end(key)
        if mine:
            try:
                future.set_result(make())
            except BaseException as error:
                with self._lock:
                    self._made.pop(key, None)
                future.set_exception(error)
            self._shrink()
        return future.result()

    def _shrink(self) -> None:
        with self._lock:
            done = [k for k, f in self._made.items() if f.done() and f.exception() is None]
            sizes = {k: sum(len(t) for t in self._made[k].result().values()) for k in done}
            while len(done) > 1 and (len(done) > self.days or sum(sizes[k] for k in done) > self.rows):
                self._made.pop(done.pop(0))


_recent = RecentDays()
