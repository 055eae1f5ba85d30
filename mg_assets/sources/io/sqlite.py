"""Bars in vnpy's SQLite database (table ``dbbardata``) as Arrow tables, a bounded number of rows at a time.

Columns: symbol, exchange (``SSE``, ``SZSE``), datetime (Shanghai's time, of a minute its start), interval (``d``,
``1m``, ``1h``), volume, turnover, open_interest, open_price, high_price, low_price, close_price. The unique index on
(symbol, exchange, interval, datetime) finds a day of a stock without reading the others.

Source: vnpy_sqlite (``DbBarData``).
"""

import datetime as dt
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from mg_assets.errors import DataError, SourceError
from mg_assets.sources.io.row_count import require_all_rows

TABLE = "dbbardata"
BLOCK_ROWS = 1 << 17
TEXTS = ("symbol", "exchange", "datetime", "interval")
WORDS = pa.dictionary(pa.int32(), pa.string())
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def header(path: Path) -> list[str]:
    """Columns of the table of bars; empty where the database has none. Raises SourceError as :func:`read`."""
    with _opened(path) as database:
        return [row[1] for row in database.execute(f"PRAGMA table_info({TABLE})")]


def sample(path: Path, count: int) -> list[list[str]]:
    """Some rows of each interval, as text."""
    with _opened(path) as database:
        kinds = [row[0] for row in database.execute(f"SELECT DISTINCT interval FROM {TABLE}")]
        query = f"SELECT * FROM {TABLE} WHERE interval IS ? LIMIT ?"
        rows = [row for kind in kinds for row in database.execute(query, (kind, count))]
    return [["" if value is None else str(value) for value in row] for row in rows]


def read(
    path: Path, columns: Sequence[str], interval: str, day: np.datetime64 | None = None
) -> tuple[pa.Table, np.ndarray, int]:
    """Read the bars of one interval, or those of one day.

    Parameters
    ----------
    path : Path
    columns : sequence of str
        Columns of the table.
    interval : str
    day : datetime64[D], optional
        Rows whose time has no date belong to the first day.

    Returns
    -------
    table : Table
        Texts dictionary-encoded; a column of numbers with a text in it is text.
    rows : ndarray of int64
        The table's row ids.
    count : int
        Rows of the interval in the whole table.

    Raises
    ------
    SourceError
        The file is no SQLite database, or is damaged.
    DataError
        It has no bars of the interval.
    """
    counts, pairs = _content(path, interval)
    total = sum(counts.values())
    if not total:
        raise DataError(f"{path}: table {TABLE} has no bars of the interval {interval!r}; download them in vnpy first")
    chosen = f"SELECT rowid, {', '.join(columns)} FROM {TABLE} WHERE interval = ?"
    expected = total
    queries: list[tuple[str, tuple[object, ...]]] = [(chosen, (interval,))]
    if day is not None:
        start, end = str(day), str(day + np.timedelta64(1, "D"))
        key = "symbol IS ? AND exchange IS ? AND datetime >= ? AND datetime < ?"
        queries = [(f"{chosen} AND {key}", (interval, *pair, start, end)) for pair in pairs]
        expected = counts.get(str(day), 0)
        if day == days(path, interval)[0]:
            queries.append((f"{chosen} AND NOT is_day(substr(datetime, 1, 10))", (interval,)))
            expected += sum(n for d, n in counts.items() if not _is_day(d))
    blocks = list(_blocks(path, queries, columns))
    if not blocks:
        blocks = [({c: pa.array([], WORDS if c in TEXTS else pa.float64()) for c in columns}, np.empty(0, np.int64))]
    require_all_rows(path, expected, read=sum(len(rows) for _, rows in blocks))  # a damaged index misses some
    table = {c: _joined([block[c] for block, _ in blocks]) for c in columns}
    return pa.table(table), np.concatenate([rows for _, rows in blocks]), total


def days(path: Path, interval: str) -> np.ndarray:
    """Days with bars of the interval, ``datetime64[D]``, ascending; raises as :func:`read`."""
    counts = _content(path, interval)[0]
    found = np.array(sorted(str(d) for d in counts if _is_day(d)), "datetime64[D]")
    if counts and not len(found):
        raise DataError(f"{path}: none of {sum(counts.values())} times is one as 2023-01-03 09:31:00")
    return found


def _content(path: Path, interval: str) -> tuple[dict[object, int], list[tuple[object, object]]]:
    """Number of rows by the first ten characters of their time, and the (symbol, exchange) pairs of an interval."""
    state = os.stat(path)
    return _find_content(path, interval, (state.st_size, state.st_mtime_ns, state.st_ctime_ns))


@lru_cache(8)
def _find_content(
    path: Path, interval: str, state: tuple[int, int, int]
) -> tuple[dict[object, int], list[tuple[object, object]]]:
    """What :func:`_content` gives, found once for each state of the file: each is a pass over the rows."""
    with _opened(path) as database:
        where = f"FROM {TABLE} NOT INDEXED WHERE interval = ?"
        pairs = list(database.execute(f"SELECT DISTINCT symbol, exchange {where}", (interval,)))
        counts = dict(database.execute(f"SELECT substr(datetime, 1, 10), COUNT(*) {where} GROUP BY 1", (interval,)))
    return counts, pairs


def _is_day(text: object) -> bool:
    """Whether a text is a date as vnpy writes it: others compare otherwise than as dates."""
    if not isinstance(text, str) or not _ISO_DATE.fullmatch(text):
        return False
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _blocks(
    path: Path, queries: Sequence[tuple[str, tuple[object, ...]]], columns: Sequence[str]
) -> Iterator[tuple[dict[str, pa.Array], np.ndarray]]:
    with _opened(path) as database:
        for query, values in queries:
            cursor = database.execute(query, values)
            while rows := cursor.fetchmany(BLOCK_ROWS):
                ids, *cells = zip(*rows, strict=True)
                arrays = {c: _array(c, cell) for c, cell in zip(columns, cells, strict=True)}
                yield arrays, np.array(ids, np.int64)


def _array(column: str, cells: Sequence[object]) -> pa.Array:
    try:
        if column not in TEXTS:
            return pa.array(cells, pa.float64())
        return pa.array(cells, pa.string()).dictionary_encode()
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        pass  # SQLite holds any value in any column
    return pa.array([None if c is None else str(c) for c in cells], pa.string()).dictionary_encode()


def _joined(blocks: list[pa.Array]) -> pa.ChunkedArray:
    """Blocks of a column; of text where any block is."""
    if len({b.type for b in blocks}) > 1:
        blocks = [b.cast(pa.string()).dictionary_encode() for b in blocks]
    return pa.chunked_array(blocks)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.stat().st_size:
        raise DataError(f"{path} is empty (0 bytes); copy the database again")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            database.create_function("is_day", 1, _is_day, deterministic=True)
            yield database
    except (sqlite3.Error, OverflowError) as error:
        raise SourceError(
            f"{path} cannot be read as an SQLite database ({error}); close vnpy and copy the file again"
        ) from error
