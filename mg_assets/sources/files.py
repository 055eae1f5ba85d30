"""Read the needed columns of one CSV or Parquet file, with errors that say what to do.

1. The header tells delimiter, encoding and which of a column's accepted names the file uses.
2. The fast path reads typed columns with Arrow, all cores, only the columns that are needed.
3. Where a value does not parse or a row has the wrong number of fields, the file is read again as
   text: stray commas at a row's end are taken off, numbers that do not parse become null and are
   marked, rows that stay broken are returned for the quarantine with their row number.
"""

import csv
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from mg_assets.errors import DataError, SourceError

BLOCK_BYTES = 8 << 20
TYPES = {
    "int": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
    "code": pa.dictionary(pa.int32(), pa.string()),  # few distinct values: one lookup each, not one per row
}
NULLS = ("", "NA", "NaN", "nan", "null", "NULL", "None", "-", "--")


@dataclass(frozen=True)
class Column:
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
        0-based data row of each row of ``table``; None where it is just its position.
    unparsed : dict of str to ndarray of bool
        Per column, the rows whose text is no number.
    broken : list of (int, str, str)
        Rows that are no rows of this table: data row, reason, line.
    text : Table or None
        The columns as text, where the slow path was taken.
    notes : dict
    """

    path: str
    table: pa.Table
    rows: np.ndarray | None = None
    unparsed: dict[str, np.ndarray] = field(default_factory=dict)
    broken: list[tuple[int, str, str]] = field(default_factory=list)
    text: pa.Table | None = None
    notes: dict[str, object] = field(default_factory=dict)

    def row_numbers(self, at: np.ndarray) -> np.ndarray:
        """Data rows in the file of the given rows of ``table``."""
        return at if self.rows is None else self.rows[at]


def read_columns(path: str | Path, columns: Mapping[str, Column]) -> FileData:
    """Read the wanted columns of one file (``.csv``, ``.txt``, ``.csv.gz``, ``.zip`` or ``.parquet``).

    Raises
    ------
    SourceError
        The file cannot be opened, or is truncated.
    DataError
        It is empty, in another encoding, or lacks a column.
    """
    path = Path(path)
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return _read_parquet(path, columns)
        return _read_csv(path, columns)
    except FileNotFoundError as error:
        raise SourceError(f"{path} does not exist; check the source's root and file patterns") from error
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise SourceError(f"{path} cannot be read ({error}); it is damaged or truncated: fetch it again") from error


def pick(path: Path, header: list[str], columns: Mapping[str, Column]) -> dict[str, str]:
    """Our name -> the file's name, for the wanted columns that the file has."""
    stripped = [h.strip() for h in header]
    doubled = sorted({h for h in stripped if h and stripped.count(h) > 1})
    chosen: dict[str, str] = {}
    for ours, column in columns.items():
        name = next((n for n in column.names if n in stripped), None)
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


# ------------------------------------------------------------------ Parquet


def _read_parquet(path: Path, columns: Mapping[str, Column]) -> FileData:
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes); fetch it again")
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            chosen = pick(path, names, columns)
            raw = file.read(columns=list(dict.fromkeys(chosen.values())))
    except pa.ArrowInvalid as error:
        raise SourceError(f"{path} is no whole Parquet file ({error}); it is truncated: fetch it again") from error
    typed, unparsed = {}, {}
    for ours, theirs in chosen.items():
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
    return _parse(column.cast(pa.string()), kind)


def _parse(column: pa.ChunkedArray, kind: str) -> tuple[pa.ChunkedArray, np.ndarray | None]:
    """Text to numbers; a text that is no number becomes null and is marked."""
    try:
        return column.cast(TYPES[kind]), None
    except pa.ArrowInvalid:
        pass
    text = column.to_pandas().str.strip()
    missing = (text.isna() | text.isin(NULLS)).to_numpy(bool)
    values = pd.to_numeric(text.where(~missing), errors="coerce").to_numpy("float64", na_value=np.nan)
    good = np.isfinite(values)
    if kind == "int":
        good &= (values == np.floor(values)) & (np.abs(values) < 2**53)
    bad = ~good & ~missing
    kept = np.where(good, values, 0)
    out = pa.array(kept.astype(np.int64) if kind == "int" else kept, mask=~good)
    return pa.chunked_array([out]), bad if bad.any() else None


# ---------------------------------------------------------------------- CSV


@dataclass(frozen=True)
class _Form:
    """What the first two lines of a CSV file tell."""

    header: list[str]
    delimiter: str
    encoding: str
    stray: bool  # data rows end in a delimiter that the header lacks


def _open(path: Path):
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return pa.input_stream(str(path), compression="gzip")
    if suffix == ".zip":
        archive = zipfile.ZipFile(path)
        members = [m for m in archive.namelist() if not m.endswith("/")]
        if len(members) != 1:
            raise SourceError(f"{path} holds {len(members)} files; one was expected: unpack it")
        return pa.PythonFile(archive.open(members[0]), mode="r")
    return pa.input_stream(str(path), compression=None)


