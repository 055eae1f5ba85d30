"""How the lake lays a table out in Parquet: row groups cut at stock ends, encodings and compression per column.

Measured in ``docs/storage.md``. Any Parquet reader reads the files as they are.
"""

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

COMPRESSION = {"trades": "lz4", "orders": "lz4"}
"""Codec per table; ``zstd`` for all others."""


def write_parquet(table: str, data: pa.Table, out: BinaryIO, row_group_size: int = 1 << 20) -> None:
    """Write a table's rows with the layout of its name.

    ``trades`` and ``orders`` get row groups of about :data:`ROW_GROUP` rows, each cut where a stock ends,
    and state that they are sorted by symbol and seq where they are: readers then need not look.
    """
    encodings = ENCODINGS.get(table)
    if encodings is None:
        pq.write_table(data, out, compression="zstd", row_group_size=row_group_size)
        return
    sorting = None
    if _sorted(data):
        sorting = [pq.SortingColumn(data.schema.get_field_index(name)) for name in ("symbol", "seq")]
    with pq.ParquetWriter(
        out,
        data.schema,
        compression=COMPRESSION[table],
        use_dictionary=[name for name in data.column_names if name not in encodings],
        column_encoding=encodings,
        sorting_columns=sorting,
    ) as writer:
        for first, last in _groups(data):
            writer.write_table(data.slice(first, last - first), row_group_size=max(1, last - first))


def _codes(data: pa.Table) -> np.ndarray:
    """Codes of the symbols, equal where the symbols are."""
    column = data["symbol"].combine_chunks() if data["symbol"].num_chunks != 1 else data["symbol"].chunk(0)
    return column.dictionary_encode().indices.to_numpy() if len(column) else np.empty(0, np.int32)


def _sorted(data: pa.Table) -> bool:
    """Whether the rows are sorted by symbol, then seq, without nulls in either."""
    if data["symbol"].null_count or data["seq"].null_count:
        return False
    if len(data) < 2:
        return True
    codes, seq = _codes(data), data["seq"].to_numpy()
    same = codes[1:] == codes[:-1]
    if not (seq[1:] >= seq[:-1])[same].all():
        return False
    starts = np.append(0, np.flatnonzero(~same) + 1)
    names = data["symbol"].take(pa.array(starts)).to_numpy(zero_copy_only=False)
    return bool((names[1:] > names[:-1]).all())


def _groups(data: pa.Table) -> list[tuple[int, int]]:
    """First and last row + 1 of each row group: whole stocks, closest to :data:`ROW_GROUP` rows from below."""
    codes = _codes(data)
    ends = np.append(np.flatnonzero(codes[1:] != codes[:-1]) + 1, len(codes))
    groups, first = [], 0
    while first < len(codes):
        last = int(
            ends[
                max(
                    np.searchsorted(ends, first + ROW_GROUP, side="right") - 1,
                    np.searchsorted(ends, first, side="right"),
                )
            ]
        )
        groups.append((first, last))
        first = last
    return groups or [(0, 0)]
