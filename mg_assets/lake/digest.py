"""Digest of a partition's content: of its values, not of the bytes in the file.

The same values give the same digest however they were cut into pieces and row groups, encoded or compressed, whether
text was plain, large or a dictionary, and in memory as in a Parquet file, which has no seconds. xxh3_64 (library
xxhash) takes 0.1 ns a byte, sha256 ten times that.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash


class ContentDigest:
    """Digest of rows that come in pieces with the same columns.

    Examples
    --------
    >>> whole, parts = ContentDigest(), ContentDigest()
    >>> rows = pa.table({"symbol": ["600000.SH", None], "price": [10.5, float("nan")]})
    >>> whole.add(rows)
    >>> for row in range(2):
    ...     parts.add(rows.slice(row, 1))
    >>> whole.result() == parts.result()
    True
    """

    def __init__(self) -> None:
        self._columns: dict[str, _ColumnDigest] = {}
        self._types: dict[str, str] = {}
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        """Continue with the rows of a piece."""
        table = _as_in_parquet(table)
        for field in table.schema:
            if field.name not in self._columns:
                self._columns[field.name] = _ColumnDigest()
                self._types[field.name] = type_name(field.type)
            self._columns[field.name].add(table[field.name], self._rows)
        self._rows += len(table)

    def result(self) -> dict[str, Any]:
        """Rows, 16 hex digits a column and 16 of the whole.

        Returns
        -------
        dict
            ``{"rows": n, "columns": {name: digest}, "content": digest}``.
        """
        columns = {name: column.hexdigest() for name, column in self._columns.items()}
        return {"rows": self._rows, "columns": columns, "content": content_digest(self._types, columns)}


def content_digest(types: Mapping[str, str], columns: Mapping[str, str]) -> str:
    """Sixteen hex digits of the columns' names, types (:func:`type_name`) and digests, in order."""
    return xxhash.xxh3_64_hexdigest(json.dumps([[n, types[n], columns[n]] for n in columns]).encode())


def type_name(kind: pa.DataType) -> str:
    """Name of a type; text has one, be it plain, large or a dictionary."""
    if pa.types.is_dictionary(kind):
        return type_name(kind.value_type)
    if pa.types.is_list(kind):  # the name of its field is another in a file
        return f"list<{type_name(kind.value_type)}>"
    return "string" if _is_text(kind) else str(kind)


def _as_in_parquet(table: pa.Table) -> pa.Table:
    """The columns in the types that a Parquet file gives back."""
    for at, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_timestamp(kind) and kind.unit == "s":
            held = pa.timestamp("ms", kind.tz)
        elif kind == pa.time32("s"):
            held = pa.time32("ms")
        elif kind == pa.date64():
            held = pa.date32()
        else:
            continue
        table = table.set_column(at, field.name, table[field.name].cast(held))
    return table


class _ColumnDigest:
    """Values, then the positions of nulls; of text also the lengths."""

    def __init__(self) -> None:
        self._values = xxhash.xxh3_64()
        self._lengths = xxhash.xxh3_64()
        self._nulls = xxhash.xxh3_64()

    def add(self, column: pa.ChunkedArray, first: int) -> None:
        """Continue with rows ``first`` and after."""
        for chunk in column.chunks:
            if not len(chunk):
                continue
            if pa.types.is_dictionary(chunk.type):
                chunk = chunk.dictionary_decode()
            if chunk.null_count:
                at = np.flatnonzero(chunk.is_null().to_numpy(zero_copy_only=False)) + first
                self._nulls.update(at.astype("<i8").data)
            self._add(chunk)
            first += len(chunk)

    def _add(self, chunk: pa.Array) -> None:
        kind = chunk.type
        if _is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            self._add_text(chunk.fill_null("" if _is_text(kind) else b"") if chunk.null_count else chunk)
        elif pa.types.is_boolean(kind):
            self._values.update(pc.fill_null(chunk, False).cast(pa.uint8()).to_numpy().data)
        elif pa.types.is_primitive(kind):
            self._values.update(_fixed_width(chunk).data)
        else:  # nested types: no table of the graph has one
            for text in _texts(chunk):
                self._values.update(text)

    def _add_text(self, chunk: pa.Array) -> None:
        large = pa.types.is_large_string(chunk.type) or pa.types.is_large_binary(chunk.type)
        _, offsets, data = chunk.buffers()
        ends = np.frombuffer(offsets, "<i8" if large else "<i4")[chunk.offset : chunk.offset + len(chunk) + 1]
        self._lengths.update(np.diff(ends).astype("<i4", copy=False).data)
        if data is not None:
            self._values.update(memoryview(data)[int(ends[0]) : int(ends[-1])])

    def hexdigest(self) -> str:
        """Sixteen hex digits of what was added."""
        whole = self._values.copy()
        for part in (self._lengths, self._nulls):
            whole.update(part.digest())
        return whole.hexdigest()


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _fixed_width(chunk: pa.Array) -> np.ndarray:
    """Little-endian values, nulls as zero, every NaN the same one."""
    width = chunk.type.bit_width // 8
    if pa.types.is_floating(chunk.type):
        values = (pc.fill_null(chunk, 0.0) if chunk.null_count else chunk).to_numpy()
        with np.errstate(invalid="ignore"):
            some_nan = np.isnan(values.min())
        return np.where(np.isnan(values), values.dtype.type(np.nan), values) if some_nan else values
    values = np.frombuffer(chunk.buffers()[1], np.uint8)[chunk.offset * width : (chunk.offset + len(chunk)) * width]
    if not chunk.null_count:
        return values
    valid = chunk.is_valid().to_numpy(zero_copy_only=False)
    return np.where(valid[:, None], values.reshape(len(chunk), width), 0)


def _texts(chunk: pa.Array) -> Iterator[bytes]:
    return (repr(value).encode() + b"\0" for value in chunk.to_pylist())
