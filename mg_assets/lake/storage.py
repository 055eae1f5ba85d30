"""Files under the lake's root, in a folder or on an object store (fsspec)."""

import copy
import datetime as dt
import io
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from cachetools import LRUCache

from mg_assets.errors import DataError
from mg_assets.lake.index import Stamp
from mg_assets.lake.marks import DAMAGE_FILE, MARKS, damage_mark
from mg_models.atomic_file import abandoned_files, atomic_file

DATA_FILE = "part.parquet"
WRITING = ".writing"  # folder of a table for files that are being written
WHOLE_READ = 1 << 20
"""Objects below so many bytes are read by one request."""
KEPT_BYTES = 1 << 27
"""Of such objects that :meth:`Storage.keeping` keeps in memory."""
_KEPT_LOCK = threading.Lock()
TIMES = ("LastModified", "updated", "last_modified", "mtime", "created")
S3 = ("s3", "s3a")
CHECKSUMS = ("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION")
"""Variables of botocore. Its default asks for checksums that S3 servers other than Amazon's do not have for ranges."""


@dataclass(frozen=True)
class TableFiles:
    """Files of a table, as a disk's folders or one listing of an object store show them.

    Attributes
    ----------
    partitions : dict of str to (Stamp, list of str)
        Of each folder with a data file (``date=2023-02-01``, or ``""`` for the table's own) its stamp and its marks.
    stamps : dict of str to Stamp, optional
        Of every file, by its path below the table's folder; None on a disk, which is asked file by file.
    """

    partitions: Mapping[str, tuple[Stamp, list[str]]]
    stamps: Mapping[str, Stamp] | None = None

    def names(self, folder: str) -> list[str] | None:
        """Names of the files in a folder below the table's, ascending; None where the disk is to be asked."""
        if self.stamps is None:
            return None
        return sorted(p.removeprefix(f"{folder}/") for p in self.stamps if p.rpartition("/")[0] == folder)


NO_FILES = TableFiles({}, {})


