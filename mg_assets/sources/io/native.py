"""Files of other programs that hold a table in a form of their own: TongDaXin's binaries, vnpy's SQLite database.

They give the same typed columns as a text file. Of their minute bars one day can be read without the others.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mg_assets.errors import SourceError
from mg_assets.sources.io import sqlite, tdx
from mg_assets.sources.io.columns import FileData, WantedColumn, pick
from mg_assets.sources.io.read_file import source_errors, typed_columns

TDX_ENDS = (".day", ".lc1", ".lc5")
SQLITE_ENDS = (".db", ".sqlite", ".sqlite3")
NATIVE_ENDS = (*TDX_ENDS, *SQLITE_ENDS)


def is_native(path: str | Path) -> bool:
    """Whether the file's name is one of these programs'."""
    return str(path).lower().endswith(NATIVE_ENDS)


def native_sample(path: Path, count: int) -> tuple[list[str], list[list[str]]]:
    """Names of the columns and some rows as text; no names where it holds no bars of stocks."""
    with source_errors(path):
        if _is_tdx(path):
            if not tdx.is_of_an_exchange(path):
                return [], []
            table = tdx.read(path)[0].slice(0, count)
            return tdx.header(path), [[str(v) for v in row.values()] for row in table.to_pylist()]
        names = sqlite.header(path)
        return names, sqlite.sample(path, count) if names else []


def read_native(
    path: Path, columns: Mapping[str, WantedColumn], kind: str = "", day: np.datetime64 | None = None
) -> tuple[FileData, int]:
    """Read the wanted columns of a file, or of one of its days.

    Parameters
    ----------
    path : Path
    columns : mapping of str to WantedColumn
    kind : str
        The interval, of a database.
    day : datetime64[D], optional

    Returns
    -------
    data : FileData
    count : int
        Rows in the whole file (of the interval).

    Raises
    ------
    SourceError
        The file is damaged or cannot be opened.
    DataError
        It is empty, has no rows of the interval, or lacks a column.
    """
    with source_errors(path):
        if _is_tdx(path):
            table, rows, count = tdx.read(path, day)
        else:
            names = list(dict.fromkeys(pick(path, sqlite.header(path), columns).values()))
            table, rows, count = sqlite.read(path, names, kind, day)
        data = typed_columns(path, table, columns)
    first = 1 if _is_tdx(path) else 0  # a database's row ids are its own
    return FileData(data.path, data.table, rows, data.unparsed, text=data.text, first=first), count


def native_days(path: Path, kind: str = "") -> np.ndarray:
    """Days of a file's minute bars, ``datetime64[D]``, ascending; raises as :func:`read_native`."""
    with source_errors(path):
        return tdx.days(path) if _is_tdx(path) else sqlite.days(path, kind)


def refuse_other_bars(path: Path) -> None:
    """Raise SourceError for a file whose name says that its bars are longer than a minute and shorter than a day."""
    if path.suffix.lower() == ".lc5":
        raise SourceError(
            f"{path} holds bars of 5 minutes, which make no minute bars; give the folder 'minline' with the .lc1 files"
        )


def _is_tdx(path: Path) -> bool:
    return path.suffix.lower() in TDX_ENDS
