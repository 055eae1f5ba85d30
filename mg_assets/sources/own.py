"""Base classes of sources of the user's own.

:class:`OwnSource` reads a table of a day; :class:`DailySource` has a whole history of daily bars as one frame.
Either is found by its ``kind`` among the modules of the settings' ``extensions``, as ``source: {kind: my_vendor, root:
data/my}``.
What the frames lack is refused, moved to the quarantine or said in the notes: nothing passes with nulls and no word.
"""

import datetime as dt
import inspect
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.errors import DataError, MgError, SourceError
from mg_assets.extensions import code_digest, described
from mg_assets.market.schema import SCHEMAS
from mg_assets.settings.values import known_names
from mg_assets.sources.base import RAW_TABLES, SourceDay
from mg_assets.sources.daily.history import DailyHistory
from mg_assets.sources.daily.panel import build_panel
from mg_assets.sources.daily.vetting import NUMBERS, DailyRows
from mg_assets.sources.fingerprint import file_digests, fingerprint_of
from mg_assets.sources.io.dates import dates_of, to_date
from mg_assets.sources.quarantine import quarantine_frame

OHLC = ("open", "high", "low", "close")
REQUIRED: dict[str, tuple[str, ...]] = {
    "trades": ("symbol", "time", "price", "volume", "buy_order", "sell_order", "side"),
    "orders": ("symbol", "time", "order_id", "side", "volume", "kind"),
    "snapshots": ("symbol", "time"),
    "minute_bars": ("symbol", "minute", *OHLC, "volume", "amount"),
    "daily_bars": ("symbol", *OHLC, "volume"),
    "reference": ("symbol",),
    "planted_signal": ("symbol", "signal"),
}
"""Columns without which a table is refused, and rows in which one of them is null are set aside."""
KEYS = {"trades": ("symbol", "seq"), "orders": ("symbol", "seq"), "minute_bars": ("symbol", "minute"),
        "snapshots": ("symbol", "time")}  # fmt: skip
"""Columns that identify and order a table's rows; of the other tables the symbol."""
SYMBOL = r"\d{6}\.(SH|SZ|BJ)"
FLAGS = ("suspended", "st")


class OwnSource:
    """A source of the user's own: a table of a day as a DataFrame.

    The least that a subclass gives:

    - ``kind``: the name in the settings; ``tables``: which of ``trades``, ``orders``, ``snapshots``, ``minute_bars``,
      ``daily_bars`` and ``reference`` it has;
    - ``__init__`` with the options that the settings may set, each of which the reader checks;
    - ``days()``: its trading days; ``read(table, day)``: a day's rows, with the columns of the table's schema
      (:mod:`mg_assets.market.schema`): prices in yuan without adjustment, volume in shares, amount in yuan, symbols as
      ``600000.SH``, times of Shanghai. Columns that are not :data:`REQUIRED` may be absent.

    And, where reading a day only to see whether it changed is slow, ``files(table, day)``: the files that it is read
    from.
    A source is cheap to make (files are opened by ``read``), picklable, and used by many threads at once.
    """

    kind: ClassVar[str] = ""
    tables: ClassVar[tuple[str, ...]] = ()
    _given: dict[str, Any]

    def __new__(cls, *args: Any, **options: Any) -> "OwnSource":
        """Keep the options, which decide the values."""
        made = super().__new__(cls)
        made._given = {}
        if args or options:
            try:
                made._given = dict(inspect.signature(cls).bind(*args, **options).arguments)
            except TypeError:  # __init__ says it better
                pass
        return made

    @property
    def name(self) -> str:
        """For messages and the notes of partitions."""
        return self.kind

    def days(self) -> np.ndarray:
        """Trading days that the source covers: dates, or text as ``2023-02-01``, in any order.

        Raises
        ------
        NotImplementedError
            The subclass lacks it.
        """
        raise NotImplementedError(f"{type(self).__name__} lacks days(): the trading days that the source covers")

    def read(self, table: str, day: dt.date) -> pd.DataFrame:
        """One table of one day, one of :attr:`tables` on one of :meth:`days`.

        Raises
        ------
        NotImplementedError
            The subclass lacks it.
        """
        raise NotImplementedError(f"{type(self).__name__} lacks read(table, day): the rows of a day as a DataFrame")

    def files(self, table: str, day: dt.date) -> Sequence[Path]:
        """Files that a day's table is read from; none, and the rows themselves are compared."""
        return ()

    def has(self, table: str, day: dt.date) -> bool:
        """Whether :meth:`load` can be asked for a table of a day."""
        return table in self.tables and day in self._days

    def load(self, table: str, day: dt.date) -> SourceDay:
        """What :meth:`read` gives, checked against the table's schema.

        Returns
        -------
        SourceDay

        Raises
        ------
        SourceError
            There is no such table that day, or reading it failed.
        DataError
            A required column is absent or null, a column is unknown, or most rows are invalid.
        """
        if not self.has(table, day):
            raise SourceError(f"source {self.name!r} has no {table} on {day}")
        return conformed(self._read(table, day), table, day, self.name)

    def fingerprint(self, table: str, day: dt.date) -> str:
        """Of the code, the options that name no file, and the bytes of the day's files, or else its rows."""
        paths = [Path(p) for p in self._own("files", table, day)]
        if paths:
            content: object = file_digests(paths)
        else:
            frame = self._read(table, day)
            content = pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes().hex()
            content = fingerprint_of(list(map(str, frame.columns)), content)
        options = {k: v for k, v in self._given.items() if not _is_path(v)}
        return fingerprint_of(self.kind, code_digest(type(self)), options, table, str(day), content)

    @cached_property
    def _days(self) -> frozenset[dt.date]:
        return frozenset(as_dates(self._own("days"), self.name))

    def _read(self, table: str, day: dt.date) -> pd.DataFrame:
        return self._frame("read", table, day)

    def _own(self, method: str, *arguments: object) -> Any:
        """What a method of the subclass gives; its error in one line."""
        try:
            return getattr(self, method)(*arguments)
        except MgError:
            raise
        except Exception as error:  # whatever a user's method raises
            asked = ", ".join(map(str, arguments))
            raise SourceError(f"source {self.name!r}: {method}({asked}): {described(error)}") from error

    def _frame(self, method: str, *arguments: object) -> pd.DataFrame:
        found = self._own(method, *arguments)
        if hasattr(found, "to_pandas"):  # Arrow, Polars
            found = found.to_pandas()
        if not isinstance(found, pd.DataFrame):
            asked = ", ".join(map(str, arguments))
            raise SourceError(f"source {self.name!r}: {method}({asked}) gave {type(found).__name__}, no DataFrame")
        return found


