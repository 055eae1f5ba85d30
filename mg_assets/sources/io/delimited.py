"""Read one delimited text file, block by block of whole lines, each line a row.

1. The first lines give delimiter, encoding and which of a column's accepted names the file uses; a file
   of a kind that has no header line is read by the kind's documented order of columns.
2. The fast path reads typed columns with Arrow, all cores, only the columns that are needed.
3. What a block holds decides whether that is enough: where a line has the wrong number of fields, a value does not
   parse, or a quote takes in more than its line (the block has more lines than rows), the same block is read again as
   text, one row a line: stray commas at a row's end are taken off, numbers that do not parse become null and are
   marked, rows that stay broken are returned for the quarantine with their line in the file.
4. Lines are counted while the bytes pass: a block whose rows and broken lines are not its lines is an error, never
   a shorter table (0.5 ms for 8 MiB, which take 70 ms to read and check).

:func:`read_delimited` gives a file at once, :func:`delimited_blocks` one block after the other: memory is that of a
block, and a broken line costs its block the second reading, not the file.
"""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from mg_assets.errors import DataError, SourceError
from mg_assets.sources.io.archives import is_packed
from mg_assets.sources.io.columns import NULLS, TYPES, FileData, WantedColumn, joined_marks, parse_numbers, pick

BLOCK_BYTES = 8 << 20
"""Bytes that Arrow parses as one piece, on one core."""
READ_BYTES = 8 << 20
"""Bytes of a block of :func:`delimited_blocks`, about: some 80,000 rows of ticks, whose columns fit into the cache."""
WHOLE_BYTES = 16 * BLOCK_BYTES
"""Bytes of a block of :func:`read_delimited`, about: pieces for 16 cores."""
LONGEST_LINE = 4 << 20
"""Bytes of a line; a longer one is no row (a file of zeros has one line)."""
HEAD_BYTES = 1 << 16
NEWLINE = 10
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
ENCODINGS = ("utf8", "gb18030")
"""Tried one after the other: the usual one, and that of Chinese spreadsheets."""


@dataclass(frozen=True)
class TextFormat:
    """Header, delimiter and encoding of a delimited text file, as its first lines show."""

    header: list[str]
    delimiter: str
    encoding: str
    stray: bool  # data rows end in a delimiter that the header lacks
    data_at: int = 0  # bytes before the first data row
    data_line: int = 2  # line of the first data row, the file's first being 1
    plain: bool = True  # the first lines are ASCII: the encoding is a guess


def detect_format(path: Path, content: Callable[[], Any], header: Sequence[str] = ()) -> TextFormat:
    """Header, delimiter and encoding of a file; ``header`` names the columns of a kind without a header line."""
    head, lines, blank, before, data_at = _first_lines(path, content)
    encoding = next((e for e in ENCODINGS if _decodes(head, e)), ENCODINGS[0])
    if not _decodes(lines[0], encoding):
        raise DataError(f"{path}: the header is neither UTF-8 nor GB18030; save it again as UTF-8")
    first = lines[0].decode(encoding, errors="replace")
    delimiter = max(",\t|;", key=first.count)
    if header and not first.count(delimiter):
        delimiter = " "
    names = _fields(first, delimiter)
    if header and not {n.strip().casefold() for n in names} & {h.casefold() for h in header}:
        form = _headless(path, names, header, delimiter, encoding, before)
        return replace(form, data_line=blank + 1)
    second = next((line for line in lines[1:] if line), b"").decode(encoding, errors="replace")
    fields = _fields(second, delimiter)
    stray = len(fields) == len(names) + 1 and not fields[-1].strip()
    return TextFormat(names, delimiter, encoding, stray, data_at, blank + 2, head.isascii())


def _first_lines(path: Path, content: Callable[[], Any]) -> tuple[bytes, list[bytes], int, int, int]:
    """A file's first bytes and lines, from the first that is not empty; empty lines and bytes before it, its end."""
    with content() as stream:
        head = stream.read(HEAD_BYTES)
    if not head:
        raise DataError(f"{path} is empty (0 bytes); fetch it again")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or head[:200].count(0) * 4 > len(head[:200]):
        raise DataError(f"{path} is encoded as UTF-16; UTF-8 was expected: save it again as UTF-8")
    every = head.removeprefix(BYTE_ORDER_MARK).splitlines(keepends=True)
    blank = next((i for i, line in enumerate(every) if line.strip(b"\r\n")), len(every))
    lines = [line.rstrip(b"\r\n") for line in every[blank:]]
    if not lines:
        raise DataError(f"{path} is empty ({len(head)} bytes without a line); fetch it again")
    if len(lines) == 1 and len(head) == HEAD_BYTES:
        raise DataError(f"{path}: the first line has more than {HEAD_BYTES:,} bytes; is it a table of text?")
    before = len(head) - len(b"".join(every[blank:]))
    return head, lines, blank, before, before + len(every[blank])


