"""Parquet layout of the lake's tables: row groups cut at stock ends, encodings and compression per column.

Measured in ``docs/storage.md``. Any Parquet reader reads the files as they are.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mg_assets.errors import DataError

ROW_GROUP = 1 << 18
"""Rows of a row group of ticks, about: what two readers decode stays in the cache while it is worked on."""

DELTA = "DELTA_BINARY_PACKED"
ENCODINGS: dict[str, dict[str, str]] = {
    "trades": dict.fromkeys(("time", "seq", "buy_order", "sell_order"), DELTA),
    "orders": dict.fromkeys(("time", "seq", "order_id"), DELTA),
}
"""Column encodings per table; columns that are not named are dictionary-encoded."""

ORDER = ("symbol", "seq")
STOCKS = "mg.stocks"
"""Key of the file's metadata for the symbol index: per row group its stocks and their numbers of rows, as JSON."""

COMPRESSION = {"trades": "lz4", "orders": "lz4"}
"""Codec per table; ``zstd`` for all others."""


def write_parquet(
    table: str,
    parts: Iterable[pa.Table],
    out: BinaryIO,
    row_group_size: int = 1 << 20,
    footer: Callable[[], Mapping[str, str]] = dict,
) -> None:
    """Write a table's rows, given in one piece or several, with the layout of its name; the file is the same.

    ``trades`` and ``orders`` get row groups of about :data:`ROW_GROUP` rows, each cut where a stock ends. Where
    they are sorted by symbol and seq, the file states so and carries a per-row-group symbol index, so that readers
    can skip row groups. ``out`` must be readable and seekable: it is rewritten where a later piece is not sorted.
    ``footer`` is called after the last piece; what it returns is put into the footer. Pages carry checksums.

    Raises
    ------
    DataError
        There was no piece, which would leave the columns unknown.
    """
    pieces = iter(parts)
    first = next(pieces, None)
    if first is None:
        raise DataError(f"table {table!r}: no rows and no columns were given; give an empty table with its columns")
    if table in ENCODINGS:
        with closing(_TickFile(table, first, out)) as file:
            for part in chain([first], pieces):
                file.add(part)
            file.finish(footer)
        return
    with pq.ParquetWriter(out, first.schema, compression="zstd", write_page_checksum=True) as writer:
        for part in chain([first], pieces):
            writer.write_table(part, row_group_size=row_group_size)
        if texts := footer():
            writer.add_key_value_metadata(dict(texts))


@dataclass(frozen=True)
class Claims:
    """What a file of ticks states of all its rows.

    Attributes
    ----------
    in_order : bool
        They are sorted by symbol, then seq.
    nullable : frozenset of str
        Columns that have nulls.
    """

    in_order: bool
    nullable: frozenset[str]


class _TickFile:
    """A file of ticks whose row groups are written as they fill up.

    The statement about all rows precedes the first row group, so the first piece decides it; where a later piece
    breaks it, the row groups so far are copied into a file with a statement that holds.
    """

    def __init__(self, table: str, first: pa.Table, out: BinaryIO):
        self._table, self._schema, self._out = table, first.schema, out
        self._claims = _claims(Claims(True, frozenset()), None, first, _codes(first))
        self._writer = self._open()
        self._stocks: list[list[tuple[str, int]]] = []
        self._rest, self._last = first.slice(0, 0), None
        self._rest_codes = np.empty(0, np.int32)

    def add(self, part: pa.Table) -> None:
        """Write the row groups that are full with these rows; the last one, or its last stock, may go on."""
        codes = _codes(part)
        claims = _claims(self._claims, self._last, part, codes)
        if claims != self._claims:
            self._claims = claims
            self._rewrite()
        self._last = part.slice(len(part) - 1) if len(part) else self._last
        data = part
        if len(self._rest) and len(part):
            goes_on = self._rest["symbol"][-1] == part["symbol"][0]
            codes = codes - codes[0] + self._rest_codes[-1] + (0 if goes_on else 1)
        if len(self._rest):
            data, codes = pa.concat_tables([self._rest, part]), np.concatenate([self._rest_codes, codes])
        groups = _groups(codes)
        self._write(data, codes, groups[:-1])
        first = groups[-1][0]
        self._rest, self._rest_codes = data.slice(first), codes[first:]

    def finish(self, footer: Callable[[], Mapping[str, str]]) -> None:
        """Write the remaining rows, the symbol index and the caller's texts."""
        self._write(self._rest, self._rest_codes, _groups(self._rest_codes))
        texts = dict(footer()) | ({STOCKS: json.dumps(self._stocks)} if self._claims.in_order else {})
        if texts:
            self._writer.add_key_value_metadata(texts)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()

    def _open(self) -> pq.ParquetWriter:
        encodings, names = ENCODINGS[self._table], self._schema.names
        order = [pq.SortingColumn(names.index(n)) for n in ORDER]
        return pq.ParquetWriter(
            self._out,
            _required(self._schema, self._claims),
            compression=COMPRESSION[self._table],
            use_dictionary=[name for name in names if name not in encodings],
            column_encoding=encodings,
            sorting_columns=order if self._claims.in_order else None,
            write_page_checksum=True,
        )

    def _write(self, data: pa.Table, codes: np.ndarray, groups: list[tuple[int, int]]) -> None:
        for first, last in groups:
            self._write_group(data.slice(first, last - first))
            self._stocks.append(_stocks(data, codes, first, last))

    def _write_group(self, group: pa.Table) -> None:
        group = pa.Table.from_arrays(group.columns, schema=_required(group.schema, self._claims))
        self._writer.write_table(group, row_group_size=max(1, len(group)))

    def _rewrite(self) -> None:
        """Copy the row groups into a file with the present claims."""
        self._writer.close()
        with tempfile.TemporaryFile() as old:
            self._out.seek(0)
            shutil.copyfileobj(self._out, old, 1 << 20)
            self._out.seek(0)
            self._out.truncate()
            self._writer = self._open()
            with pq.ParquetFile(old, pre_buffer=False) as file:
                for group in range(file.num_row_groups):
                    rows = file.read_row_group(group, use_threads=False)  # of a Python file: see PartitionFile
                    self._write_group(rows.cast(self._schema))