def _form(path: Path) -> _Form:
    with _open(path) as stream:
        head = stream.read(1 << 16)
    if not head:
        raise DataError(f"{path} is empty (0 bytes); fetch it again")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in head[:200]:
        raise DataError(f"{path} is encoded as UTF-16; UTF-8 was expected: save it again as UTF-8")
    lines = head.removeprefix(b"\xef\xbb\xbf").splitlines()
    encoding = "utf8"
    try:
        first = lines[0].decode("utf-8")
    except UnicodeDecodeError:
        encoding = "gb18030"  # the usual encoding of Chinese spreadsheets
        try:
            first = lines[0].decode(encoding)
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: the header is neither UTF-8 nor GB18030; save it again as UTF-8") from error
    delimiter = max(",\t|;", key=first.count)
    header = next(csv.reader([first], delimiter=delimiter), [])
    second = lines[1].decode(encoding, errors="replace") if len(lines) > 1 else ""
    fields = next(csv.reader([second], delimiter=delimiter), [])
    stray = len(fields) == len(header) + 1 and not fields[-1].strip()
    return _Form(header, delimiter, encoding, stray)


def _options(form: _Form, types: dict[str, pa.DataType], handler, threads: bool):
    names = [*form.header, "_stray"] if form.stray else form.header
    return {
        "read_options": pacsv.ReadOptions(
            use_threads=threads, block_size=BLOCK_BYTES, column_names=names, skip_rows=1, encoding=form.encoding
        ),
        "parse_options": pacsv.ParseOptions(delimiter=form.delimiter, invalid_row_handler=handler),
        "convert_options": pacsv.ConvertOptions(
            column_types=types, include_columns=list(types), strings_can_be_null=True, null_values=list(NULLS)
        ),
    }


def _read_csv(path: Path, columns: Mapping[str, Column]) -> FileData:
    form = _form(path)
    chosen = pick(path, form.header, columns)
    _whole(path, form)
    types = {theirs: TYPES[columns[ours].kind] for ours, theirs in chosen.items()}
    odd: list[object] = []

    def handler(row) -> str:
        odd.append(row)
        return "skip"

    try:
        with _open(path) as stream:
            table = pacsv.read_csv(stream, **_options(form, types, handler, threads=True))
    except pa.ArrowInvalid as error:
        if "CSV conversion error" not in str(error) and "columns" not in str(error):
            if "Empty CSV" in str(error):
                table = pa.table({n: pa.array([], t) for n, t in types.items()})
                return FileData(str(path), _renamed(table, chosen))
            raise SourceError(f"{path} cannot be read as CSV ({error}); it is damaged: fetch it again") from error
        return _read_text(path, form, chosen, columns)
    if odd:
        return _read_text(path, form, chosen, columns)
    return FileData(str(path), _renamed(table, chosen))


def _read_text(path: Path, form: _Form, chosen: dict[str, str], columns: Mapping[str, Column]) -> FileData:
    """Read everything as text, mend what can be mended, and mark the rest."""
    odd: list[tuple[int, str]] = []

    def handler(row) -> str:
        odd.append((row.number, row.text))
        return "skip"

    types = {theirs: pa.string() for theirs in chosen.values()}
    try:
        with _open(path) as stream:
            table = pacsv.read_csv(stream, **_options(form, types, handler, threads=False))
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{path} cannot be read as CSV ({error}); was it cut or saved in another encoding? Save it again as UTF-8"
        ) from error
    odd_rows = np.array([number - 2 for number, _ in odd], np.int64)  # line 1 is the header
    total = len(table) + len(odd)
    rows = np.setdiff1d(np.arange(total), odd_rows)[: len(table)]
    mended, broken, mended_rows = [], [], []
    for row, (_, line) in zip(odd_rows.tolist(), odd, strict=True):
        fields = next(csv.reader(io.StringIO(line), delimiter=form.delimiter), [])
        while len(fields) > len(form.header) and not fields[-1].strip():
            fields.pop()
        if len(fields) == len(form.header):
            mended.append(fields)
            mended_rows.append(row)
        else:
            broken.append((row, f"{len(fields)} fields where the header has {len(form.header)}", line))
    text = _renamed(table, chosen)
    if mended:
        at = {theirs: form.header.index(theirs) for theirs in chosen.values()}
        more = {
            ours: pa.array([None if r[at[theirs]].strip() in NULLS else r[at[theirs]] for r in mended], pa.string())
            for ours, theirs in chosen.items()
        }
        text = pa.concat_tables([text, pa.table(more)])
        rows = np.concatenate([rows, np.array(mended_rows, np.int64)])
    typed, unparsed = {}, {}
    for ours in text.column_names:
        kind = columns[ours].kind
        typed[ours], bad = (text[ours], None) if kind in ("text", "code") else _parse(text[ours], kind)
        if bad is not None:
            unparsed[ours] = bad
    notes: dict[str, object] = {"rows_with_stray_commas": len(mended)} if mended else {}
    return FileData(str(path), pa.table(typed), rows, unparsed, broken, text, notes)


def _renamed(table: pa.Table, chosen: dict[str, str]) -> pa.Table:
    return pa.table({ours: table[theirs] for ours, theirs in chosen.items()})


def _whole(path: Path, form: _Form) -> None:
    """Refuse a plain file that ends inside a row (a compressed one fails in its own reader)."""
    if path.suffix.lower() in (".gz", ".zip"):
        return
    size = path.stat().st_size
    with open(path, "rb") as file:
        file.seek(max(0, size - (1 << 16)))
        tail = file.read()
    if tail.endswith((b"\n", b"\r")):
        return
    last = tail.splitlines()[-1].decode(form.encoding, errors="replace")
    fields = next(csv.reader([last], delimiter=form.delimiter), [])
    if len(fields) < len(form.header):
        raise SourceError(
            f"{path} ends inside a row: {last[:80]!r} has {len(fields)} of {len(form.header)} fields; "
            "the file is truncated: fetch it again"
        )
