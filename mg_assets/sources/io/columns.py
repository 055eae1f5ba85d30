"""Which columns of a file are wanted, by any of their names, and what reading a file gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.errors import DataError

TYPES = {
    "int": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
    "code": pa.dictionary(pa.int32(), pa.string()),  # few distinct values: one lookup each, not one per row
}
THOUSANDS = r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?"
MANY_WORDS = 10_000  # of a column, and more than half of it: not the column, and its file is refused
NULLS = ("", "NA", "NaN", "nan", "null", "NULL", "None", "-", "--")


@dataclass(frozen=True)
class WantedColumn:
    """A wanted column.

    Attributes
    ----------
    names : tuple of str
        Names that files use for it; the first is the official one.
    kind : str
        ``int``, ``float``, ``text`` or ``code`` (text with few distinct values).
    required : bool
        Whether a file without it is refused.
    """

    names: tuple[str, ...]
    kind: str
    required: bool = True


@dataclass(frozen=True)
class FileData:
    """What was read of one file.

    Attributes
    ----------
    path : str
    table : Table
        The wanted columns that the file has, under our names, typed; null where empty or not parsed.
    rows : ndarray of int64 or None
        Place of each row of ``table`` in the file, counted from ``first``; None where it is just its position.
    unparsed : dict of str to ndarray of bool
        Per column, the rows whose text is no number.
    broken : list of (int, str, str)
        Rows that are no rows of this table: place (counted like ``rows``, from ``first``), reason, line.
    text : Table or None
        The columns as text, where the slow path was taken.
    block_words : dict of int to dict
        ``words`` of a file's blocks, which have no ``text`` together.
    notes : dict
    first : int
        Number of the row at place 0, as a person counts: the block's first line in a text file, whose first line is
        1; the row of any other file, from 1.
    """

    path: str
    table: pa.Table
    rows: np.ndarray | None = None
    unparsed: dict[str, np.ndarray] = field(default_factory=dict)
    broken: list[tuple[int, str, str]] = field(default_factory=list)
    text: pa.Table | None = None
    block_words: dict[int, dict[str, str]] = field(default_factory=dict)
    notes: dict[str, object] = field(default_factory=dict)
    first: int = 1

    def row_numbers(self, at: np.ndarray) -> np.ndarray:
        """Lines of a text file, or rows of another from 1, of the given rows of ``table``."""
        return self.first + (at if self.rows is None else self.rows[at])

    @property
    def words(self) -> dict[int, dict[str, str]]:
        """By row number and column, the texts in place of numbers."""
        found = dict(self.block_words)
        if self.text is None:
            return found
        for column, bad in self.unparsed.items():
            at = np.flatnonzero(bad)
            if len(at) > MANY_WORDS and 2 * len(at) > len(bad):
                continue
            for number, word in zip(self.row_numbers(at), self.text[column].take(pa.array(at)), strict=True):
                found.setdefault(int(number), {})[column] = str(word)
        return found

    @property
    def broken_rows(self) -> tuple[np.ndarray, list[str], list[str]]:
        """Numbers, reasons and lines of the rows that are none."""
        places, reasons, lines = zip(*self.broken, strict=True) if self.broken else ((), (), ())
        return self.first + np.array(places, np.int64), list(reasons), list(lines)


def pick(path: Path, header: list[str], columns: Mapping[str, WantedColumn]) -> dict[str, str]:
    """Our name -> the file's name, for the wanted columns that the file has."""
    stripped = [h.strip() for h in header]
    doubled = sorted({h for h in stripped if h and stripped.count(h) > 1})
    folded = {h.casefold(): h for h in reversed(stripped)}
    chosen: dict[str, str] = {}
    for ours, column in columns.items():
        name = next((n for n in column.names if n in stripped), None)
        if name is None:
            name = next((folded[n.casefold()] for n in column.names if n.casefold() in folded), None)
        if name is not None:
            if name in doubled:
                raise DataError(f"{path}: column {name!r} occurs more than once in the header; rename or remove one")
            chosen[ours] = header[stripped.index(name)]
    lacking = [" or ".join(c.names) for ours, c in columns.items() if c.required and ours not in chosen]
    if lacking:
        raise DataError(
            f"{path}: columns lacking: {lacking}; the file has {stripped}. Check that the file is of this kind, "
            "that its first line is the header, and that the file pattern points at the right stream"
        )
    return chosen


def parse_numbers(column: pa.ChunkedArray, kind: str) -> tuple[pa.ChunkedArray, np.ndarray | None]:
    """Text to numbers; a text that is no number becomes null and is marked."""
    try:
        return column.cast(TYPES[kind]), None
    except pa.ArrowInvalid:
        pass
    text = column.to_pandas().str.strip()
    commas = text.str.contains(",", regex=False).fillna(False).to_numpy(bool)
    # one ``10,5`` and the column's commas are decimal points
    if commas.any() and text[commas].str.fullmatch(THOUSANDS).all():
        text = text.str.replace(",", "", regex=False)
    missing = (text.isna() | text.isin(NULLS)).to_numpy(bool)
    values = pd.to_numeric(text.where(~missing), errors="coerce").to_numpy("float64", na_value=np.nan)
    good = np.isfinite(values)
    if kind == "int":
        good &= (values == np.floor(values)) & (np.abs(values) < 2**53)
    bad = ~good & ~missing
    kept = np.where(good, values, 0)
    out = pa.array(kept.astype(np.int64) if kind == "int" else kept, mask=~good)
    return pa.chunked_array([out]), bad if bad.any() else None


def joined_marks(parts: Sequence[Mapping[str, np.ndarray]], counts: Sequence[int]) -> dict[str, np.ndarray]:
    """Marked rows of several parts' columns as those of one table; a column that a part lacks has none in it."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {
        name: np.concatenate([p.get(name, np.zeros(n, bool)) for p, n in zip(parts, counts, strict=True)])
        for name in names
    }
