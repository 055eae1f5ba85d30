"""What a partition's file says about itself, and whether it is the file that the lake wrote.

The footer holds three texts: ``mg`` (what the caller of :meth:`Lake.write` gave), ``mg.lake`` (table, key, digest of
the content and of the files beside it) and ``mg.seal``, the digest of the footer itself. The seal covers statistics,
row counts, schema and all texts, so that a flipped bit and a file that another program wrote again are both found when
the file is opened; pages carry checksums that are verified when they are read (docs/storage.md).
"""

import errno
import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from mg_assets.errors import DamagedPartitionError

CALLER, LAKE, SEAL = "mg", "mg.lake", "mg.seal"
UNSEALED = "0" * 16
_SEAL_AT = SEAL.encode() + b"\x18\x10"  # in Thrift's compact protocol: the next field is text of 16 bytes
_MAGIC = b"PAR1"
_TAIL = 8  # bytes of the footer's length and the magic
_FOOTER_GUESS = 1 << 16


class FooterError(Exception):
    """A file is not the one that was written; the text says in what. :func:`reading` names the file."""


UNREADABLE = (pa.ArrowException, FooterError)


@dataclass(frozen=True)
class Footer:
    """Footer of a partition's file.

    Attributes
    ----------
    parquet : FileMetaData
    table, key : str or None
        None where the file does not say so: one of an older version, or of another program.
    digest : dict or None
        As :meth:`ContentDigest.result` gives it.
    files : dict of str to str
        Digests of the files beside it when it was written.
    metadata : dict
        What was given to :meth:`Lake.write`.
    """

    parquet: pq.FileMetaData
    table: str | None = None
    key: str | None = None
    digest: Mapping[str, Any] | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


def lake_text(table: str, key: str, digest: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, str]:
    """The footer's texts of the lake, the seal still open."""
    return {LAKE: json.dumps({"table": table, "key": key, "digest": digest, "files": dict(files)}), SEAL: UNSEALED}


def seal(file: BinaryIO) -> None:
    """Put the footer's digest into a Parquet file that was just written with an open seal."""
    footer, start = _footer_bytes(file)
    at = _seal_at(footer)
    if at is None or footer[at : at + 16] != UNSEALED.encode():
        raise ValueError("the file has no open seal")
    file.seek(start + at)
    file.write(xxhash.xxh3_64_hexdigest(footer).encode())
    file.seek(0, 2)


def read_footer(file: BinaryIO) -> Footer:
    """Footer of an open Parquet file, verified against its seal.

    Returns
    -------
    Footer

    Raises
    ------
    FooterError
        It is not what was written; the text says in what.
    """
    raw, _ = _footer_bytes(file)
    at = _seal_at(raw)
    if at is not None:
        stated = raw[at : at + 16].decode("latin-1")
        if xxhash.xxh3_64_hexdigest(raw[:at] + UNSEALED.encode() + raw[at + 16 :]) != stated:
            raise FooterError("its footer is not the one that was written (changed bits, or another program wrote it)")
    parquet = pq.read_metadata(pa.BufferReader(_MAGIC + raw + struct.pack("<I", len(raw)) + _MAGIC))
    texts = parquet.metadata or {}
    try:
        metadata = json.loads(texts.get(CALLER.encode(), b"{}"))
        if LAKE.encode() not in texts:
            return Footer(parquet, metadata=metadata)
        if at is None:
            raise FooterError("its footer has no seal (another program wrote it)")
        own = json.loads(texts[LAKE.encode()])
        return Footer(parquet, own["table"], own["key"], own["digest"], own["files"], metadata)
    except (ValueError, KeyError) as error:
        raise FooterError("the lake's texts in its footer cannot be read") from error


class PartitionFile:
    """A partition's file that is open for reading; what it gives is what was written, or an error.

    One thread reads it, the caller's: a thread of Arrow's own that still holds a piece of a Python file while the
    process ends aborts or hangs it (apache/arrow issues 34314 and 50482). Callers read several files at once instead.

    Parameters
    ----------
    source : BinaryIO
        The open file; closed by :meth:`close`.
    path : str
        For messages.
    report : callable
        Called with what is wrong where a page turns out to be damaged.
    dictionary : sequence of str
        Text columns that are read as dictionary codes, where the file has them.

    Raises
    ------
    DamagedPartitionError
        The footer is not the one that was written. Methods that read raise it for pages.
    """

    def __init__(
        self, source: BinaryIO, path: str, report: Callable[[str], None] | None = None, dictionary: Sequence[str] = ()
    ):
        self._source, self._path, self._report = source, path, report
        try:
            with reading(path):
                self.footer = read_footer(source)
                self.parquet = self.footer.parquet
                here = [name for name in dictionary if name in self.parquet.schema.names]
                self._file = pq.ParquetFile(
                    source,
                    metadata=self.parquet,
                    read_dictionary=here,
                    page_checksum_verification=True,
                    pre_buffer=False,
                )
                self.schema = self._file.schema_arrow
        except BaseException:
            source.close()
            raise

    def __enter__(self) -> "PartitionFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows."""
        with reading(self._path, self._report):
            return self._file.read(columns=None if columns is None else list(columns), use_threads=False)

    def read_row_groups(self, numbers: Sequence[int], columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of some row groups."""
        with reading(self._path, self._report):
            chosen = None if columns is None else list(columns)
            return self._file.read_row_groups(list(numbers), columns=chosen, use_threads=False)


def _footer_bytes(file: BinaryIO) -> tuple[bytes, int]:
    """A Parquet file's footer and where it begins; FooterError where there is none."""
    size = file.seek(0, 2)
    if size == 0:
        raise FooterError("it is empty (0 bytes)")
    start = max(0, size - _FOOTER_GUESS)
    file.seek(start)
    tail = file.read(size - start)
    if size < 2 * _TAIL or tail[-4:] != _MAGIC:
        raise FooterError(f"it is truncated or not a Parquet file ({size:,} bytes without the mark at its end)")
    length = struct.unpack("<I", tail[-_TAIL:-4])[0]
    first = size - _TAIL - length
    if first < 4:
        raise FooterError(f"it is truncated or damaged ({size:,} bytes, a footer of {length:,})")
    if first < start:
        file.seek(first)
        return file.read(length), first
    return tail[first - start : -_TAIL], first


def _seal_at(footer: bytes) -> int | None:
    at = footer.rfind(_SEAL_AT)
    return None if at < 0 else at + len(_SEAL_AT)


@contextmanager
def reading(file: str, report: Callable[[str], None] | None = None) -> Iterator[None]:
    """Translate what Parquet raises at damaged bytes, here and nowhere else.

    Parameters
    ----------
    file : str
        Path of the partition's file, for the message.
    report : callable, optional
        Called with what is wrong before the error is raised: the next run has to know.

    Yields
    ------
    None

    Raises
    ------
    DamagedPartitionError
        The bytes are not those that were written.
    OSError
        The file cannot be reached, which says nothing of its bytes.
    """
    try:
        yield
    except (*UNREADABLE, OSError) as found:
        if isinstance(found, OSError) and found.errno not in (None, errno.EIO):
            raise  # absent, not permitted, not reachable
        what = _plainly(found)
        if report is not None:
            report(what)
        raise DamagedPartitionError(file, what) from found


def _plainly(error: Exception) -> str:
    text = str(error)
    if "CRC checksum verification failed" in text:
        return "a page's checksum is not that of its bytes (changed bits)"
    if isinstance(error, FooterError):
        return text
    return f"it cannot be decoded ({text.splitlines()[0] if text else type(error).__name__})"
