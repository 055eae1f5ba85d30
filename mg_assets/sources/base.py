"""What every source of raw tables offers."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.errors import MgError
from mg_assets.sources.io.prefetch import ahead

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

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.frame)

    @property
    def data(self) -> pd.DataFrame:
        """What the lake writes."""
        return self.frame


class StreamedDay:
    """One raw table on one day, made stock by stock while it is read: a market's day need not fit into memory.

    It offers what a :class:`SourceDay` does. ``frame`` makes all rows at once; ``rows``, ``quarantine`` and ``notes``
    are known once the rows went by, and asked for earlier they let them go by.

    Parameters
    ----------
    make : callable
        Makes the rows anew: tables of the table's schema, each of whole stocks, sorted as a SourceDay's frame.
    told : callable
        Quarantine and notes of the day, once ``make`` has run through.
    keep : bool
        Make the rows at once and keep them (a small day: an error in it is met here).
    """

    def __init__(
        self,
        make: Callable[[], Iterator[pa.Table]],
        told: Callable[[int], tuple[pd.DataFrame, dict[str, object]]],
        keep: bool = False,
    ):
        self._make, self._told = make, told
        self._kept: list[pa.Table] | None = None
        self._known: tuple[int, pd.DataFrame, dict[str, object]] | None = None
        if keep:
            self._kept = list(self)

    def __iter__(self) -> Iterator[pa.Table]:
        """The rows, a bounded number at a time."""
        if self._kept is not None:
            yield from self._kept
            return
        rows = 0
        for part in ahead(self._make()):
            rows += part.num_rows
            yield part
        self._known = rows, *self._told(rows)

    def __len__(self) -> int:
        return self.rows

    @property
    def data(self) -> "StreamedDay":
        """What the lake writes."""
        return self

    @property
    def frame(self) -> pd.DataFrame:
        """All rows."""
        return pa.concat_tables(list(self)).to_pandas()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self._summary()[0]

    @property
    def quarantine(self) -> pd.DataFrame:
        """Rows set aside, columns ``QUARANTINE_COLUMNS``."""
        return self._summary()[1]

    @property
    def notes(self) -> dict[str, object]:
        """What a person wants to know."""
        return self._summary()[2]

    def _summary(self) -> tuple[int, pd.DataFrame, dict[str, object]]:
        if self._known is None:
            for _ in self:
                pass
        if self._known is None:
            raise RuntimeError("a day's rows ended without their notes")
        return self._known


Loaded = SourceDay | StreamedDay


class Source(Protocol):
    """A provider of raw tables; picklable, cheap to make, safe to use from many threads."""

    name: str

    def days(self) -> np.ndarray:
        """Trading days that the source covers, ``datetime64[D]``, ascending."""
        ...

    def has(self, table: str, day: dt.date) -> bool:
        """Whether the source has this table on this day."""
        ...

    def load(self, table: str, day: dt.date) -> Loaded:
        """Read one table of one day. Raises SourceError where it has none."""
        ...

    def fingerprint(self, table: str, day: dt.date) -> str:
        """A short hash of all that decides what :meth:`load` returns (settings; files' size and time)."""
        ...


def ticks_of(source: Source, day: dt.date, tables: Sequence[str] = TICKS) -> dict[str, Loaded | MgError]:
    """Trades and orders of one day, as far as the source has them; a table that cannot be read is its error.

    A source with a method ``load_day`` reads the files that both need once.
    """
    wanted = [t for t in tables if source.has(t, day)]
    together = getattr(source, "load_day", None)
    if together is not None and len(wanted) > 1:
        loaded: dict[str, Loaded | MgError] = together(day)
        return {t: loaded[t] for t in wanted if t in loaded}
    out: dict[str, Loaded | MgError] = {}
    for table in wanted:
        try:
            out[table] = source.load(table, day)
        except MgError as error:
            out[table] = error
    return out
