"""What every source of raw tables offers."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.errors import MgError
from mg_assets.sources.io.prefetch import prefetch

RAW_TABLES = ("trades", "orders", "snapshots", "minute_bars", "daily_bars", "reference", "planted_signal")
"""Tables that a source may have; their schemas are in :mod:`mg_assets.market.schema`."""

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
        Columns of the table's schema (:mod:`mg_assets.market.schema`: prices in yuan, volume in shares, amount in
        yuan, fractions as fractions), sorted by symbol, then (ticks) by seq.
    quarantine : DataFrame
        Invalid rows, columns ``QUARANTINE_COLUMNS``.
    notes : dict of str to object
        Figures and rules for the partition's metadata (JSON values): files read, rows, what was restored.
        ``absent_columns`` lists the columns that the source does not have: they are null or hold a stand-in.
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
        """The rows as the lake's writer takes them."""
        return self.frame


class StreamedDay:
    """One raw table on one day, made stock by stock while it is read: a market's day need not fit into memory.

    It offers what a :class:`SourceDay` does. ``frame`` makes all rows at once; ``rows``, ``quarantine`` and ``notes``
    are complete after a pass over the rows; where there was none yet, they make one.

    Parameters
    ----------
    make : callable
        ``make()`` starts a pass: Arrow tables of the table's schema, each of whole stocks, sorted as a SourceDay's
        frame.
    summarize : callable
        ``summarize(rows)`` gives the day's quarantine and notes after a pass of so many rows.
    keep : bool
        Make the rows at once and keep them (a small day: an error in it is raised here).
    """

    def __init__(
        self,
        make: Callable[[], Iterator[pa.Table]],
        summarize: Callable[[int], tuple[pd.DataFrame, dict[str, object]]],
        keep: bool = False,
    ):
        self._make, self._summarize = make, summarize
        self._kept: list[pa.Table] | None = None
        self._summary: tuple[int, pd.DataFrame, dict[str, object]] | None = None
        if keep:
            self._kept = list(self)

    def __iter__(self) -> Iterator[pa.Table]:
        """Make a pass over the rows, a bounded number at a time."""
        if self._kept is not None:
            yield from self._kept
            return
        rows = 0
        for part in prefetch(self._make()):
            rows += part.num_rows
            yield part
        self._summary = rows, *self._summarize(rows)

    def __len__(self) -> int:
        return self.rows

    @property
    def data(self) -> "StreamedDay":
        """The rows as the lake's writer takes them."""
        return self

    @property
    def frame(self) -> pd.DataFrame:
        """All rows."""
        return pa.concat_tables(list(self)).to_pandas()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self._after_a_pass()[0]

    @property
    def quarantine(self) -> pd.DataFrame:
        """Invalid rows, columns ``QUARANTINE_COLUMNS``."""
        return self._after_a_pass()[1]

    @property
    def notes(self) -> dict[str, object]:
        """Figures and rules for the partition's metadata."""
        return self._after_a_pass()[2]

    def _after_a_pass(self) -> tuple[int, pd.DataFrame, dict[str, object]]:
        if self._summary is None:
            for _ in self:
                pass
        if self._summary is None:
            raise RuntimeError("a day's rows ended without their summary")
        return self._summary


Loaded = SourceDay | StreamedDay
"""What :meth:`Source.load` returns."""

INDEX_WEIGHTS_OF = "index_weights_of"
"""Note of a reference: by index, the date that its weights were published for."""
STORED_NOTES = ("volume_step", "adj_factor_corrected_today", "adj_factor_corrected_stocks", "absent_columns",
                INDEX_WEIGHTS_OF)  # fmt: skip
"""Notes of a day that its partition's footer keeps, for the quality checks, the labels and the portfolios."""


