"""Read one delimited text file.

1. The first lines give delimiter, encoding and which of a column's accepted names the file uses; a file
   of a kind that has no header line is read by the kind's documented order of columns.
2. The fast path reads typed columns with Arrow, all cores, only the columns that are needed.
3. Where a value does not parse or a row has the wrong number of fields, the same bytes are read again as
   text, one row a line: stray commas at a row's end are taken off, numbers that do not parse become
   null and are marked, rows that stay broken are returned for the quarantine with their row number.

:func:`read_delimited` does this with a file at once, :func:`delimited_blocks` with one block of whole lines after the
other: memory is that of a block, and a broken line costs its block the second reading, not the file.
"""

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from mg_assets.errors import DataError, SourceError
from mg_assets.sources.io.archives import is_packed
from mg_assets.sources.io.columns import NULLS, TYPES, FileData, WantedColumn, parse_numbers, pick

BLOCK_BYTES = 8 << 20
"""Bytes that Arrow parses as one piece, on one core."""
READ_BYTES = 8 << 20
"""Bytes of a block of :func:`delimited_blocks`, about: some 80,000 rows of ticks, whose columns fit into the cache."""
ENCODINGS = ("utf8", "gb18030", "latin-1")
"""Tried one after the other: the usual one, that of Chinese spreadsheets, one in which any byte is a character."""


@dataclass(frozen=True)
class TextFormat:
    """Header, delimiter and encoding of a delimited text file, as its first lines show."""

    header: list[str]
    delimiter: str
    encoding: str
    stray: bool  # data rows end in a delimiter that the header lacks
    first_row: int = 1  # lines before the first data row


def detect_format(path: Path, content: Callable[[], Any], header: Sequence[str] = ()) -> TextFormat:
    """Header, delimiter and encoding of a file; ``header`` names the columns of a kind without a header line."""
    with content() as stream:
        head = stream.read(1 << 16)
    if not head:
        raise DataError(f"{path} is empty (0 bytes); fetch it again")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or head[:200].count(0) * 4 > len(head[:200]):
        raise DataError(f"{path} is encoded as UTF-16; UTF-8 was expected: save it again as UTF-8")
    lines = head.removeprefix(b"\xef\xbb\xbf").splitlines()
    if not lines:
        raise DataError(f"{path} is empty ({len(head)} bytes without a line); fetch it again")
    encoding = next((e for e in ENCODINGS if _decodes(head, e)), ENCODINGS[-1])
    if encoding == ENCODINGS[-1] and not lines[0].isascii():
        raise DataError(f"{path}: the header is neither UTF-8 nor GB18030; save it again as UTF-8")
    first = lines[0].decode(encoding)
    delimiter = max(",\t|;", key=first.count)
    if header and not first.count(delimiter):
        delimiter = " "
    names = next(csv.reader([first], delimiter=delimiter), [])
    if header and not {n.strip().casefold() for n in names} & {h.casefold() for h in header}:
        return _headless(path, names, header, delimiter, encoding)
    second = lines[1].decode(encoding, errors="replace") if len(lines) > 1 else ""
    fields = next(csv.reader([second], delimiter=delimiter), [])
    stray = len(fields) == len(names) + 1 and not fields[-1].strip()
    return TextFormat(names, delimiter, encoding, stray)


def _headless(path: Path, fields: list[str], header: Sequence[str], delimiter: str, encoding: str) -> TextFormat:
    """The form of a file whose first line is data."""
    stray = len(fields) == len(header) + 1 and not fields[-1].strip()
    if len(fields) != len(header) + stray:
        raise DataError(
            f"{path}: no header, and its first line has {len(fields)} fields where a file of this kind has "
            f"{len(header)}: {list(header)}; is it this kind of file? Put a header line before its rows if its columns "
            "are others"
        )
    return TextFormat(list(header), delimiter, encoding, stray, first_row=0)