class DailySource(OwnSource):
    """A source of the user's own whose daily bars are one frame of the whole history.

    The least that a subclass gives:

    - ``kind``: the name in the settings;
    - ``__init__`` with the options that the settings may set;
    - ``daily()``: a DataFrame with ``date``, ``symbol``, ``open``, ``high``, ``low``, ``close`` (yuan, not
      adjusted) and ``volume`` (shares), in any order. It may have ``amount`` (yuan), ``prev_close``, ``adj_factor``,
      ``up_limit``, ``down_limit``, ``float_shares``, ``suspended``, ``st``, .. too; what it lacks is derived as for
      mapped tables (docs/sources.md), or null, and said.
    """

    tables = ("daily_bars", "reference")

    def daily(self) -> pd.DataFrame:
        """Daily bars of all days.

        Raises
        ------
        NotImplementedError
            The subclass lacks it.
        """
        raise NotImplementedError(f"{type(self).__name__} lacks daily(): all daily bars as one DataFrame")

    def days(self) -> np.ndarray:
        """Days with a row."""
        return self._history.panel.days

    def load(self, table: str, day: dt.date) -> SourceDay:
        """Load one table of one day; raises SourceError where there is none."""
        if not self.has(table, day):
            raise SourceError(f"source {self.name!r} has no {table} on {day}")
        return self._history.load(table, np.datetime64(day, "D"), self.name)

    def fingerprint(self, table: str, day: dt.date) -> str:
        """Of the day's rows."""
        return fingerprint_of(self.kind, self._marks.get(table, {}).get(str(day), ""))

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_history", "_marks", "_days")}

    @cached_property
    def _marks(self) -> dict[str, dict[str, str]]:
        return self._history.marks()

    @cached_property
    def _history(self) -> DailyHistory:
        found = self._frame("daily")
        known = ("date", "symbol", *NUMBERS, *FLAGS)
        _check_columns(found, known, ("date", "symbol", *OHLC, "volume"), f"source {self.name!r}: daily()")
        symbols = found["symbol"].astype("str")
        readable = symbols.str.fullmatch(SYMBOL).fillna(False).to_numpy(bool)
        axis = np.unique(symbols[readable].to_numpy(object))
        columns: dict[str, np.ndarray] = {}
        unparsed: dict[str, np.ndarray] = {}
        file, words = f"{self.name}: daily()", dict[tuple[str, int], dict[str, str]]()
        for column in (c for c in found.columns if c in NUMBERS):
            number = pd.to_numeric(found[column], errors="coerce")
            columns[column] = number.to_numpy(np.float64, na_value=np.nan)
            unparsed[column] = (number.isna() & found[column].notna()).to_numpy(bool)
            for at in np.flatnonzero(unparsed[column]).tolist():
                words.setdefault((file, at + 1), {})[column] = str(found[column].iloc[at])
        columns |= {c: _flags(found[c], f"source {self.name!r}: daily()") for c in FLAGS if c in found}
        date_text = pa.chunked_array([pa.array(found["date"], from_pandas=True)])
        rows = DailyRows(
            axis,
            np.where(readable, pd.Index(axis).get_indexer(symbols), -1).astype(np.int32),
            dates_of(date_text),
            columns,
            file,
            np.arange(1, len(found) + 1),
            unparsed={c: bad for c, bad in unparsed.items() if bad.any()},
            words=words,
            date_text=date_text,
        )
        return DailyHistory(build_panel(rows))