def _claims(before: Claims, last: pa.Table | None, part: pa.Table, codes: np.ndarray) -> Claims:
    """What is true of all rows with those of ``part``; ``last`` is the row before them."""
    return Claims(
        before.in_order and _sorted(part, codes) and _follows(last, part),
        before.nullable | {n for n in part.column_names if part[n].null_count},
    )


def _follows(last: pa.Table | None, part: pa.Table) -> bool:
    """Whether the first row of a piece comes after the last row of the one before."""
    if last is None or not len(part):
        return True
    before, after = (tuple(t[n][0].as_py() for n in ORDER) for t in (last, part))
    return None not in (*before, *after) and before <= after


def stocks_of(metadata: pq.FileMetaData) -> list[tuple[list[str], np.ndarray]] | None:
    """Symbols ``(S,)`` and offsets ``(S + 1,)`` of every row group, where the file states them.

    Another program that rewrites such a file may copy the index unchanged: it counts only where every row group
    states its order and has as many rows as the index says.

    Returns
    -------
    list of tuple or None
        None where the file has no valid index.
    """
    kept = (metadata.metadata or {}).get(STOCKS.encode())
    if kept is None or not states_order(metadata):
        return None
    stated = [([s for s, _ in group], np.append(0, np.cumsum([n for _, n in group]))) for group in json.loads(kept)]
    rows = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
    return stated if [int(offsets[-1]) for _, offsets in stated] == rows else None


def states_order(metadata: pq.FileMetaData) -> bool:
    """Whether every row group states that its rows are sorted by symbol, then seq."""
    names = [metadata.schema.column(i).name for i in range(metadata.num_columns)]
    for g in range(metadata.num_row_groups):
        by = metadata.row_group(g).sorting_columns
        if [(names[c.column_index], c.descending) for c in by[:2]] != [(n, False) for n in ORDER]:
            return False
    return metadata.num_row_groups > 0


def groups_between(metadata: pq.FileMetaData, first: str, last: str) -> list[int]:
    """Row groups that may hold symbols from ``first`` to ``last``, by the column's statistics."""
    at = [metadata.schema.column(i).name for i in range(metadata.num_columns)].index("symbol")
    groups = []
    for number in range(metadata.num_row_groups):
        stats = metadata.row_group(number).column(at).statistics
        if stats is None or not stats.has_min_max or (stats.min <= last and stats.max >= first):
            groups.append(number)
    return groups


def _required(schema: pa.Schema, claims: Claims) -> pa.Schema:
    """The same columns, those without nulls marked so: that spares readers a third of their time on them."""
    return pa.schema([f.with_nullable(f.name in claims.nullable) for f in schema], schema.metadata)


def _stocks(data: pa.Table, codes: np.ndarray, first: int, last: int) -> list[tuple[str, int]]:
    """Symbol and number of rows of each stock in rows ``first:last``."""
    starts = np.append(0, np.flatnonzero(np.diff(codes[first:last])) + 1) if last > first else np.empty(0, np.int64)
    counts = np.diff(np.append(starts, last - first))
    symbols = data["symbol"].take(pa.array(starts + first)).to_pylist()
    return [(symbol, int(count)) for symbol, count in zip(symbols, counts, strict=True)]


def _codes(data: pa.Table) -> np.ndarray:
    """Codes of the symbols, equal where neighbours' symbols are."""
    column = data["symbol"].combine_chunks() if data["symbol"].num_chunks != 1 else data["symbol"].chunk(0)
    if not len(column):
        return np.empty(0, np.int32)
    codes = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return codes.indices.fill_null(-1).to_numpy()


def _sorted(data: pa.Table, codes: np.ndarray) -> bool:
    """Whether the rows are sorted by symbol, then seq, without nulls in either."""
    if data["symbol"].null_count or data["seq"].null_count:
        return False
    if len(data) < 2:
        return True
    seq = data["seq"].to_numpy()
    same = codes[1:] == codes[:-1]
    if not (seq[1:] >= seq[:-1])[same].all():
        return False
    starts = np.append(0, np.flatnonzero(~same) + 1)
    names = data["symbol"].take(pa.array(starts)).to_numpy(zero_copy_only=False)
    return bool((names[1:] > names[:-1]).all())


def _groups(codes: np.ndarray) -> list[tuple[int, int]]:
    """First row and row after the last of each row group: whole stocks, at most :data:`ROW_GROUP` rows or one stock."""
    ends = np.append(np.flatnonzero(codes[1:] != codes[:-1]) + 1, len(codes))
    groups, first = [], 0
    while first < len(codes):
        fits = np.searchsorted(ends, first + ROW_GROUP, side="right") - 1
        last = int(ends[max(fits, np.searchsorted(ends, first, side="right"))])
        groups.append((first, last))
        first = last
    return groups or [(0, 0)]