def _decodes(head: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _options(
    form: TextFormat, types: dict[str, pa.DataType], handler: Callable[[Any], str], threads: bool, quotes: bool = True
) -> dict[str, Any]:
    names = [*form.header, "_stray"] if form.stray else form.header
    return {
        "read_options": pacsv.ReadOptions(
            use_threads=threads,
            block_size=BLOCK_BYTES,
            column_names=names,
            skip_rows=form.first_row,
            encoding=form.encoding,
        ),
        "parse_options": pacsv.ParseOptions(
            delimiter=form.delimiter, invalid_row_handler=handler, quote_char='"' if quotes else False
        ),
        "convert_options": pacsv.ConvertOptions(
            column_types=types, include_columns=list(types), strings_can_be_null=True, null_values=list(NULLS)
        ),
    }


def read_delimited(
    path: Path, content: Callable[[], Any], columns: Mapping[str, WantedColumn], header: Sequence[str] = ()
) -> FileData:
    """The wanted columns of a text file whose bytes ``content`` opens (see :func:`files.read_columns`)."""
    form, chosen = _begin(path, content, columns, header)
    tails: list[bytes] = []

    def ended(stream: Any) -> None:
        if is_packed(path):
            tails.append(stream.tail)

    data = _parse(path, content, form, chosen, columns, ended)
    if tails:
        _whole(path, form, tails[0])
    return data


def delimited_blocks(
    path: Path, content: Callable[[], Any], columns: Mapping[str, WantedColumn], header: Sequence[str] = ()
) -> Iterator[FileData]:
    """The wanted columns block by block; see :func:`files.read_blocks`."""
    form, chosen = _begin(path, content, columns, header)
    rows = 0
    with content() as stream:
        for block in _line_blocks(stream):
            data = _parse(path, partial(pa.BufferReader, block), form, chosen, columns)
            yield replace(data, first=rows)
            rows += len(data.table) + len(data.broken)
            form = replace(form, first_row=0)
        if is_packed(path):
            _whole(path, form, stream.tail)


def _begin(
    path: Path, content: Callable[[], Any], columns: Mapping[str, WantedColumn], header: Sequence[str]
) -> tuple[TextFormat, dict[str, str]]:
    """A file's form and its wanted columns; a plain file that ends inside a row is refused."""
    form = detect_format(path, content, header)
    chosen = pick(path, form.header, columns)
    if not is_packed(path):
        _whole(path, form, _tail_of(path))
    return form, chosen


def _line_blocks(stream: Any) -> Iterator[bytes]:
    """The stream's bytes in blocks of whole lines."""
    rest = b""
    while data := stream.read(READ_BYTES):
        end = data.rfind(b"\n") + 1 or data.rfind(b"\r") + 1
        if end:
            yield b"".join([rest, memoryview(data)[:end]])
            rest = data[end:]
        else:
            rest += data
    if rest:
        yield rest


def _parse(
    path: Path,
    content: Callable[[], Any],
    form: TextFormat,
    chosen: dict[str, str],
    columns: Mapping[str, WantedColumn],
    ended: Callable[[Any], None] = lambda stream: None,
) -> FileData:
    """The rows that ``content`` opens, typed; ``ended`` is called with the stream once all of it is read."""
    types = {theirs: TYPES[columns[ours].kind] for ours, theirs in chosen.items()}
    odd: list[object] = []

    def handler(row: Any) -> str:
        odd.append(row)
        return "skip"

    try:
        with content() as stream:
            table = pacsv.read_csv(_arrow(stream), **_options(form, types, handler, threads=True))
            ended(stream)
    except pa.ArrowInvalid as error:
        if "CSV conversion error" not in str(error) and "columns" not in str(error):
            if "Empty CSV" in str(error):
                table = pa.table({n: pa.array([], t) for n, t in types.items()})
                return FileData(str(path), _renamed(table, chosen))
            raise SourceError(f"{path} cannot be read as CSV ({error}); it is damaged: fetch it again") from error
        return _read_text(path, content, form, chosen, columns)
    except UnicodeDecodeError:
        return _read_text(path, content, form, chosen, columns)
    if odd:
        return _read_text(path, content, form, chosen, columns)
    return FileData(str(path), _renamed(table, chosen))


def _arrow(stream: Any) -> Any:
    """The stream as one that Arrow reads from."""
    return stream if isinstance(stream, pa.NativeFile) else pa.PythonFile(stream, mode="r")


def _read_text(
    path: Path,
    content: Callable[[], Any],
    form: TextFormat,
    chosen: dict[str, str],
    columns: Mapping[str, WantedColumn],
) -> FileData:
    """Read everything as text, repair what can be repaired, and mark the rest.

    A line is a row whatever quotes it holds: a quote that is never closed invalidates its own line only.

    Returns
    -------
    FileData
        With ``text``, and the rows that cannot be repaired in ``broken``.

    Raises
    ------
    DataError
        The text is in no encoding that is tried, or no table.
    """
    odd: list[tuple[int, str]] = []

    def handler(row: Any) -> str:
        odd.append((row.number, row.text))
        return "skip"

    types = {theirs: pa.string() for theirs in chosen.values()}
    try:
        with content() as stream:
            table = pacsv.read_csv(_arrow(stream), **_options(form, types, handler, threads=False, quotes=False))
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        further = ENCODINGS[ENCODINGS.index(form.encoding) + 1 :]
        if further and (isinstance(error, UnicodeDecodeError) or "UTF8" in str(error)):
            return _read_text(path, content, replace(form, encoding=further[0]), chosen, columns)
        raise DataError(
            f"{path} cannot be read as CSV ({error}); was it cut or saved in another encoding? Save it again as UTF-8"
        ) from error
    odd_rows = np.array([number - 1 - form.first_row for number, _ in odd], np.int64)
    total = len(table) + len(odd)
    rows = np.setdiff1d(np.arange(total), odd_rows)[: len(table)]
    repaired, broken, repaired_rows = [], [], []
    for row, (_, line) in zip(odd_rows.tolist(), odd, strict=True):
        fields = _fields(line, form.delimiter)
        while len(fields) > len(form.header) and not fields[-1].strip():
            fields.pop()
        if len(fields) == len(form.header):
            repaired.append(fields)
            repaired_rows.append(row)
        else:
            broken.append((row, f"{len(fields)} fields where the header has {len(form.header)}", line))
    text = _unquoted(_renamed(table, chosen))
    if repaired:
        at = {theirs: form.header.index(theirs) for theirs in chosen.values()}
        more = {
            ours: pa.array([None if r[at[theirs]].strip() in NULLS else r[at[theirs]] for r in repaired], pa.string())
            for ours, theirs in chosen.items()
        }
        text = pa.concat_tables([text, pa.table(more)])
        rows = np.concatenate([rows, np.array(repaired_rows, np.int64)])
    typed, unparsed = {}, {}
    for ours in text.column_names:
        kind = columns[ours].kind
        typed[ours], bad = (text[ours], None) if kind in ("text", "code") else parse_numbers(text[ours], kind)
        if bad is not None:
            unparsed[ours] = bad
    notes: dict[str, object] = {"rows_with_stray_commas": len(repaired)} if repaired else {}
    return FileData(str(path), pa.table(typed), rows, unparsed, broken, text, notes)


def _fields(line: str, delimiter: str) -> list[str]:
    """Fields of one line; where a quote is never closed, quotes are ordinary characters."""
    if line.count('"') % 2:
        return line.split(delimiter)
    return next(csv.reader(io.StringIO(line), delimiter=delimiter), [])


def _unquoted(table: pa.Table) -> pa.Table:
    """Cells without the quotes around them; an empty pair of quotes is null."""
    out = {}
    for name in table.column_names:
        column = table[name]
        quoted = pc.starts_with(column, '"')
        if pc.any(quoted).as_py():
            bare = pc.replace_substring_regex(column, r'^"(.*)"$', r"\1")
            column = pc.if_else(pc.is_in(bare, pa.array(NULLS)), pa.scalar(None, pa.string()), bare)
        out[name] = column
    return pa.table(out)


def _renamed(table: pa.Table, chosen: dict[str, str]) -> pa.Table:
    return pa.table({ours: table[theirs] for ours, theirs in chosen.items()})


def _tail_of(path: Path) -> bytes:
    """The last bytes of a plain file."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 16)))
        return file.read()


def _whole(path: Path, form: TextFormat, tail: bytes) -> None:
    """Refuse a file that ends inside a row."""
    if tail.endswith((b"\n", b"\r")) or not tail.splitlines():
        return
    last = tail.splitlines()[-1].decode(form.encoding, errors="replace")
    fields = _fields(last, form.delimiter)
    if len(fields) < len(form.header):
        raise SourceError(
            f"{path} ends inside a row: {last[:80]!r} has {len(fields)} of {len(form.header)} fields; "
            "the file is truncated: fetch it again"
        )