def as_dates(days: Any, name: str) -> list[dt.date]:
    """Days as dates, ascending, each once; a :class:`SourceError` where one is none."""
    try:
        found = [to_date(day.item() if isinstance(day, np.generic) else day) for day in days]
    except (TypeError, ValueError) as error:
        raise SourceError(f"source {name!r}: days() gave {days!r}; dates were expected: {error}") from error
    wrong = [day for day, one in zip(days, found, strict=True) if np.isnat(one)]
    if wrong:
        raise SourceError(f"source {name!r}: days() gave {wrong[0]!r}; a date was expected")
    return sorted({pd.Timestamp(one).date() for one in found})


def conformed(frame: pd.DataFrame, table: str, day: dt.date, name: str) -> SourceDay:
    """A day's rows in the schema of its table.

    Parameters
    ----------
    frame : DataFrame
    table : str
        One of ``RAW_TABLES``.
    day : date
    name : str
        Of the source.

    Returns
    -------
    SourceDay
        Sorted; rows that are no rows of the table in its quarantine, with the reason; ``absent_columns`` in its notes.

    Raises
    ------
    DataError
        A required column is absent or null throughout, a column is none of the table's, or most rows are invalid.
    """
    where, schema = f"source {name!r}: {table} on {day}", SCHEMAS[table]
    _check_columns(frame, schema.names, REQUIRED[table], where)
    frame = frame.reset_index(drop=True)
    if "seq" in schema.names and "seq" not in frame:
        frame["seq"] = frame.groupby("symbol", sort=False).cumcount()
    kept, bad = _valid_rows(frame, table, name, REQUIRED[table], day)
    absent = [c for c in schema.names if c not in kept or (kept[c].isna().all() and len(kept))]
    if table == "daily_bars":
        traded = kept["volume"] > 0
        kept = kept.assign(**{c: v for c, v in _daily_stand_ins(kept, traded).items() if c in absent})
    for column in schema.names:
        if column not in kept:
            empty = False if pa.types.is_boolean(schema.field(column).type) else None
            kept[column] = pd.Series([empty] * len(kept), index=kept.index, dtype=object if empty is None else bool)
    try:
        made = pa.Table.from_pandas(kept[schema.names], preserve_index=False).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{where}: {' '.join(str(error).split())}") from error
    notes: dict[str, object] = {"source": name, "absent_columns": absent, "quarantined": len(bad)}
    return SourceDay(made.to_pandas(), bad, notes)


def _daily_stand_ins(frame: pd.DataFrame, traded: pd.Series) -> dict[str, pd.Series]:
    """What daily bars hold where the source says nothing of it; it is named in the notes."""
    middle = frame[["high", "low", "close"]].mean(axis=1)
    value = frame["amount"] / frame["volume"].where(traded) if "amount" in frame else middle
    return {
        "vwap": value.astype(float).where(traded),
        "adj_factor": pd.Series(1.0, frame.index),
        "suspended": ~traded,
        "st": pd.Series(False, frame.index),
    }


