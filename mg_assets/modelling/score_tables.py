"""Scores of a user's own file, by day: a long or a wide table of Parquet or CSV.

The score of a date is taken to be decided at that day's close. Each day's rows have a digest of their own, so that a
changed file makes the changed days stale and no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.errors import DataError, MgError
from mg_assets.market.calendar import trading_days
from mg_assets.settings.catalogs import TableSignal
from mg_assets.settings.values import known_names
from mg_assets.sources.io.dates import dates_of
from mg_assets.sources.io.read_file import WantedColumn, place, read_columns, read_header
from mg_assets.sources.io.symbols import to_symbol
from mg_models.data.fingerprint import array_digest

SUFFIXES = (".parquet", ".csv", ".csv.gz")
NO_SCORE = ("nan", "null", "none", "na", "n/a", "#n/a", "<na>")


@dataclass(frozen=True)
class ScoreTable:
    """A file's scores.

    Attributes
    ----------
    days : dict of str to DataFrame
        ``symbol`` and ``score`` by symbol, of each day that has one.
    digests : dict of str to str
        Of each day's rows.
    """

    days: Mapping[str, pd.DataFrame]
    digests: Mapping[str, str]


def scores_of(signal: TableSignal) -> ScoreTable:
    """The scores of a signal's file, read once while the file stays as it is.

    Parameters
    ----------
    signal : TableSignal

    Returns
    -------
    ScoreTable

    Raises
    ------
    DataError
        There is no such file, or a column, date, symbol or score of it cannot be used: in one line, with its line in
        the file.
    """
    path = Path(signal.path)
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"signal {signal.name}: {path} cannot be read: {error.strerror}") from error
    return _read(signal, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _read(signal: TableSignal, changed: int, size: int) -> ScoreTable:
    where = f"signal {signal.name}: {signal.path}"
    long = _long(*_frame(signal, where), signal, where)
    score = pd.to_numeric(long["score"], errors="coerce").to_numpy(np.float64)
    wrong = ~np.isfinite(score) & long["score"].notna().to_numpy() & (long["score"].astype(str) != "").to_numpy()
    wrong &= ~np.isin(long["score"].astype(str).str.lower(), NO_SCORE)
    _refuse(signal.path, wrong, long, "score", where, "a finite number was expected")
    days = dates_of(pa.chunked_array([pa.array(long["date"])]))
    _refuse(signal.path, np.isnat(days), long, "date", where, "a date as 2023-12-29 was expected")
    _refuse(signal.path, ~np.isin(days, trading_days()), long, "date", where, "a trading day was expected")
    each = {text: to_symbol(text) for text in long["symbol"].unique()}
    symbols = long["symbol"].map(each)
    _refuse(signal.path, symbols.isna().to_numpy(), long, "symbol", where, "a stock as 600000.SH was expected")
    table = pd.DataFrame({"date": days, "symbol": symbols.astype("str"), "score": score, "row": long["row"]})
    table = table[np.isfinite(score)].sort_values(["date", "symbol"], ignore_index=True)
    twice = table.duplicated(["date", "symbol"])
    if twice.any():
        first = table[twice].iloc[0]
        raise DataError(
            f"{where}, {place(signal.path, first['row'])}: {first['symbol']} has a second score on "
            f"{first['date']:%Y-%m-%d}"
        )
    found = {f"{day:%Y-%m-%d}": part[["symbol", "score"]].reset_index(drop=True) for day, part in table.groupby("date")}
    return ScoreTable(found, {day: digest_of(part) for day, part in found.items()})


def digest_of(frame: pd.DataFrame) -> str:
    """Digest of a day's scores."""
    return array_digest([frame["score"].to_numpy(np.float64)], frame["symbol"].astype(str).tolist())


def _frame(signal: TableSignal, where: str) -> tuple[pd.DataFrame, np.ndarray]:
    """The file as it is, an index of pandas as columns; and each row's line in it, or its number in a Parquet file."""
    name = signal.path.lower()
    if not name.endswith(SUFFIXES):
        raise DataError(f"{where}: a file ending in {', '.join(SUFFIXES)} was expected")
    if not name.endswith(".parquet"):
        return _text(signal, where)
    try:
        frame = pd.read_parquet(signal.path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{where} cannot be read: {' '.join(str(error).split())}") from error
    index, frame = frame.index, frame.reset_index(drop=True)
    if not isinstance(index, pd.RangeIndex):
        # without names, as of a pivoted table; what is a column as well is only the rows' order
        for level, own in enumerate(index.names):
            column = own if own is not None else (signal.date, signal.symbol, None)[min(level, 2)]
            if column is not None and column not in frame.columns:
                frame.insert(level, column, index.get_level_values(level))
    return frame.rename(columns=str), np.arange(1, len(frame) + 1)


def _text(signal: TableSignal, where: str) -> tuple[pd.DataFrame, np.ndarray]:
    """A text file's cells as text, and each row's line."""
    try:
        header = read_header(signal.path)
        data = read_columns(signal.path, {name: WantedColumn((name.strip(),), "text") for name in header})
    except MgError as error:
        raise DataError(f"signal {signal.name}: {error}") from error
    numbers, reasons, _ = data.broken_rows
    if len(numbers):
        raise DataError(f"{where}, {place(signal.path, numbers[0])}: {reasons[0]}; correct or end this line")
    return data.table.to_pandas(), data.row_numbers(np.arange(len(data.table)))


def _long(frame: pd.DataFrame, row: np.ndarray, signal: TableSignal, where: str) -> pd.DataFrame:
    """Columns date, symbol, score and row (of the file) of a long or a wide table."""
    names = list(frame.columns)
    if signal.score in names or signal.symbol in names:
        for column in (signal.date, signal.symbol, signal.score):
            if column not in names:
                raise DataError(f"{where} has no column {column!r}; {known_names(column, names)}")
        chosen = frame[[signal.date, signal.symbol, signal.score]].set_axis(["date", "symbol", "score"], axis=1)
        return chosen.assign(row=row)
    first = signal.date if signal.date in names else names[0]
    stocks = [n for n in names if n != first]
    strange = next((n for n in stocks if to_symbol(n) is None), None)
    if strange is not None or not stocks:
        raise DataError(
            f"{where}: columns {signal.date}, {signal.symbol} and {signal.score}, or a row a day and a column a stock, "
            f"were expected; it has {', '.join(names[:6])}"
        )
    wide = frame.assign(row=row).melt([first, "row"], stocks, "symbol", "score")
    return wide.rename(columns={first: "date"})


def _refuse(path: str, wrong: np.ndarray, table: pd.DataFrame, column: str, where: str, expected: str) -> None:
    if wrong.any():
        first = table[wrong].iloc[0]
        more = f" ({wrong.sum()} rows)" if wrong.sum() > 1 else ""
        was = "empty" if pd.isna(first[column]) else repr(first[column])
        raise DataError(f"{where}, {place(path, first['row'])}: {column} was {was}{more}; {expected}")
