"""Read the files of a mapped table into arrays: symbols, dates, numbers in our units."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mg_assets.errors import DataError, SourceError
from mg_assets.sources.base import no_quarantine
from mg_assets.sources.daily.mapping import TableMapping
from mg_assets.sources.io.columns import joined_marks
from mg_assets.sources.io.dates import dates_of, first_text
from mg_assets.sources.io.native import is_native, read_native
from mg_assets.sources.io.read_file import FileData, WantedColumn, read_columns
from mg_assets.sources.io.read_log import ReadLog
from mg_assets.sources.io.symbols import is_a_share, merge_axes, symbol_axis, to_symbol
from mg_assets.sources.io.wide import is_wide, read_wide
from mg_assets.sources.quarantine import date_as_written, first_reason, merge_quarantines, quarantine_frame

PRICES = ("open", "high", "low", "close", "vwap", "prev_close", "up_limit", "down_limit")
PRICE_GRID = 1000
"""Prices are put back on 0.001 yuan: single precision prints 12.47 as 12.470000267."""

TEXT = ("symbol", "exchange", "date", "time", "start", "end", "list_date", "delist_date", "industry", "name")


@dataclass(frozen=True)
class MappedTable:
    """Rows of a mapped table's files.

    Attributes
    ----------
    axis : ndarray of object (S,)
        Symbols, ascending.
    symbol : ndarray of int32 (n,)
        Index into ``axis``; -1 unreadable, -2 no A-share.
    date : ndarray of datetime64[D] (n,)
        NaT where unreadable, or where neither rows nor file names have dates.
    numbers : dict of str to ndarray of float64 (n,)
        In our units; NaN where null or unreadable.
    flags : dict of str to ndarray of bool (n,)
    text : dict of str to ChunkedArray
        Mapped columns that are no numbers, as they are; ``date`` where one is no date.
    file : ndarray of int32 (n,)
        Index into ``paths``.
    row : ndarray of int64 (n,)
        Line of that file (the first is 1), or its row from 1 where it is no text.
    unparsed : dict of str to ndarray of bool (n,)
        Per column, the rows with a text where a number belongs.
    words : dict of (str, int) to dict
        Those texts by column, by file and row.
    others : int
        Rows of the files that are another table's (``only``), which are left out.
    placed : dict of str to ndarray (n,)
        What a check of the file found of each row.
    remarks : tuple of str
        What was decided about the files, for their report; of several files each remark once.
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
    unparsed: dict[str, np.ndarray] = field(default_factory=dict)
    words: dict[tuple[str, int], dict[str, str]] = field(default_factory=dict)
    others: int = 0
    placed: dict[str, np.ndarray] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.symbol)

    @property
    def empty_files(self) -> list[str]:
        """Names of the files that hold a header alone."""
        rows = np.bincount(self.file, minlength=len(self.paths))
        broken = set(self.quarantine["file"])
        return [Path(p).name for p, n in zip(self.paths, rows, strict=True) if not n and p not in broken]

    def dates(self, column: str) -> np.ndarray:
        """A further date column, ``datetime64[D]``."""
        return dates_of(self.text[column])

    def take(self, at: np.ndarray, quarantine: pd.DataFrame) -> "MappedTable":
        """Some of the rows, in order, with another quarantine."""
        return replace(
            self,
            symbol=self.symbol[at],
            date=self.date[at],
            numbers={k: v[at] for k, v in self.numbers.items()},
            flags={k: v[at] for k, v in self.flags.items()},
            text={k: v.take(pa.array(at)) for k, v in self.text.items()},
            file=self.file[at],
            row=self.row[at],
            unparsed={k: v[at] for k, v in self.unparsed.items()},
            placed={k: v[at] for k, v in self.placed.items()},
            quarantine=quarantine,
        )