def stored_notes(loaded: Loaded) -> dict[str, object]:
    """Select the notes that the partition's footer keeps.

    Parameters
    ----------
    loaded : SourceDay or StreamedDay

    Returns
    -------
    dict of str to object
        Those of :data:`STORED_NOTES` that the day has.
    """
    return {name: loaded.notes[name] for name in STORED_NOTES if name in loaded.notes}


class Source(Protocol):
    """A provider of raw tables: what a data vendor's reader implements.

    A source is picklable, cheap to make (files are opened by :meth:`load`, not before) and safe to use from many
    threads at once. It may have any of ``RAW_TABLES``; what it has not is derived from its other tables where that can
    be done, and null elsewhere. Dates are calendar dates of the Shanghai exchange's trading days.

    A source whose trades and orders come from the same files may offer ``load_day(day) -> dict of str to (SourceDay,
    StreamedDay or MgError)`` too, which reads them once.

    Attributes
    ----------
    name : str
        For messages and the notes of partitions.
    """

    name: str

    def days(self) -> np.ndarray:
        """List the trading days that the source covers.

        Returns
        -------
        ndarray of datetime64[D] (days,)
            Ascending, without repetition; days of any table.

        Raises
        ------
        MgError
            The source's folder does not exist, or its history cannot be read.
        """
        ...

    def has(self, table: str, day: dt.date) -> bool:
        """Say whether :meth:`load` can be asked for a table of a day; it is called often and must be cheap.

        Parameters
        ----------
        table : str
            One of ``RAW_TABLES``; of another name the answer is False.
        day : date

        Returns
        -------
        bool
            True too where the day's files are there and loading them will raise: an absent table is derived or null, a
            damaged one is an error.
        """
        ...

    def load(self, table: str, day: dt.date) -> Loaded:
        """Read one table of one day.

        Parameters
        ----------
        table : str
            One of ``RAW_TABLES``.
        day : date

        Returns
        -------
        SourceDay or StreamedDay
            The rows in the table's schema (:mod:`mg_assets.market.schema`): symbols as ``600000.SH``, times
            ``datetime64[ms]`` local, prices float64 yuan without adjustment, volume int64 shares, amount float64 yuan,
            fractions as fractions. Invalid rows are in its quarantine with file, row and reason, never dropped
            silently. Equal files and settings give equal rows.

        Raises
        ------
        SourceError
            The source has no such table on the day, or a file is damaged.
        DataError
            A file is empty, lacks a column, or most of its rows are invalid.
        """
        ...

    def fingerprint(self, table: str, day: dt.date) -> str:
        """Hash all that decides what :meth:`load` returns: content, never a path or a time.

        A changed fingerprint makes every partition stale that was made from the table.

        Parameters
        ----------
        table : str
            One of ``RAW_TABLES``.
        day : date

        Returns
        -------
        str
            Of the settings that decide values, the reader's version, and the bytes of the day's files
            (:func:`~mg_assets.sources.fingerprint.fingerprint_of`, :func:`~mg_assets.sources.fingerprint.file_digests`,
            which reads a file again only after it changed), or of the day's rows. A file that was only touched, copied
            or moved leaves it as it is; a name counts where the reader takes a stock or a day from it.
        """
        ...


def stock_names(source: Source) -> dict[str, str]:
    """Names of stocks, for people to read, from a source with a method ``stock_names``.

    Parameters
    ----------
    source : Source

    Returns
    -------
    dict of str to str
        By symbol; empty where the source has no names.
    """
    names = getattr(source, "stock_names", None)
    return dict(names()) if names is not None else {}


def ticks_of(source: Source, day: dt.date, tables: Sequence[str] = TICKS) -> dict[str, Loaded | MgError]:
    """Load trades and orders of one day, as far as the source has them.

    A source with a method ``load_day`` reads the files that both need once.

    Parameters
    ----------
    source : Source
    day : date
    tables : sequence of str
        Of ``TICKS``.

    Returns
    -------
    dict of str to (SourceDay, StreamedDay or MgError)
        A table that cannot be read is its error.
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