def _headless(
    path: Path, fields: list[str], header: Sequence[str], delimiter: str, encoding: str, before: int
) -> TextFormat:
    """The form of a file whose first line is data."""
    stray = len(fields) == len(header) + 1 and not fields[-1].strip()
    if len(fields) != len(header) + stray:
        raise DataError(
            f"{path}: no header, and its first line has {len(fields)} fields where a file of this kind has "
            f"{len(header)}: {list(header)}; is it this kind of file? Put a header line before its rows if its columns "
            "are others"
        )
    return TextFormat(list(header), delimiter, encoding, stray, before)


def _decodes(head: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _options(
    form: TextFormat, types: dict[str, pa.DataType], handler: Callable[[Any], str], threads: bool, quotes: bool
) -> dict[str, Any]:
    names = [*form.header, "_stray"] if form.stray else form.header
    return {
        "read_options": pacsv.ReadOptions(
            use_threads=threads, block_size=BLOCK_BYTES, column_names=names, encoding=form.encoding
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
    return joined(list(delimited_blocks(path, content, columns, header, WHOLE_BYTES)))


def delimited_blocks(
    path: Path,
    content: Callable[[], Any],
    columns: Mapping[str, WantedColumn],
    header: Sequence[str] = (),
    read_bytes: int | None = None,
) -> Iterator[FileData]:
    """The wanted columns in blocks of about ``read_bytes``, at least one; see :func:`files.read_blocks`."""
    form = detect_format(path, content, header)
    chosen = pick(path, form.header, columns)
    if not is_packed(path):
        _whole(path, form, _tail_of(path))
    line = form.data_line
    with content() as stream:
        if len(stream.read(form.data_at)) < form.data_at:
            raise SourceError(f"{path} became shorter while it was read; read it again")
        for block in _line_blocks(path, stream, read_bytes or READ_BYTES):
            data, lines = _parse(path, block, form, chosen, columns), _line_count(block)
            if lines > len(data.table) + len(data.broken):
                data = _at_their_lines(data, block)
            yield replace(data, first=line)
            line += lines
        if is_packed(path):
            _whole(path, form, stream.tail)


def _line_blocks(path: Path, stream: Any, read_bytes: int) -> Iterator[bytes]:
    """The stream's bytes in blocks of whole lines; one empty block where there are none."""
    rest, any_block = b"", False
    while data := stream.read(read_bytes):
        end = data.rfind(b"\n") + 1 or data.rfind(b"\r", 0, -1) + 1  # a CR at the end may be half of a CR LF
        if end:
            yield b"".join([rest, memoryview(data)[:end]])
            rest, any_block = data[end:], True
        else:
            rest += data
        if len(rest) > max(LONGEST_LINE, read_bytes):
            raise SourceError(f"{path} has a line of more than {len(rest):,} bytes; it is damaged: fetch it again")
    if rest or not any_block:
        yield rest


def _parse(
    path: Path, block: bytes, form: TextFormat, chosen: dict[str, str], columns: Mapping[str, WantedColumn]
) -> FileData:
    """The rows of a block of whole lines, typed: as many as it has lines, broken ones included."""
    block, form = _decodable(block, form)
    table = _typed_table(block, form, chosen, columns)
    ended = block.endswith((b"\n", b"\r"))
    quick = b'"' not in block or b"\r" not in block  # else a quote may have taken in the CR that ends its line
    if table is not None and quick and len(table) == _newlines(block) + (bool(block) and not ended):
        data = FileData(str(path), table)
    else:
        lines = count_lines(block)
        if table is not None and len(table) == lines:
            data = FileData(str(path), table)
        else:
            data = _read_text(path, block, form, chosen, columns)
            if len(data.table) + len(data.broken) != lines:
                raise SourceError(
                    f"{path}: of {lines} lines {len(data.table)} were read and {len(data.broken)} set aside; its line "
                    "ends or its encoding are damaged: fetch it again"
                )
    if not ended and form.header[-1] in chosen.values():
        return _without_cut_row(data, block, form)
    return data


def _decodable(block: bytes, form: TextFormat) -> tuple[bytes, TextFormat]:
    """The block and its encoding; bytes that are no characters become U+FFFD, which invalidate their own cell only."""
    if np.frombuffer(block, np.uint8).max(initial=0) < 128:
        return block, form
    for encoding in ENCODINGS if form.plain else (form.encoding,):
        try:
            block.decode(encoding)
        except UnicodeDecodeError:
            continue
        return block, replace(form, encoding=encoding)
    text = block.decode(form.encoding, errors="replace")
    return text.encode("utf8"), replace(form, encoding="utf8")


def _line_count(block: bytes) -> int:
    """Lines of a block as an editor counts them, the empty ones too."""
    lines = _newlines(block) + (bool(block) and not block.endswith((b"\n", b"\r")))
    return lines + (block.count(b"\r") - block.count(b"\r\n") if b"\r" in block else 0)


def _at_their_lines(data: FileData, block: bytes) -> FileData:
    """The rows of a block with empty lines, each at its own line."""
    place = np.flatnonzero([bool(line) for line in block.splitlines()])
    rows = np.arange(len(data.table)) if data.rows is None else data.rows
    broken = [(int(place[row]), reason, line) for row, reason, line in data.broken]
    return replace(data, rows=place[rows], broken=broken)


def _newlines(block: bytes) -> int:
    """Line feeds of a block (``bytes.count`` takes six times as long)."""
    return int(np.count_nonzero(np.frombuffer(block, np.uint8) == NEWLINE))


def count_lines(block: bytes) -> int:
    """Lines that are not empty, whatever their ends: LF, CR LF or CR."""
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    filled = np.frombuffer(block, np.uint8) != NEWLINE
    return int(np.count_nonzero(filled[1:] & ~filled[:-1]) + np.count_nonzero(filled[:1]))


def _typed_table(
    block: bytes, form: TextFormat, chosen: dict[str, str], columns: Mapping[str, WantedColumn]
) -> pa.Table | None:
    """The block's rows where all of them parse; None where they do not."""
    types = {theirs: TYPES[columns[ours].kind] for ours, theirs in chosen.items()}
    odd: list[object] = []

    def handler(row: Any) -> str:
        odd.append(row)
        return "skip"

    try:
        options = _options(form, types, handler, threads=True, quotes=b'"' in block)
        table = pacsv.read_csv(pa.BufferReader(block), **options)
    except pa.ArrowInvalid as error:
        empty = "Empty CSV" in str(error)
        return _renamed(pa.table({n: pa.array([], t) for n, t in types.items()}), chosen) if empty else None
    return None if odd else _renamed(table, chosen)


def _without_cut_row(data: FileData, block: bytes, form: TextFormat) -> FileData:
    """The rows without the last one, whose last field is needed and has no end: ``12`` may have been ``1250``."""
    last = len(data.table) + len(data.broken) - 1
    rows = np.arange(len(data.table)) if data.rows is None else data.rows
    at = np.flatnonzero(rows == last)
    line = block.splitlines()[-1].decode(form.encoding, errors="replace") if len(at) else ""
    if not len(at) or line.rstrip().endswith(form.delimiter):
        return data
    keep = np.flatnonzero(np.arange(len(data.table)) != at[0])
    reason = f"the file ends inside {form.header[-1]!r}, without a line end: the value may be cut"
    return replace(
        data,
        table=data.table.take(pa.array(keep)),
        rows=rows[keep],
        unparsed={k: v[keep] for k, v in data.unparsed.items()},
        broken=[*data.broken, (last, reason, line)],
        text=None if data.text is None else data.text.take(pa.array(keep)),
    )


def joined(parts: Sequence[FileData]) -> FileData:
    """Several blocks of a file as one; the numbers of their rows stay."""
    if len(parts) == 1:
        return parts[0]
    count = [len(p.table) for p in parts]
    plain = all(p.rows is None and not p.broken for p in parts)
    notes: Counter[str] = Counter()
    for part in parts:
        notes.update({k: v for k, v in part.notes.items() if isinstance(v, int)})
    return FileData(
        parts[0].path,
        pa.concat_tables([p.table for p in parts]),
        None if plain else np.concatenate([p.row_numbers(np.arange(n)) for p, n in zip(parts, count, strict=True)]),
        joined_marks([p.unparsed for p in parts], count),
        [(p.first + row, reason, line) for p in parts for row, reason, line in p.broken],
        block_words={number: words for p in parts for number, words in p.words.items()},
        notes=dict(notes),
        first=parts[0].first if plain else 0,
    )  # fmt: skip


def _read_text(
    path: Path, block: bytes, form: TextFormat, chosen: dict[str, str], columns: Mapping[str, WantedColumn]
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
        The text is no table.
    """
    odd: list[tuple[int, str]] = []

    def handler(row: Any) -> str:
        odd.append((row.number, row.text))
        return "skip"

    types = {theirs: pa.string() for theirs in chosen.values()}
    try:
        options = _options(form, types, handler, threads=False, quotes=False)
        table = pacsv.read_csv(pa.BufferReader(block), **options)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} cannot be read as CSV ({error}); it is damaged: fetch it again") from error
    odd_rows = np.array([number - 1 for number, _ in odd], np.int64)
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
        if kind in ("text", "code"):
            typed[ours] = text[ours].dictionary_encode() if kind == "code" else text[ours]
            continue
        typed[ours], bad = parse_numbers(text[ours], kind)
        if bad is not None:
            unparsed[ours] = bad
    notes: dict[str, object] = {"rows_with_stray_commas": len(repaired)} if repaired else {}
    return FileData(str(path), pa.table(typed), rows, unparsed, broken, text, notes=notes)


def _fields(line: str, delimiter: str) -> list[str]:
    """Fields of one line; where a quote is never closed, quotes are ordinary characters."""
    if line.count('"') % 2 or len(line) > csv.field_size_limit():
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