def read_mapped_table(
    mapping: TableMapping,
    root: Path,
    table: str,
    what: str,
    day: dt.date | None = None,
    read_log: ReadLog | None = None,
    check: Callable[[MappedTable, TableMapping], MappedTable] | None = None,
) -> MappedTable:
    """Read all files of a mapped table, or those of one day, as one.

    Parameters
    ----------
    mapping : TableMapping
    root : Path
        Folder that the file patterns start from.
    table : str
        The lake's table that bad rows would have gone to.
    what : str
        Source and table, for messages.
    day : date, optional
    read_log : ReadLog, optional
        One with ``continue_on_error`` leaves out the files that cannot be read.
    check : callable, optional
        What is asked of each file, and decided about it, before they become one.

    Returns
    -------
    MappedTable
        Of several files the columns that any of them has.

    Raises
    ------
    SourceError
        No file is there, or one is damaged.
    DataError
        The files have no rows, or none that can be read.
    MgError
        None of the files can be read: the error of the first.
    """
    paths, pattern = mapping.files.find(root, day)
    if pattern is None:
        patterns = [p.text for p in mapping.files.patterns]
        raise SourceError(f"{what}: no file matches {patterns} below {root}; check root and pattern")
    read_log, parts = read_log or ReadLog(), []
    for path in paths:
        with read_log.reading(path) as entry:
            part, count = _read_one(mapping, path, pattern.code(root, path), pattern.day(root, path), table, what, day)
            entry.rows, entry.others = count, int(np.sum(part.symbol == -2))
            part = part if check is None else check(part, mapping)
            entry.remarks = list(part.remarks)
            parts.append(part)
    if not parts:
        errors = [e.error for p in paths if (e := read_log.files[p]).error is not None]
        raise errors[0]
    if not any(len(p) for p in parts):
        broken = merge_quarantines([p.quarantine for p in parts])
        others = any(p.others for p in parts)
        if (day is not None and is_native(paths[0])) or (mapping.optional and others):
            return _concatenated(parts)
        if not len(broken) and mapping.only is not None and others:
            wanted = mapping.only.pattern or list(mapping.only.values)
            raise DataError(
                f"{paths[0]}: none of {sum(p.others for p in parts)} rows has {wanted} in its column "
                f"{' or '.join(mapping.only.columns)}: {what} is not in the file"
            )
        if not len(broken):
            more = f" (nor have the {len(parts) - 1} other files)" if len(parts) > 1 else ""
            raise DataError(f"{parts[0].paths[0]}: {what} has a header and no rows{more}; fetch the file again")
        raise DataError(
            f"{broken['file'].iloc[0]}: none of {len(broken)} lines of {what} is a row; the first: "
            f"{broken['reason'].iloc[0]}. Is it this table, with this delimiter?"
        )
    return parts[0] if len(parts) == 1 else _concatenated(parts)


def _concatenated(parts: list[MappedTable]) -> MappedTable:
    """Several files' rows as one table, on the union of their axes."""
    axis, positions = merge_axes([p.axis for p in parts])
    moved = [
        np.where(p.symbol >= 0, np.append(to, [0, 0])[p.symbol], p.symbol)
        for p, to in zip(parts, positions, strict=True)
    ]
    return MappedTable(
        axis=axis,
        symbol=np.concatenate(moved).astype(np.int32),
        date=np.concatenate([p.date for p in parts]),
        numbers=_joined([p.numbers for p in parts], [np.full(len(p), np.nan) for p in parts]),
        flags=_joined([p.flags for p in parts], [np.zeros(len(p), bool) for p in parts]),
        text={
            k: pa.chunked_array([c for p in parts for c in _as_text(p, k)], pa.string())
            for k in dict.fromkeys(name for p in parts for name in p.text)
        },
        file=np.repeat(np.arange(len(parts), dtype=np.int32), [len(p) for p in parts]),
        row=np.concatenate([p.row for p in parts]),
        paths=tuple(p.paths[0] for p in parts),
        quarantine=merge_quarantines([p.quarantine for p in parts]),
        unparsed=joined_marks([p.unparsed for p in parts], [len(p) for p in parts]),
        words={at: words for p in parts for at, words in p.words.items()},
        others=sum(p.others for p in parts),
        placed={k: np.concatenate([p.placed[k] for p in parts]) for k in parts[0].placed},
        remarks=tuple(dict.fromkeys(r for p in parts for r in p.remarks)),
    )


