"""Files under the lake's root, in a folder or on an object store (fsspec)."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from mg_assets.lake.index import Stamp
from mg_assets.lake.marks import DAMAGE_FILE, MARKS, damage_mark
from mg_models.atomic_file import abandoned_files, atomic_file

DATA_FILE = "part.parquet"
WRITING = ".writing"  # folder of a table for files that are being written


class Storage:
    """Reads, stamps and replaces files by path; absolute paths only, from :attr:`base`.

    Parameters
    ----------
    root : str
        A folder or a URL.
    """

    def __init__(self, root: str):
        self.remote = "://" in root
        if self.remote:
            import fsspec

            self._fs, self.base = fsspec.core.url_to_fs(root)
        else:
            self._fs, self.base = None, root

    def open(self, path: str) -> BinaryIO:
        """A file for reading; FileNotFoundError where it is absent."""
        return cast(BinaryIO, self._fs.open(path, "rb") if self.remote else open(path, "rb"))

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
        if self.exists(path):
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
            if not self._fs.exists(folder):
                return []
            return sorted(f["name"].rsplit("/", 1)[1] for f in self._fs.ls(folder) if f["type"] == "file")
        return sorted(e.name for e in os.scandir(folder) if e.is_file()) if os.path.isdir(folder) else []

    def tables(self) -> list[str]:
        """Names of the folders under the root that may be tables, ascending."""
        if self.remote:
            found = self._fs.ls(self.base) if self._fs.exists(self.base) else []
            names = [f["name"].rstrip("/").rsplit("/", 1)[1] for f in found if f["type"] == "directory"]
        else:
            names = [e.name for e in os.scandir(self.base) if e.is_dir()] if os.path.isdir(self.base) else []
        return sorted(name for name in names if name[0] not in "._")

    def folders(self, table: str) -> list[str]:
        """Folders below the table's that have a data file (``date=2023-02-01``, or ``""`` for the table's own)."""
        folder = f"{self.base}/{table}"
        if self.remote:
            return list(self.partitions(table))
        if not os.path.isdir(folder):
            return []
        names = [e.name for e in os.scandir(folder) if "=" in e.name]
        return [below for below in ["", *names] if os.path.exists(f"{folder}/{below}/{DATA_FILE}")]

    def partitions(self, table: str) -> dict[str, tuple[Stamp, list[str]]]:
        """The folders of :meth:`folders` with their data file's stamp and their marks; one listing if remote."""
        folder = f"{self.base}/{table}"
        if not self.remote:
            return _local_partitions(folder)
        found: dict[str, tuple[Stamp, list[str]]] = {}
        marks: dict[str, list[str]] = {}
        for path, facts in self._fs.find(folder, maxdepth=2, detail=True).items():
            below, _, name = path.removeprefix(folder).strip("/").rpartition("/")
            if name == DATA_FILE:
                found[below] = (_version(facts), marks.setdefault(below, []))
            elif name in MARKS:
                marks.setdefault(below, []).append(name)
        return found

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


def _version(facts: dict[str, Any]) -> Stamp:
    names = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "created")
    return [int(facts["size"]), str(next((facts[n] for n in names if facts.get(n)), ""))]
