"""What every source of raw tables offers."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd

from mg_assets.errors import MgError

RAW_TABLES = ("trades", "orders", "snapshots", "minute_bars", "daily_bars", "reference", "planted_signal")

TICKS = ("trades", "orders")

QUARANTINE_COLUMNS = ("table", "symbol", "file", "row", "reason", "content")


def no_quarantine() -> pd.DataFrame:
    """An empty quarantine table."""
    return pd.DataFrame({c: pd.Series(dtype="int64" if c == "row" else "str") for c in QUARANTINE_COLUMNS})


@dataclass(frozen=True)
class SourceDay:
    """One raw table on one day.

    Attributes
    ----------
    frame : DataFrame
        Columns of the table's schema, sorted by symbol, then (ticks) by seq.
    quarantine : DataFrame
        Rows set aside, columns ``QUARANTINE_COLUMNS``.
    notes : dict
        What a person wants to know: files read, rows, what was restored.
    """

    frame: pd.DataFrame
    quarantine: pd.DataFrame = field(default_factory=no_quarantine)
    notes: dict[str, object] = field(default_factory=dict)


class Source(Protocol):
    """A provider of raw tables; picklable, cheap to make, safe to use from many threads."""

    name: str

    def days(self) -> np.ndarray:
        """Trading days that the source covers, ``datetime64[D]``, ascending."""
        ...

    def has(self, table: str, day: dt.date) -> bool:
        """Whether the source has this table on this day."""
        ...

    def load(self, table: str, day: dt.date) -> SourceDay:
        """Read one table of one day. Raises SourceError where it has none."""
        ...

    def fingerprint(self, table: str, day: dt.date) -> str:
        """A short hash of all that decides what :meth:`load` returns (settings; files' size and time)."""
        ...


def ticks_of(source: Source, day: dt.date, tables: Sequence[str] = TICKS) -> dict[str, SourceDay | MgError]:
    """Trades and orders of one day, as far as the source has them; a table that cannot be read is its error.

    A source with a method ``load_day`` reads the files that both need once.
    """
    wanted = [t for t in tables if source.has(t, day)]
    together = getattr(source, "load_day", None)
    if together is not None and len(wanted) > 1:
        loaded: dict[str, SourceDay | MgError] = together(day)
        return {t: loaded[t] for t in wanted if t in loaded}
    out: dict[str, SourceDay | MgError] = {}
    for table in wanted:
        try:
            out[table] = source.load(table, day)
        except MgError as error:
            out[table] = error
    return out