class Storage:
    """Reads, stamps and replaces files by path; absolute paths only, from :attr:`base`.

    Parameters
    ----------
    root : str
        A folder or a URL.
    """

    def __init__(self, root: str):
        self.kept: LRUCache[str, bytes] | None = None
        self.remote = "://" in root
        if self.remote:
            import fsspec

            self._protocol = root.partition("://")[0]
            try:
                self._fs, self.base = fsspec.core.url_to_fs(root, **_options(self._protocol))
            except (ImportError, ValueError) as error:
                raise DataError(f"the lake {root} cannot be opened: {error}; for s3:// pip install s3fs") from error
        else:
            self._fs, self.base = None, root

    def keeping(self) -> "Storage":
        """The same files for one pass over them: an object that was read is not asked for again."""
        out = copy.copy(self)
        out.kept = LRUCache(KEPT_BYTES, len) if self.remote else None
        return out

    def open(self, path: str) -> BinaryIO:
        """A file for reading; FileNotFoundError where it is absent."""
        if not self.remote:
            return open(path, "rb")
        if self.kept is not None:
            with _KEPT_LOCK:
                kept = self.kept.get(path)
            if kept is not None:
                return io.BytesIO(kept)
        try:
            start = self._fs.cat_file(path, start=0, end=WHOLE_READ)
        except FileNotFoundError:
            raise
        except (ValueError, OSError):  # an empty object has no range; what else is wrong shows below
            start = b""
        if 0 < len(start) < WHOLE_READ:
            if self.kept is not None:
                with _KEPT_LOCK:
                    self.kept[path] = start
            return io.BytesIO(start)
        return cast(BinaryIO, self._fs.open(path, "rb"))

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        return bool(self._fs.exists(path)) if self.remote else os.path.exists(path)

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where it is absent."""
        try:
            with self.open(path) as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def remove(self, path: str) -> None:
        """Delete a file where it exists."""
        with suppress(FileNotFoundError, NotADirectoryError):
            self._fs.rm_file(path) if self.remote else os.unlink(path)

    @contextmanager
    def replace(self, path: str, table: str) -> Iterator[BinaryIO]:
        """A readable, seekable file that takes the place of ``path``, a file of that table, on success.

        Yields
        ------
        BinaryIO
        """
        if not self.remote:
            with atomic_file(path, f"{self.base}/{table}/{WRITING}" if table else None) as out:
                yield out
            return
        with tempfile.TemporaryFile() as whole:
            yield cast(BinaryIO, whole)
            whole.seek(0)
            with self._fs.open(path, "wb") as out:  # a put is atomic by itself
                shutil.copyfileobj(whole, out, 1 << 20)

    def stamp(self, path: str) -> Stamp | None:
        """What changes when a file does; None where it is absent."""
        try:
            if self.remote:
                return _version(self._fs.info(path))
            return stamp_of(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def modified(self, path: str) -> float | None:
        """When a file was written, in seconds since the epoch; None where it is absent."""
        try:
            return self._fs.modified(path).timestamp() if self.remote else os.stat(path).st_mtime
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder, ascending."""
        if self.remote:
            return sorted(below for below in self._listed(folder) if "/" not in below)
        return sorted(e.name for e in os.scandir(folder) if e.is_file()) if os.path.isdir(folder) else []

    def tables(self) -> list[str]:
        """Names of the folders under the root that may be tables, ascending."""
        if self.remote:
            with _reaching(f"{self._protocol}://{self.base}"):
                found = self._fs.ls(self.base, detail=True) if self._fs.exists(self.base) else []
            names = [f["name"].rstrip("/").rsplit("/", 1)[1] for f in found if f["type"] == "directory"]
        else:
            names = [e.name for e in os.scandir(self.base) if e.is_dir()] if os.path.isdir(self.base) else []
        return sorted(name for name in names if name[0] not in "._")

    def folders(self, table: str) -> list[str]:
        """Folders below the table's that have a data file (``date=2023-02-01``, or ``""`` for the table's own)."""
        folder = f"{self.base}/{table}"
        if self.remote:
            return list(self.files(table).partitions)
        if not os.path.isdir(folder):
            return []
        names = [e.name for e in os.scandir(folder) if "=" in e.name]
        return [below for below in ["", *names] if os.path.exists(f"{folder}/{below}/{DATA_FILE}")]

    def files(self, table: str, below: str = "") -> TableFiles:
        """Files of a table, or of one folder below the table's; of an object store by one listing."""
        folder = f"{self.base}/{table}"
        if not self.remote:
            return TableFiles(_local_partitions(folder))
        if not below:
            return _table_files(self._listed(folder))
        return _table_files({f"{below}/{name}": stamp for name, stamp in self._listed(f"{folder}/{below}").items()})

    def files_of_tables(self) -> dict[str, TableFiles] | None:
        """Files of every table of an object store, by one listing of all; None on a disk."""
        if not self.remote:
            return None
        each: dict[str, dict[str, Stamp]] = {}
        for below, stamp in self._listed(self.base).items():
            table, _, name = below.partition("/")
            each.setdefault(table, {})[name] = stamp
        return {table: _table_files(stamps) for table, stamps in each.items()}

    def times(self, table: str) -> dict[str, float]:
        """When the data file of each folder of :meth:`folders` was written, in seconds since the epoch."""
        folder = f"{self.base}/{table}"
        if not self.remote:
            found = {below: self.modified(f"{folder}/{below}/{DATA_FILE}") for below in self.folders(table)}
            return {below: time for below, time in found.items() if time is not None}
        facts = {path: found for path, found in self._facts(folder).items() if path.rpartition("/")[2] == DATA_FILE}
        times = {path: next((f[n] for n in TIMES if f.get(n)), 0.0) for path, f in facts.items()}
        return {
            path.rpartition("/")[0]: time.timestamp() if isinstance(time, dt.datetime) else float(time)
            for path, time in times.items()
        }

    def _listed(self, folder: str) -> dict[str, Stamp]:
        """Stamp of every file below a folder of an object store, by its path from there."""
        return {path: _version(facts) for path, facts in self._facts(folder).items()}

    def _facts(self, folder: str) -> dict[str, dict[str, Any]]:
        """What one listing of an object store says of every file below a folder, by its path from there."""
        if self._protocol in S3:  # a prefix alone is one request, also where there is nothing
            above, _, name = folder.rpartition("/")
            with _reaching(f"{self._protocol}://{self.base}"):
                found = self._fs.find(above, detail=True, prefix=f"{name}/")
        else:
            found = self._fs.find(folder, detail=True)
        start = f"{folder.lstrip('/')}/"
        paths = ((path.lstrip("/"), facts) for path, facts in found.items())
        return {path.removeprefix(start): facts for path, facts in paths if path.startswith(start)}

    def abandoned(self) -> list[str]:
        """Files that killed processes left half-written, ascending."""
        if self.remote:  # a put that was cut off leaves nothing
            return []
        found = []
        for table in self.tables():
            folders = [f"{self.base}/{table}/{WRITING}"]
            if table.endswith("_model"):  # the models' library writes beside the target
                for outer in (f"{self.base}/{table}", f"{self.base}/{table}/.training"):
                    folders += [e.path for e in os.scandir(outer) if e.is_dir()] if os.path.isdir(outer) else []
            found += [path for folder in folders for path in abandoned_files(folder)]
        return sorted(set(found))


