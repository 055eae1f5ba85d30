"""How the lake lays a table out in Parquet: row groups cut at stock ends, encodings and compression per column.

Measured in ``docs/storage.md``. Any Parquet reader reads the files as they are.
"""

import json
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

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
"""Key of the file's metadata under which each row group's stocks and their numbers of rows stand, as JSON."""

COMPRESSION = {"trades": "lz4", "orders": "lz4"}
"""Codec per table; ``zstd`` for all others."""


def write_parquet(table: str, data: pa.Table, out: BinaryIO, row_group_size: int = 1 << 20) -> None:
    """Write a table's rows with the layout of its name.

    ``trades`` and ``orders`` get row groups of about :data:`ROW_GROUP` rows, each cut where a stock ends. Where
    they are sorted by symbol and seq, the file says so, and which stocks stand where: readers then need not look.
    """
    encodings = ENCODINGS.get(table)
    if encodings is None:
        pq.write_table(data, out, compression="zstd", row_group_size=row_group_size)
        return
    codes = _codes(data)
    groups = _groups(codes)
    in_order = _sorted(data, codes)
    data = _required(data)
    with pq.ParquetWriter(
        out,
        data.schema,
        compression=COMPRESSION[table],
        use_dictionary=[name for name in data.column_names if name not in encodings],
        column_encoding=encodings,
        sorting_columns=[pq.SortingColumn(data.schema.get_field_index(n)) for n in ORDER] if in_order else None,
    ) as writer:
        for first, last in groups:
            writer.write_table(data.slice(first, last - first), row_group_size=max(1, last - first))
        if in_order:
            stocks = [_stocks(data, codes, first, last) for first, last in groups]
            writer.add_key_value_metadata({STOCKS: json.dumps(stocks)})


def stocks_of(metadata: pq.FileMetaData) -> list[tuple[list[str], np.ndarray]] | None:
    """Symbols ``(S,)`` and offsets ``(S + 1,)`` of every row group, where the file states them.

    A file that was written by another program from a table that this one wrote may carry the statement of the
    older file: it counts only where every row group states its order and has so many rows.
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


def _required(data: pa.Table) -> pa.Table:
    """The same columns, those without nulls marked so: readers are spared a third of their time on them."""
    fields = [f.with_nullable(data[f.name].null_count > 0) for f in data.schema]
    return pa.Table.from_arrays(data.columns, schema=pa.schema(fields, data.schema.metadata))


def _stocks(data: pa.Table, codes: np.ndarray, first: int, last: int) -> list[tuple[str, int]]:
    """Symbol and number of rows of each stock in rows ``first:last``."""
    starts = np.append(0, np.flatnonzero(np.diff(codes[first:last])) + 1) if last > first else np.empty(0, np.int64)
    counts = np.diff(np.append(starts, last - first))
    symbols = data["symbol"].take(pa.array(starts + first)).to_pylist()
    return [(symbol, int(count)) for symbol, count in zip(symbols, counts, strict=True)]


def _codes(data: pa.Table) -> np.ndarray:
    """Codes of the symbols, equal where the symbols are."""
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
