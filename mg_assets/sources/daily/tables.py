"""Read a mapped section's files into arrays: symbols, dates, numbers in our units."""

import datetime as dt
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.errors import DataError, SourceError
from mg_assets.sources.base import no_quarantine
from mg_assets.sources.daily.mapping import Section
from mg_assets.sources.io.dates import dates_of
from mg_assets.sources.io.files import Column, FileData, read_columns
from mg_assets.sources.io.read_log import Watch
from mg_assets.sources.io.symbols import merge_axes, symbol_axis, to_symbol
from mg_assets.sources.quarantine import merge, quarantine

PRICES = ("open", "high", "low", "close", "vwap", "prev_close", "up_limit", "down_limit")
PRICE_GRID = 1000
"""Prices are put back on 0.001 yuan: single precision prints 12.47 as 12.470000267."""

TEXT = ("symbol", "date", "time", "start", "end", "list_date", "delist_date", "industry")


@dataclass(frozen=True)
class Table:
    """Rows of a section's files.

    Attributes
    ----------
    axis : ndarray of object (S,)
        Symbols, ascending.
    symbol : ndarray of int32 (n,)
        -1 unreadable, -2 no A-share.
    numbers : dict of str to ndarray of float64 (n,)
        In our units; NaN where null or unreadable.
    text : dict of str to ChunkedArray
        Mapped columns that are no numbers, as they are.
    file : ndarray of int32 (n,)
        Place in ``paths``.
    row : ndarray of int64 (n,)
        Data row in that file.
    """

    axis: np.ndarray
    symbol: np.ndarray
    date: np.ndarray
    numbers: dict[str, np.ndarray]
    flags: dict[str, np.ndarray]
    text: dict[str, pa.ChunkedArray]
    file: np.ndarray
    row: np.ndarray
    paths: tuple[str, ...]
    quarantine: pd.DataFrame = field(default_factory=no_quarantine)
    unreadable: dict[str, int] = field(default_factory=dict)  # values that are no number, by column

    def __len__(self) -> int:
        return len(self.symbol)

    def dates(self, column: str) -> np.ndarray:
        """A further date column, ``datetime64[D]``."""
        return dates_of(self.text[column])


def read_section(
    section: Section, root: Path, table: str, what: str, day: dt.date | None = None, watch: Watch | None = None
) -> Table:
    """Read all files of a section, or those of one day, as one table.

    A watch that goes on leaves out the files that cannot be read.

    Raises
    ------
    SourceError, DataError
        No file is there, or one cannot be read.
    """
    paths, pattern = section.files.find(root, day)
    if pattern is None:
        patterns = [p.text for p in section.files.patterns]
        raise SourceError(f"{what}: no file matches {patterns} below {root}; check root and pattern")
    watch, parts = watch or Watch(), []
    for path in paths:
        with watch.reading(path) as told:
            part = _one(section, path, pattern.code(root, path), pattern.day(root, path), table, what)
            parts.append(part)
            told.rows, told.others = len(part) + len(part.quarantine), int(np.sum(part.symbol == -2))
    if not parts:
        raise next(e.error for p in paths if (e := watch.files[p]).error is not None)
    if len(parts) == 1:
        return parts[0]
    axis, places = merge_axes([p.axis for p in parts])
    moved = [np.where(p.symbol >= 0, np.append(to, 0)[p.symbol], p.symbol) for p, to in zip(parts, places, strict=True)]
    first = parts[0]
    return Table(
        axis=axis,
        symbol=np.concatenate(moved).astype(np.int32),
        date=np.concatenate([p.date for p in parts]),
        numbers={k: np.concatenate([p.numbers[k] for p in parts]) for k in _common(parts, lambda p: p.numbers)},
        flags={k: np.concatenate([p.flags[k] for p in parts]) for k in first.flags},
        text={
            k: pa.chunked_array([c.cast(pa.string()) for p in parts for c in p.text[k].chunks], pa.string())
            for k in _common(parts, lambda p: p.text)
        },
        file=np.repeat(np.arange(len(parts), dtype=np.int32), [len(p) for p in parts]),
        row=np.concatenate([p.row for p in parts]),
        paths=tuple(p.paths[0] for p in parts),
        quarantine=merge([p.quarantine for p in parts]),
        unreadable=dict(sum((Counter(p.unreadable) for p in parts), Counter())),
    )


