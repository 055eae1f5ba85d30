"""Read the needed columns of one file, text or Parquet, packed or plain, with errors that say what to do."""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mg_assets.errors import DataError, MgError, SourceError
from mg_assets.sources.io.archives import BROKEN, require_sound_size, unpacked
from mg_assets.sources.io.columns import TYPES, FileData, WantedColumn, parse_numbers, pick
from mg_assets.sources.io.delimited import delimited_blocks, detect_format, read_delimited
from mg_assets.sources.io.row_count import require_all_rows

BLOCK_ROWS = 1 << 19
"""Rows of a Parquet file that are decoded at once."""


def read_columns(path: str | Path, columns: Mapping[str, WantedColumn], header: Sequence[str] = ()) -> FileData:
    """Read the wanted columns of one file (``.parquet``, or text: plain, ``.gz``, ``.zip``, ``.7z``, ``.7z.001``).

    Parameters
    ----------
    path : str or Path
    columns : mapping of str to WantedColumn
    header : sequence of str
        Names of the columns in the file's order, for a kind of file that has no header line.

    Returns
    -------
    FileData

    Raises
    ------
    SourceError
        The file cannot be opened or unpacked, or is truncated.
    DataError
        It is empty, in another encoding, or lacks a column.
    """
    path = Path(path)
    with source_errors(path):
        if path.suffix.lower() in (".parquet", ".pq"):
            return _read_parquet(path, columns)
        with unpacked(path) as content:
            return read_delimited(path, content, columns, header)


def read_blocks(
    path: str | Path, columns: Mapping[str, WantedColumn], header: Sequence[str] = ()
) -> Iterator[FileData]:
    """Read as :func:`read_columns`, some hundred thousand rows at a time.

    Yields
    ------
    FileData
        A packed file that is damaged towards its end raises its error after the blocks before.
    """
    path = Path(path)
    with source_errors(path):
        if path.suffix.lower() in (".parquet", ".pq"):
            yield from _parquet_blocks(path, columns)
            return
        with unpacked(path) as content:
            yield from delimited_blocks(path, content, columns, header)


def typed_columns(path: Path, raw: pa.Table, columns: Mapping[str, WantedColumn]) -> FileData:
    """The wanted columns of a table that was read of a file, typed; raises DataError where it lacks one."""
    return _typed_table(path, raw, pick(path, raw.column_names, columns), columns)


def read_header(path: str | Path) -> list[str]:
    """The fields of a file's first line, or a Parquet file's columns; raises as :func:`read_columns`."""
    path = Path(path)
    with source_errors(path):
        if path.suffix.lower() in (".parquet", ".pq"):
            return list(pq.read_schema(path).names)
        with unpacked(path) as content:
            return detect_format(path, content).header


def place(path: str | Path, number: int) -> str:
    """The number of a row in words: a text file's line, as an editor shows it, or the row of another file, from 1."""
    return f"{'row' if Path(path).suffix.lower() in ('.parquet', '.pq') else 'line'} {number}"


@contextmanager
def source_errors(path: Path) -> Iterator[None]:
    """Raise what goes wrong while a file is opened and unpacked as a SourceError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise SourceError(f"{path} does not exist; check the source's root and file patterns") from error
    except (pa.ArrowException, MemoryError) as error:  # a damaged length may ask for any memory
        kind = "Parquet file" if path.suffix.lower() in (".parquet", ".pq") else "table"
        raise SourceError(f"{path} is no whole {kind} ({error}); it is truncated: fetch it again") from error
    except (zipfile.BadZipFile, NotImplementedError, *BROKEN) as error:
        if isinstance(error, MgError):
            raise
        raise SourceError(f"{path} cannot be read ({error}); it is damaged or truncated: fetch it again") from error


def _read_parquet(path: Path, columns: Mapping[str, WantedColumn]) -> FileData:
    with open_parquet(path) as file:
        chosen = pick(path, file.schema_arrow.names, columns)
        require_sound_size(path, values=file.metadata.num_rows * len(chosen))
        raw = file.read(columns=list(dict.fromkeys(chosen.values())))
        require_all_rows(path, file.metadata.num_rows, read=len(raw))
        return _typed_table(path, raw, chosen, columns)


def _parquet_blocks(path: Path, columns: Mapping[str, WantedColumn]) -> Iterator[FileData]:
    with open_parquet(path) as file:
        chosen, rows = pick(path, file.schema_arrow.names, columns), 0
        require_sound_size(path, values=file.metadata.num_rows * len(chosen))
        for batch in file.iter_batches(BLOCK_ROWS, columns=list(dict.fromkeys(chosen.values()))):
            yield replace(_typed_table(path, pa.Table.from_batches([batch]), chosen, columns), first=rows + 1)
            rows += len(batch)
        require_all_rows(path, file.metadata.num_rows, read=rows)
        if not rows:
            yield _typed_table(path, file.schema_arrow.empty_table(), chosen, columns)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file; raises DataError where it is empty, SourceError where it would fill the memory."""
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes); fetch it again")
    file = pq.ParquetFile(path)
    footer = file.metadata
    page_bytes = sum(footer.row_group(g).total_byte_size for g in range(footer.num_row_groups))
    require_sound_size(path, page_bytes=page_bytes, columns=footer.num_columns)
    return file


def _typed_table(path: Path, raw: pa.Table, chosen: dict[str, str], columns: Mapping[str, WantedColumn]) -> FileData:
    typed, unparsed = {}, {}
    raw.validate(full=True)  # damaged pages may decode to texts that are none
    for ours, theirs in chosen.items():
        if pa.types.is_nested(raw[theirs].type):
            raise DataError(f"{path}: column {theirs!r} holds {raw[theirs].type}; write one number or text a row")
        typed[ours], bad = _typed(raw[theirs], columns[ours].kind)
        if bad is not None:
            unparsed[ours] = bad
    text = pa.table({ours: raw[theirs] for ours, theirs in chosen.items()}) if unparsed else None
    return FileData(str(path), pa.table(typed), unparsed=unparsed, text=text)


def _typed(column: pa.ChunkedArray, kind: str) -> tuple[pa.ChunkedArray, np.ndarray | None]:
    """The column in the wanted type, and the rows that do not parse (None where all do)."""
    have = column.type
    if kind in ("text", "code"):
        if pa.types.is_dictionary(have) or pa.types.is_string(have):
            return column, None
        if pa.types.is_large_string(have) or pa.types.is_string_view(have):
            return column.cast(pa.string()), None
        return column, None  # numbers and times stay what they are: the caller knows their form
    want = TYPES[kind]
    if have == want:
        return column, None
    if pa.types.is_floating(have) and kind == "int":
        values = column.to_numpy(zero_copy_only=False)
        whole = np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < 2**53)
        bad = ~whole & ~np.isnan(values)
        out = pa.array(np.where(whole, values, 0).astype(np.int64), mask=~whole)
        return pa.chunked_array([out]), bad if bad.any() else None
    if pa.types.is_integer(have) or pa.types.is_floating(have) or pa.types.is_decimal(have):
        return column.cast(want, safe=False), None
    if pa.types.is_dictionary(have):
        column = column.cast(have.value_type)
    return parse_numbers(column.cast(pa.string()), kind)


__all__ = ["FileData", "WantedColumn", "pick", "place", "read_blocks", "read_columns", "read_header"]
