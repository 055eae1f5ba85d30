"""Packed files (gzip, zip, 7z) as streams of bytes whose size is bounded.

A few kilobytes can unpack to terabytes. No more is unpacked than ``MAX_RATIO`` times the packed size
(``FREE_BYTES`` are always allowed: a short regular file packs well) and never more than ``MAX_BYTES``.
Tick files of a whole market pack 5 to 15 times, and a day's stream is at most some ten gigabytes.
Nothing is written under a name that an archive chooses.
"""

import io
import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from mg_assets.errors import SourceError

MAX_RATIO = 200
FREE_BYTES = 64 << 20
FREE_VALUE_BYTES = 2 << 30
"""Bytes in memory that the values of a Parquet file may have at least: a column of one value packs without end."""
VALUE_BYTES = 8
MOST_COLUMNS = 20_000
"""Of a Parquet file; a table with a column a stock has some 6,000."""
MAX_BYTES = 64 << 30
TAIL_BYTES = 1 << 16

BROKEN = (EOFError, OSError, ValueError, IndexError, KeyError, TypeError, lzma.LZMAError, zlib.error)
"""What decoders raise on damaged bytes."""

TABLES = (".csv", ".txt", ".tsv", ".dat")
NOT_TABLES = ("__macosx/", ".ds_store", "thumbs.db", "readme", "readme.txt", "readme.md")


class BoundedStream:
    """A stream of at most ``limit`` bytes that keeps its last ones.

    Attributes
    ----------
    count : int
        Bytes read.
    tail : bytes
        The last ``TAIL_BYTES`` of them.
    """

    closed = False

    def __init__(self, inner: Any, path: Path, limit: int):
        self._inner, self._path, self._limit = inner, path, limit
        self.count = 0
        self.tail = b""

    def read(self, size: int = -1) -> bytes:
        """Read at most ``size`` bytes; raises SourceError past the limit."""
        data: bytes = self._inner.read(None if size is None or size < 0 else size)
        self.count += len(data)
        if self.count > self._limit:
            raise unpack_limit_error(self._path, self._limit)
        if data:
            self.tail = data[-TAIL_BYTES:] if len(data) >= TAIL_BYTES else (self.tail + data)[-TAIL_BYTES:]
        return data

    def __enter__(self) -> "BoundedStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the stream below."""
        self.closed = True
        self._inner.close()


def is_packed(path: Path) -> bool:
    """Whether the file's name says that it is an archive."""
    return path.suffix.lower() in (".gz", ".zip", ".7z") or _is_volume(path)


@contextmanager
def unpacked(path: Path) -> Iterator[Callable[[], Any]]:
    """Unpack a file for the time of a block.

    Yields
    ------
    callable
        Opens the content, as often as wanted: of a packed file as a :class:`BoundedStream`, of a plain one as an Arrow
        stream.

    Raises
    ------
    SourceError
        The archive is encrypted, holds no or several tables, lacks a volume, or unpacks to more than it may.
    """
    suffix = path.suffix.lower()
    if suffix == ".gz":
        yield lambda: BoundedStream(
            pa.input_stream(str(path), compression="gzip"), path, unpack_limit(path.stat().st_size)
        )
    elif suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            member = _member_of_zip(path, archive)
            yield lambda: BoundedStream(archive.open(member), path, unpack_limit(path.stat().st_size))
    elif suffix == ".7z" or _is_volume(path):
        with tempfile.TemporaryDirectory(prefix="mg-7z-") as folder:
            content = Path(folder) / "content"
            _extract_7z(path, content)
            yield lambda: BoundedStream(pa.input_stream(str(content), compression=None), path, MAX_BYTES)
    else:
        yield lambda: pa.input_stream(str(path), compression=None)


def read_head(path: Path, size: int) -> bytes:
    """Read the first bytes of a file's content; of a 7z archive no more is unpacked than that."""
    if path.suffix.lower() == ".7z" or _is_volume(path):
        with tempfile.TemporaryDirectory(prefix="mg-7z-") as folder:
            content = Path(folder) / "content"
            _extract_7z(path, content, enough=size)
            return content.read_bytes()[:size]
    with unpacked(path) as content_of, content_of() as stream:
        return bytes(stream.read(size))


def unpack_limit(packed: int, free: int | None = None) -> int:
    """Bytes that a file of the given size may unpack to, ``free`` of them always."""
    return min(MAX_BYTES, max(FREE_BYTES if free is None else free, MAX_RATIO * packed))


def require_sound_size(path: Path, *, page_bytes: int = 0, values: int = 0, columns: int = 0) -> None:
    """Refuse a Parquet file that would fill the memory, by what its footer says.

    Parameters
    ----------
    path : Path
    page_bytes : int
        Of its pages, unpacked.
    values : int
        Rows times columns that are read.
    columns : int
        That it has.

    Raises
    ------
    SourceError
        It holds more than a file of its size may.
    """
    packed = path.stat().st_size
    for found, free in ((page_bytes, FREE_BYTES), (values * VALUE_BYTES, FREE_VALUE_BYTES)):
        if found > (limit := unpack_limit(packed, free)):
            raise SourceError(
                f"{path} has {packed:,} bytes and would take {found:,} in memory, where {limit:,} are allowed: an "
                "archive bomb? Cut it into files of fewer rows if you trust it"
            )
    if columns > MOST_COLUMNS:
        raise SourceError(f"{path} has {columns:,} columns, at most {MOST_COLUMNS:,} are read: write those that matter")


