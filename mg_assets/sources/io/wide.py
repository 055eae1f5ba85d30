"""A flag of each stock and day in a wide table, a row a day and a column a stock (JoinQuant's ``get_extras``)."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa

from mg_assets.errors import DataError
from mg_assets.sources.io.columns import FileData, WantedColumn
from mg_assets.sources.io.read_file import read_columns, read_header
from mg_assets.sources.io.symbols import to_symbol

INDEX_NAMES = ("", "date", "time", "day", "index", "unnamed: 0", "__index_level_0__")
"""What the column of days is called: pandas writes an index without a name as an empty one."""
COLUMNS = ("date", "code", "is_st")
FLAGS = {"True", "False", "0", "1", "0.0", "1.0"}
_NAME = re.compile(r"(?<![a-z])(is_?)?st(?![a-z])|extras", re.I)


def days_column(header: list[str]) -> str | None:
    """The column of days of a wide table, whose other columns are all codes; None where it is none."""
    days = [h for h in header if h.strip().casefold() in INDEX_NAMES]
    codes = [h for h in header if h not in days]
    wide = len(days) == 1 and codes and all(to_symbol(h) is not None for h in codes)
    return days[0] if wide else None


def long_rows(path: Path, header: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """A sample of a wide table of ST flags as that of a long one; of any other table the sample itself."""
    days = days_column(header)  # what such a table holds only its name says: is_st.csv, extras_st.csv
    if days is None or not _NAME.search(path.stem):
        return header, rows
    at = header.index(days)
    long = [[row[at], code, cell] for row in rows for code, cell in zip(header, row, strict=False) if code != days]
    words = {cell.strip().strip('"') for _, _, cell in long} - {""}
    return (list(COLUMNS), long) if words <= FLAGS else (header, rows)


def is_wide(path: Path) -> bool:
    """Whether a file is a wide table; raises as :func:`~mg_assets.sources.io.read_file.read_header`."""
    return days_column(read_header(path)) is not None


def read_wide(path: Path, flag: str) -> FileData:
    """Read a wide table as a long one.

    Parameters
    ----------
    path : Path
    flag : str
        Name of the column of cells.

    Returns
    -------
    FileData
        Columns ``date``, ``symbol`` and the flag (text), a row for each cell that is not empty; ``rows`` counts the
        rows of the file.

    Raises
    ------
    DataError
        It is no wide table.
    """
    header = read_header(path)
    days = days_column(header)
    if days is None:
        raise DataError(f"{path}: a column of days and a column for each stock were expected, the header is {header}")
    codes = [h for h in header if h != days]
    wanted = {"date": WantedColumn((days.strip(),), "code"), **{c: WantedColumn((c.strip(),), "code") for c in codes}}
    data = read_columns(path, wanted)
    table, count = data.table, len(data.table)
    cells = [_words(table[c]) for c in codes]
    filled = [np.flatnonzero(c.is_valid().to_numpy(zero_copy_only=False)) for c in cells]
    at = np.concatenate(filled)
    numbers = np.arange(count) if data.rows is None else data.rows
    symbols = pa.DictionaryArray.from_arrays(
        pa.array(np.repeat(np.arange(len(codes), dtype=np.int32), [len(f) for f in filled])), pa.array(codes)
    )
    flags = pa.concat_arrays([c.take(pa.array(f)) for c, f in zip(cells, filled, strict=True)])
    long = pa.table({"date": table["date"].take(pa.array(at)), "symbol": symbols, flag: flags})
    return FileData(str(path), long, rows=numbers[at], broken=data.broken, first=data.first)


def _words(column: pa.ChunkedArray) -> pa.Array:
    """A column of flags as one array of text."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.cast(pa.string()).combine_chunks()