def _check_columns(frame: pd.DataFrame, known: Sequence[str], required: Sequence[str], where: str) -> None:
    """Refuse columns that are unknown, given twice, or required and absent or null throughout."""
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"{where} has the column {twice[0]} twice")
    unknown = [str(c) for c in frame.columns if c not in known]
    if unknown:
        hint = known_names(unknown[0], known)
        raise DataError(f"{where} has the column {unknown[0]}, which is none of the table's: rename or drop it; {hint}")
    lacking = [c for c in required if c not in frame.columns]
    if lacking:
        raise DataError(f"{where} lacks {', '.join(lacking)}; needed are {', '.join(required)}")
    null = [c for c in required if len(frame) and frame[c].isna().all()]
    if null:
        raise DataError(f"{where}: {', '.join(null)} is null in all {len(frame)} rows")


def _valid_rows(
    frame: pd.DataFrame, table: str, name: str, required: Sequence[str], day: dt.date
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows that can be rows of the table, numbers as numbers, sorted; and the quarantine of the others."""
    reason = pd.Series("", frame.index, dtype=object)

    def mark(bad: pd.Series, text: str) -> None:
        reason[bad & (reason == "")] = text

    given = frame
    frame = frame.copy()
    for column in required:
        mark(frame[column].isna(), f"{column} is null")
    symbol = frame["symbol"].astype("str")
    mark(~symbol.str.fullmatch(SYMBOL).fillna(False).astype(bool), "the symbol is not as 600000.SH")
    for column, kind in ((f.name, f.type) for f in SCHEMAS[table] if f.name in frame):
        if pa.types.is_floating(kind) or pa.types.is_integer(kind):
            number = pd.to_numeric(frame[column], errors="coerce")
            mark(number.isna() & frame[column].notna(), f"{column} is no number")
            mark(np.isinf(number.astype(float)), f"{column} is infinite")
            if pa.types.is_integer(kind):
                mark((number % 1 != 0) & number.notna(), f"{column} is no whole number")
            frame[column] = number
    if "time" in frame:
        frame["time"] = _local(frame["time"]).astype("datetime64[ms]")
        mark(frame["time"].isna() | (frame["time"].dt.date != day), f"the time is not of {day}")
    if "minute" in frame:
        mark(~frame["minute"].between(0, 239), "the minute is not in 0..239")
    key = list(KEYS.get(table, ("symbol",)))
    mark(frame.duplicated(key), f"the {' and '.join(key)} of a row before")
    bad = (reason != "").to_numpy()
    if bad.sum() * 2 > len(frame):
        first = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"source {name!r}: {table} on {day}: {bad.sum()} of {len(frame)} rows are invalid, the first is row "
            f"{first + 1} ({symbol.iloc[first]}): {reason.iloc[first]}"
        )
    content = given[bad].astype(object).to_dict("records")
    aside = quarantine_frame(table, name, np.flatnonzero(bad) + 1, reason[bad].tolist(), content, symbol[bad].tolist())
    return frame[~bad].sort_values(key, kind="stable").reset_index(drop=True), aside


def _flags(column: pd.Series, where: str) -> np.ndarray:
    """True and false, 1 and 0, null as false; text is refused, since any of it would be true."""
    known = column.isna() | column.isin([True, False])
    if not known.all():
        first = column[~known].iloc[0]
        raise DataError(f"{where}: {column.name} was {first!r}; true or false, or 1 or 0, was expected")
    return column.fillna(False).to_numpy(bool)


def _local(stamps: pd.Series) -> pd.Series:
    """Dates or times of Shanghai, without a zone; NaT where they are none."""
    found = pd.to_datetime(stamps, errors="coerce")
    return found if found.dt.tz is None else found.dt.tz_convert("Asia/Shanghai").dt.tz_localize(None)


def _is_path(value: object) -> bool:
    try:
        return isinstance(value, str | Path) and Path(value).expanduser().exists()
    except OSError:
        return False


def check_class(kind: type[OwnSource]) -> None:
    """Refuse a class that cannot be a source.

    Raises
    ------
    SourceError
        It names tables that there are none of, or lacks what a source must give.
    """
    where = f"source {kind.kind!r} ({kind.__name__})"
    unknown = [t for t in kind.tables if t not in RAW_TABLES]
    if unknown or not kind.tables:
        problem = f"has no table {unknown[0]}" if unknown else "names no tables"
        raise SourceError(f"{where} {problem}; {known_names(unknown[0] if unknown else '', RAW_TABLES)}")
    if issubclass(kind, DailySource):
        lacking = [] if kind.daily is not DailySource.daily else ["daily"]
    else:
        lacking = [n for n in ("days", "read") if getattr(kind, n) is getattr(OwnSource, n)]
    if lacking:
        raise SourceError(
            f"{where} lacks {', '.join(lacking)}; see {OwnSource.__module__}.{kind.__bases__[0].__name__}"
        )