def _common(parts: list[Table], of: Callable[[Table], dict]) -> list[str]:
    """Columns that every file has."""
    return [k for k in of(parts[0]) if all(k in of(p) for p in parts)]


def _one(section: Section, path: Path, code: str | None, day: np.datetime64 | None, table: str, what: str) -> Table:
    wanted: dict[str, Column] = {}
    for ours, names in section.columns.items():
        kind = "code" if ours in TEXT and ours != "time" else "text" if ours == "time" else "float"
        told = (ours == "symbol" and code is not None) or (ours == "date" and day is not None)
        wanted[ours] = Column(names, kind, required=not told)
    for flag, how in section.flags.items():
        wanted[f"_{flag}"] = Column((how.column,), "code")
    data = read_columns(path, wanted)
    count = len(data.table)
    axis, symbol, unread = _symbols(data, code, count, path, what)
    frame = quarantine(table, str(path), *zip(*data.broken, strict=True)) if data.broken else no_quarantine()
    if unread and not len(axis):
        raise DataError(f"{path}: no symbol is readable, the first is {unread[0]!r}; write it as 600000.SH or sh600000")
    date = dates_of(data.table["date"]) if "date" in data.table.column_names else np.full(
        count, np.datetime64("NaT", "D") if day is None else day, "datetime64[D]"
    )  # fmt: skip
    numbers = {
        ours: _number(data.table[ours], ours, section)
        for ours in data.table.column_names
        if ours in section.columns and ours not in TEXT
    }
    return Table(
        axis=axis,
        symbol=symbol,
        date=date,
        numbers=numbers,
        flags={flag: _flagged(data.table[f"_{flag}"], how.values) for flag, how in section.flags.items()},
        text={k: data.table[k] for k in data.table.column_names if k in TEXT and k not in ("symbol", "date")},
        file=np.zeros(count, np.int32),
        row=np.arange(count) if data.rows is None else data.rows,
        paths=(str(path),),
        quarantine=frame,
        unreadable={c: int(bad.sum()) for c, bad in data.unparsed.items()},
    )


def _symbols(
    data: FileData, code: str | None, count: int, path: Path, what: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    if "symbol" in data.table.column_names:
        return symbol_axis(data.table["symbol"])
    symbol = to_symbol(code)
    if symbol is None:
        raise DataError(f"{path}: {what} has no symbol column, and the file's name {code!r} is no symbol; map one")
    return np.array([symbol], dtype=object), np.zeros(count, np.int32), []


def _number(column: pa.ChunkedArray, ours: str, section: Section) -> np.ndarray:
    values = column.to_numpy(zero_copy_only=False).astype(np.float64)
    unit = section.units.get(ours, section.units.get("price", 1.0) if ours in PRICES else 1.0)
    if unit != 1.0:
        values = values * unit
    if ours in PRICES and ours != "vwap":
        values = np.rint(values * PRICE_GRID) / PRICE_GRID
    return np.rint(values) if ours == "volume" else values


def _flagged(column: pa.ChunkedArray, values: tuple[str, ...]) -> np.ndarray:
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    out = []
    for chunk in column.chunks:
        words = chunk.dictionary.cast(pa.string()).to_pylist()
        table = np.array([*(_plain(w) in values for w in words), False], bool)
        out.append(table[chunk.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)])
    return np.concatenate(out) if out else np.empty(0, bool)


def _plain(word: str | None) -> str:
    """``1.0`` and ``1`` are the same flag."""
    text = (word or "").strip()
    return text[:-2] if text.endswith(".0") else text