@dataclass(frozen=True)
class RemoteFile:
    """A partition's file on an object store: a callable that opens it.

    Attributes
    ----------
    storage : Storage
    path : str
    report : callable
        Called with what is wrong where its bytes turn out to be damaged.
    """

    storage: Storage
    path: str
    report: Callable[[str], None]

    def __call__(self) -> BinaryIO:
        """Open it."""
        return self.storage.open(self.path)

    def __str__(self) -> str:
        return self.path


def stamp_of(path: str | Path) -> Stamp:
    """Size, times of content and inode in nanoseconds (one can be set back, the other not), and inode of a file."""
    found = os.stat(path)
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def mark_damaged(path: str | Path, what: str) -> None:
    """Record beside a local partition's data file that this very file is damaged."""
    mark = damage_mark(what, stamp_of(path))
    try:
        with atomic_file(Path(path).parent / DAMAGE_FILE) as out:
            out.write(mark)
    except PermissionError:  # a lake that may only be read; the error that led here says what is wrong
        return


def _local_partitions(folder: str) -> dict[str, tuple[Stamp, list[str]]]:
    found: dict[str, tuple[Stamp, list[str]]] = {}
    names = [e.name for e in os.scandir(folder) if "=" in e.name] if os.path.isdir(folder) else []
    for below in ["", *names]:
        inside = f"{folder}/{below}" if below else folder
        try:
            stamp = stamp_of(f"{inside}/{DATA_FILE}")
        except (FileNotFoundError, NotADirectoryError):
            continue
        marks = [name for name in MARKS if os.path.exists(f"{inside}/{name}")]
        found[below] = (stamp, marks)
    return found


def _table_files(stamps: Mapping[str, Stamp]) -> TableFiles:
    found: dict[str, tuple[Stamp, list[str]]] = {}
    marks: dict[str, list[str]] = {}
    for path, stamp in stamps.items():
        below, _, name = path.rpartition("/")
        if "/" in below:
            continue
        if name == DATA_FILE:
            found[below] = (stamp, marks.setdefault(below, []))
        elif name in MARKS:
            marks.setdefault(below, []).append(name)
    return TableFiles(found, stamps)


@contextmanager
def _reaching(root: str) -> Iterator[None]:
    """Translate what the client of an object store raises where it is absent or refuses."""
    try:
        yield
    except Exception as error:
        of_client = type(error).__module__.partition(".")[0] in ("aiobotocore", "aiohttp", "botocore")
        if not of_client and not isinstance(
            error, ConnectionError | FileNotFoundError | PermissionError | TimeoutError
        ):
            raise
        names = "AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        raise DataError(f"the lake {root} cannot be listed: {error}; see bucket, network, clock, {names}") from error


def _options(protocol: str) -> dict[str, Any]:
    """What the file system of a lake is opened with: what other processes write has to be seen."""
    options: dict[str, Any] = {"use_listings_cache": False}
    if protocol in S3:
        wanted = {name.removeprefix("AWS_").lower(): "when_required" for name in CHECKSUMS if name not in os.environ}
        options["config_kwargs"] = wanted
    return options


def _version(facts: dict[str, Any]) -> Stamp:
    names = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "created")
    version = str(next((facts[n] for n in names if facts.get(n)), ""))
    return [int(facts["size"]), version.strip('"')]  # some servers quote it in a listing, others do not