def without_unreadable_rows(
    mapped: MappedTable, table: str, columns: Sequence[str], by_day: bool = False
) -> MappedTable:
    """A reference table without the rows that cannot be used, which are in its quarantine.

    Parameters
    ----------
    mapped : MappedTable
    table : str
        The lake's table that the rows would have gone to.
    columns : sequence of str
        Columns that a row needs beside its symbol: numbers, dates, or ``date``.
    by_day : bool
        A stock has one row a day.

    Returns
    -------
    MappedTable
    """
    checks = [(mapped.symbol == -1, "symbol is not readable")]
    checks += [(bad, f"{column} is no number") for column, bad in mapped.unparsed.items()]
    for column in columns:
        if column == "date":
            checks.append((np.isnat(mapped.date), "date is not readable"))
        elif column in mapped.numbers:
            checks.append((~np.isfinite(mapped.numbers[column]), f"{column} is missing"))
        elif column in mapped.text:
            checks.append((np.isnat(mapped.dates(column)), f"{column} is no date"))
    for column in ("end", "delist_date"):  # a null one is open
        if column in mapped.text:
            written = mapped.text[column].is_valid().to_numpy()
            checks.append((written & np.isnat(mapped.dates(column)), f"{column} is no date"))
    if by_day:
        key = pd.MultiIndex.from_arrays([mapped.symbol, mapped.date])
        checks.append((key.duplicated(), "the stock has this day twice"))
    bad, which = first_reason(len(mapped), checks)
    bad &= mapped.symbol != -2
    at = np.flatnonzero(bad)
    if not len(at):
        return mapped
    content = [
        {**{k: v[int(i)].as_py() for k, v in mapped.text.items()},
         "date": date_as_written(mapped.date[i], mapped.text.get("date"), int(i)),
         **{k: float(v[i]) for k, v in mapped.numbers.items()},
         **mapped.words.get((mapped.paths[mapped.file[i]], int(mapped.row[i])), {})}
        for i in at
    ]  # fmt: skip
    symbols = [str(mapped.axis[s]) if s >= 0 else None for s in mapped.symbol[at].tolist()]
    aside = quarantine_frame(table, "", mapped.row[at], [checks[i][1] for i in which[at]], content, symbols)
    aside["file"] = pd.Series([mapped.paths[f] for f in mapped.file[at]], dtype="str")
    return mapped.take(np.flatnonzero(~bad), merge_quarantines([mapped.quarantine, aside]))