def unpack_limit_error(path: Path, limit: int) -> SourceError:
    """The error of an archive that unpacks to more than it may."""
    return SourceError(
        f"{path} unpacks to more than {limit:,} bytes ({path.stat().st_size:,} packed, at most {MAX_RATIO} times that "
        f"and {MAX_BYTES:,} are allowed): an archive bomb? Unpack it by hand if you trust it"
    )


def single_table(path: Path, names: list[str]) -> str:
    """The one table among an archive's members."""
    members = [n for n in names if not n.endswith("/") and not _is_rubbish(n)]
    tables = [n for n in members if n.lower().endswith(TABLES)]
    chosen = tables or members
    if len(chosen) != 1:
        raise SourceError(
            f"{path} holds {len(chosen)} files{f' {chosen[:4]}' if chosen else ''}; one table was expected: unpack it"
        )
    if Path(chosen[0]).suffix.lower() in (".zip", ".gz", ".7z", ".parquet", ".xls", ".xlsx"):
        raise SourceError(f"{path} holds {chosen[0]!r}; a CSV or text table was expected: unpack it")
    return chosen[0]


def _is_rubbish(name: str) -> bool:
    lower = name.lower()
    return lower.startswith(NOT_TABLES[0]) or lower.rsplit("/", 1)[-1] in NOT_TABLES


def _is_volume(path: Path) -> bool:
    """``x.7z.001``: the first volume of a 7z archive that was cut."""
    return path.suffix == ".001" and path.with_suffix("").suffix.lower() == ".7z"


def _member_of_zip(path: Path, archive: zipfile.ZipFile) -> str:
    member = single_table(path, archive.namelist())
    info = archive.getinfo(member)
    if info.flag_bits & 1:
        raise SourceError(f"{path} is encrypted; unpack it with its password")
    if info.file_size > unpack_limit(path.stat().st_size):
        raise unpack_limit_error(path, unpack_limit(path.stat().st_size))
    return member


def _extract_7z(path: Path, target: Path, enough: int | None = None) -> None:
    """The one table of a 7z archive, or its first ``enough`` bytes, to a file of our own name."""
    import py7zr

    class EnoughError(Exception):
        """Raised where no more is wanted."""

    class Writer(py7zr.Py7zIO):
        """Writes to the target, never past the limit."""

        def __init__(self, out: IO[bytes], limit: int):
            self._out, self._limit, self._size = out, limit, 0

        def write(self, s: bytes | bytearray) -> int:
            self._size += len(s)
            if self._size > self._limit:
                raise unpack_limit_error(path, self._limit)
            written = self._out.write(s)
            if enough is not None and self._size >= enough:
                self._out.flush()
                raise EnoughError
            return written

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return offset

        def flush(self) -> None:
            self._out.flush()

        def size(self) -> int:
            return self._size

    class Factory(py7zr.WriterFactory):
        """Gives the one writer whatever the member's name."""

        def __init__(self, writer: Writer):
            self._writer = writer

        def create(self, filename: str) -> py7zr.Py7zIO:
            return self._writer

    volumes = volumes_of(path)
    packed = sum(v.stat().st_size for v in volumes)
    where = f"{path}" if len(volumes) == 1 else f"{path} and its {len(volumes) - 1} further volumes"
    try:
        with _Joined(volumes) as file, py7zr.SevenZipFile(cast(IO[bytes], file)) as archive:
            if archive.needs_password():
                raise SourceError(f"{path} is encrypted; unpack it with its password")
            inside = {i.filename: i for i in archive.list() if not i.is_directory}
            member = single_table(path, list(inside))
            limit = unpack_limit(packed)
            if sum(i.uncompressed for i in inside.values()) > limit:  # a solid archive unpacks what comes before it
                raise unpack_limit_error(path, limit)
            with open(target, "wb") as out:
                archive.extract(targets=[member], factory=Factory(Writer(out, limit)))
    except EnoughError:
        return
    except (py7zr.exceptions.ArchiveError, *BROKEN) as error:
        raise SourceError(
            f"{where} cannot be unpacked ({type(error).__name__}: {error}); it is damaged, truncated or lacks a "
            "volume: fetch it again"
        ) from error
    if target.stat().st_size != inside[member].uncompressed:
        raise SourceError(
            f"{where} unpacks to {target.stat().st_size:,} of {inside[member].uncompressed:,} bytes; it is damaged or "
            "lacks a volume: fetch it again"
        )


def volumes_of(path: Path) -> list[Path]:
    """The archive, or all volumes ``x.7z.001``, ``x.7z.002``, ... that follow each other."""
    if not _is_volume(path):
        return [path]
    found: list[Path] = []
    while (volume := path.with_suffix(f".{len(found) + 1:03d}")).is_file():
        found.append(volume)
    return found


class _Joined(io.RawIOBase):
    """Several files as one, for reading and seeking."""

    def __init__(self, paths: list[Path]):
        self._files = [open(p, "rb") for p in paths]  # closed by close()
        self._starts = [0]
        for path in paths:
            self._starts.append(self._starts[-1] + path.stat().st_size)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = (0, self._at, self._starts[-1])[whence]
        self._at = max(base + offset, 0)
        return self._at

    def read(self, size: int | None = -1) -> bytes:  # py7zr expects whole reads, not what one volume still has
        end = self._starts[-1] if size is None or size < 0 else min(self._at + size, self._starts[-1])
        parts = []
        for file, start, stop in zip(self._files, self._starts, self._starts[1:], strict=False):
            if self._at < end and start <= self._at < stop:
                file.seek(self._at - start)
                parts.append(file.read(min(end, stop) - self._at))
                self._at = min(end, stop)
        return b"".join(parts)

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()
