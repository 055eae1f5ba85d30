"""A small simulated market in memory, and a user's data in its place."""

import datetime as dt
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.factors.own_frames import Tables, schema_of
from mg_assets.lake.frames import conform
from mg_assets.lake.store import Lake
from mg_assets.market.schema import SCHEMAS
from mg_assets.sources.simulated.exchange import SimulatedExchange
from mg_assets.sources.simulated.settings import SimulationSettings

STOCKS = 24
FIRST, LAST = dt.date(2020, 9, 1), dt.date(2023, 2, 28)
TICKS_FROM = dt.date(2023, 2, 1)


class Sample:
    """The simulated market: raw tables, bars, and made-up values (standard normal) of the published factors."""

    def __init__(self) -> None:
        common: dict[str, Any] = {"stocks": STOCKS, "start": FIRST, "end": LAST, "orders_per_stock": 200}
        self._daily = SimulatedExchange(SimulationSettings(**common, tick_start=LAST))
        self._ticks = SimulatedExchange(SimulationSettings(**common, tick_start=TICKS_FROM))
        self._made: dict[tuple[str, str], pa.Table] = {}

    def keys(self, table: str) -> list[str]:
        """Days with a table: of ticks and what is made of them fewer."""
        days = [str(d) for d in self._daily.days()][:-1]
        return [
            d for d in days if table not in ("trades", "orders", "minute_bars", "snapshots") or d >= str(TICKS_FROM)
        ]

    def has(self, table: str, key: str) -> bool:
        """Whether the market has a table on a day."""
        return table != "snapshots" and key in self.keys(table)

    def table(self, table: str, key: str, columns: list[str] | None = None) -> pa.Table:
        """Rows of a day."""
        if (table, key) not in self._made:
            self._made[table, key] = self._make(table, key)
        found = self._made[table, key]
        return found if columns is None else found.select(columns)

    def _make(self, table: str, key: str) -> pa.Table:
        day = dt.date.fromisoformat(key)
        if table in ("trades", "orders"):
            frame = self._ticks.load(table, day).frame
        elif table == "minute_bars":
            from mg_assets.factors.kernels.build_bars import bars_from_trades

            close = self._daily.load("reference", day).frame.set_index("symbol")["prev_close"]
            frame = bars_from_trades(self._ticks.load("trades", day).frame, close)
        elif table in ("daily_bars", "reference"):
            frame = self._daily.load(table, day).frame
        else:
            symbols = self.table("daily_bars", key)["symbol"].to_pandas()
            rng = np.random.default_rng(zlib.crc32(f"{table} {key}".encode()))
            names = schema_of(table).names[1:]
            frame = pd.DataFrame(rng.standard_normal((len(symbols), len(names))), columns=names)
            frame.insert(0, "symbol", symbols)
        return conform(table, frame)


class Frames:
    """A user's tables as frames with a column ``date``."""

    def __init__(self, frames: Mapping[str, pd.DataFrame]):
        self._parts = {
            (name, str(day)[:10]): conform(name, part.drop(columns="date"))
            for name, frame in frames.items()
            for day, part in frame.groupby(pd.to_datetime(frame["date"]).dt.date, sort=True)
        }

    def keys(self, table: str) -> list[str]:
        """Days of a table."""
        return [key for name, key in self._parts if name == table]

    def has(self, table: str, key: str) -> bool:
        """Whether the day has rows."""
        return (table, key) in self._parts

    def table(self, table: str, key: str, columns: list[str] | None = None) -> pa.Table:
        """Rows of a day."""
        found = self._parts[table, key]
        return found if columns is None else found.select(columns)


class Changed:
    """Tables some of which are changed while they are read.

    Parameters
    ----------
    tables : Tables
    change : callable
        Takes a table, its day and the rows; gives the rows.
    """

    def __init__(self, tables: Tables, change: Callable[[str, str, pd.DataFrame], pd.DataFrame]):
        self._tables, self._change = tables, change

    def has(self, table: str, key: str) -> bool:
        """Whether the day has rows."""
        return self._tables.has(table, key)

    def table(self, table: str, key: str, columns: list[str] | None = None) -> pa.Table:
        """Changed rows of a day."""
        found = self._tables.table(table, key, columns)
        frame = self._change(table, key, found.to_pandas())
        return pa.Table.from_pandas(frame, schema=found.schema, preserve_index=False)


@lru_cache(maxsize=1)
def sample() -> Sample:
    """The simulated market, once a process."""
    return Sample()


def tables_of(data: Any) -> Any:
    """The simulated market, a lake, its folder, or frames by table."""
    if data is None:
        return sample()
    if isinstance(data, Mapping):
        return Frames({name: frame for name, frame in data.items() if name in SCHEMAS})
    return Lake(data) if isinstance(data, str | Path) else data