def _joined(parts: Sequence[Mapping[str, np.ndarray]], blank: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Columns that any of several files has, one after the other; ``blank`` where a file lacks one."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {k: np.concatenate([p.get(k, b) for p, b in zip(parts, blank, strict=True)]) for k in names}


def _as_text(part: MappedTable, column: str) -> list[pa.Array]:
    if column not in part.text:
        return [pa.nulls(len(part), pa.string())]
    return [chunk.cast(pa.string()) for chunk in part.text[column].chunks]


def _read_one(
    mapping: TableMapping,
    path: Path,
    code: str | None,
    in_name: np.datetime64 | None,
    table: str,
    what: str,
    day: dt.date | None = None,
) -> tuple[MappedTable, int]:
    """One file's rows, and how many the whole file has; ``code`` and ``in_name`` are those in its name."""
    wanted = _wanted(mapping, code is not None, in_name is not None)
    if is_native(path):
        kind = mapping.only.values[0] if mapping.only is not None else ""
        data, whole = read_native(path, wanted, kind, None if day is None else np.datetime64(day, "D"))
    else:
        flags = [] if set(mapping.columns) - {"date", "symbol"} else [f"_{flag}" for flag in mapping.flags]
        data = read_wide(path, flags[0]) if len(flags) == 1 and is_wide(path) else read_columns(path, wanted)
        whole = len(data.table) + len(data.broken)
    read, count = data.table, len(data.table)
    axis, symbol, unread = _symbols(data, code, count, path, what)
    if unread and not len(axis):
        raise DataError(f"{path}: no symbol is readable, the first is {unread[0]!r}; write it as 600000.SH or sh600000")
    if "date" in read.column_names:
        date, first = dates_of(read["date"]), first_text(read["date"].chunks)
        if count and first and np.isnat(date).all():
            raise DataError(
                f"{path}: no value of column {mapping.named('date')!r} is a date, the first is {first!r}; write dates "
                "as 2023-02-01 or 20230201"
            )
    else:
        date = np.full(count, np.datetime64("NaT", "D") if in_name is None else in_name, "datetime64[D]")
    ours = [c for c in read.column_names if c in mapping.columns and c not in ("symbol", "exchange", "date")]
    texts = [c for c in ours if c in TEXT] + (["date"] if "date" in read.column_names and np.isnat(date).any() else [])
    part = MappedTable(
        axis=axis,
        symbol=symbol,
        date=date,
        numbers={c: _number(read[c], c, mapping) for c in ours if c not in TEXT},
        flags={
            flag: _flagged(read[f"_{flag}"], how.values.__contains__)
            for flag, how in mapping.flags.items()
            if f"_{flag}" in read.column_names
        },
        text={c: read[c] for c in texts},
        file=np.zeros(count, np.int32),
        row=data.row_numbers(np.arange(count)),
        paths=(str(path),),
        quarantine=quarantine_frame(table, str(path), *data.broken_rows),
        unparsed=data.unparsed,
        words={(str(path), number): words for number, words in data.words.items()},
        remarks=_without(mapping, read.column_names),
    )
    return _only(mapping, part, read, path), whole


def _only(mapping: TableMapping, part: MappedTable, read: pa.Table, path: Path) -> MappedTable:
    """The rows that are the table's, where the file holds several."""
    if mapping.only is None or is_native(path):
        return part
    if "_only" not in read.column_names:
        keep = np.full(len(part), mapping.only.names(path))
    else:
        keep = _flagged(read["_only"], mapping.only.takes)
    return replace(part.take(np.flatnonzero(keep), part.quarantine), others=int(np.sum(~keep)))


def _without(mapping: TableMapping, present: Sequence[str]) -> tuple[str, ...]:
    """The remark on columns that the file may lack and lacks."""
    lacking = [mapping.named(c) for c in mapping.columns if c in mapping.may_lack and c not in present]
    lacking += [how.column for f, how in mapping.flags.items() if f in mapping.may_lack and f"_{f}" not in present]
    return (f"without {', '.join(lacking)}: unknown",) if lacking else ()


def _wanted(mapping: TableMapping, has_code: bool, has_date: bool) -> dict[str, WantedColumn]:
    """The columns to read; the file's name may have the code and the date."""
    kinds = {**dict.fromkeys(TEXT, "code"), "time": "text"}
    named = [c for c, in_name in (("symbol", has_code), ("date", has_date)) if in_name]
    free = mapping.may_lack.union(named)
    wanted = {c: WantedColumn(n, kinds.get(c, "float"), required=c not in free) for c, n in mapping.columns.items()}
    if mapping.only is not None:
        wanted["_only"] = WantedColumn(mapping.only.columns, "code", required=not mapping.only.values)
    flags = mapping.flags.items()
    return wanted | {f"_{flag}": WantedColumn((how.column,), "code", flag not in free) for flag, how in flags}


def _symbols(
    data: FileData, code: str | None, count: int, path: Path, what: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    if "symbol" in data.table.column_names:
        codes = data.table["symbol"]
        return symbol_axis(
            _with_exchange(codes, data.table["exchange"]) if "exchange" in data.table.column_names else codes
        )
    symbol = to_symbol(code)
    if symbol is None:
        raise DataError(f"{path}: {what} has no symbol column, and the file's name {code!r} is no symbol; map one")
    if not is_a_share(symbol):  # an index's or a fund's file among those of stocks
        return np.array([], dtype=object), np.full(count, -2, np.int32), []
    return np.array([symbol], dtype=object), np.zeros(count, np.int32), []


def _with_exchange(codes: pa.ChunkedArray, exchanges: pa.ChunkedArray) -> pa.ChunkedArray:
    """``600000`` and ``SSE`` as ``600000.SSE``: an index may have the code of another exchange's stock."""
    words = [c.cast(c.type.value_type) if pa.types.is_dictionary(c.type) else c for c in (codes, exchanges)]
    front, back = (w.cast(pa.string()) for w in words)
    return pc.binary_join_element_wise(pc.utf8_lpad(front, 6, "0"), back, ".")


def _number(column: pa.ChunkedArray, ours: str, mapping: TableMapping) -> np.ndarray:
    values = column.to_numpy(zero_copy_only=False).astype(np.float64)
    unit = mapping.units.get(ours, mapping.units.get("price", 1.0) if ours in PRICES else 1.0)
    if unit != 1.0:
        values = values * unit
    if ours in PRICES and ours != "vwap":
        values = np.rint(values * PRICE_GRID) / PRICE_GRID
    return np.rint(values) if ours == "volume" else values


def _flagged(column: pa.ChunkedArray, takes: Callable[[str], bool]) -> np.ndarray:
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    out = []
    for chunk in column.chunks:
        words = chunk.dictionary.cast(pa.string()).to_pylist()
        table = np.array([*(takes(_plain(w)) for w in words), False], bool)
        out.append(table[chunk.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)])
    return np.concatenate(out) if out else np.empty(0, bool)


def _plain(word: str | None) -> str:
    """``1.0`` and ``1`` are the same flag."""
    text = (word or "").strip()
    return text[:-2] if text.endswith(".0") else text
