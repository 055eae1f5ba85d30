"""The simulated exchange as a source of raw tables."""

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import ClassVar

import numpy as np
import pandas as pd

from mg_assets.errors import SourceError
from mg_assets.market.calendar import trading_days
from mg_assets.market.schema import INDICES
from mg_assets.sources.base import INDEX_WEIGHTS_OF, SourceDay
from mg_assets.sources.compute_once import compute_once
from mg_assets.sources.simulated.daily_layer import daily_market
from mg_assets.sources.simulated.daily_tables import daily_bars_frame, planted_signal_frame, reference_frame
from mg_assets.sources.simulated.day_plan import plan_day
from mg_assets.sources.simulated.settings import SimulationSettings

VERSION = 1
"""Version of the simulation; raised with any change that changes a byte of a table."""

TICK_TABLES = ("trades", "orders")
COUNTED_TABLES = (*TICK_TABLES, "daily_bars")  # ``orders_per_stock`` reaches them
DAILY_TABLES: dict[str, Callable[..., pd.DataFrame]] = {
    "reference": reference_frame,
    "planted_signal": planted_signal_frame,
    "daily_bars": daily_bars_frame,
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
        """Simulate one table of one day; trades and orders of a day come from one simulation.

        Returns
        -------
        SourceDay

        Raises
        ------
        SourceError
            There is no such table on that day; the message lists those that there are.
        """
        if not self.has(table, day):
            raise SourceError(
                f"the simulated exchange has no {table!r} on {day}: its trading days run {self.settings.start}.."
                f"{self.settings.end}, with trades and orders from {self.settings.first_tick_day}, daily_bars "
                "before, reference and planted_signal on all"
            )
        if table in TICK_TABLES:
            frame = _recent((self.settings, day), lambda: _simulate(self.settings, day))[table]
        else:
            frame = DAILY_TABLES[table](daily_market(self.settings), day)
        notes: dict[str, object] = {"source": self.name, "seed": self.settings.seed, "rows": len(frame)}
        if table == "reference":
            notes[INDEX_WEIGHTS_OF] = dict.fromkeys(INDICES, str(day))  # those at the day's close
        return SourceDay(frame, notes=notes)

    def fingerprint(self, table: str, day: dt.date) -> str:
        """Hash the simulation's version and the settings that reach this table.

        Returns
        -------
        str
            Without ``end`` and ``tick_start``: they never change a day that they leave in the history.
        """
        without = {"end", "tick_start"} | (set() if table in COUNTED_TABLES else {"orders_per_stock"})
        kept = {f.name: getattr(self.settings, f.name) for f in fields(self.settings) if f.name not in without}
        text = f"{self.name}|{VERSION}|{table}|{day}|{sorted(kept.items())}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


_ALWAYS = ("reference", "planted_signal")


def _simulate(settings: SimulationSettings, day: dt.date) -> dict[str, pd.DataFrame]:
    from mg_assets.sources.simulated.intraday_layer import simulate_day  # numba kernels: loaded only for ticks

    orders, trades = simulate_day(plan_day(daily_market(settings), day), settings)
    return {"orders": orders, "trades": trades}


def recent_days(days: int = 4, rows: int = 20_000_000) -> Callable[..., dict[str, pd.DataFrame]]:
    """Make a cache of simulated days (:func:`compute_once`) that keeps the newest, whatever its size.

    Parameters
    ----------
    days, rows : int
        The most that is kept; a small day counts as ``rows / days`` rows, so that one bound does for both.

    Returns
    -------
    callable
        ``get(key, simulate)``: the day's orders and trades.
    """
    return compute_once(rows, lambda tables: min(max(sum(map(len, tables.values())), rows // days), rows))


_recent = recent_days()
