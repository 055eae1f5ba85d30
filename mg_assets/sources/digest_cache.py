"""Digests of files that were read before, kept across processes: an unchanged file is not read again.

A database (SQLite) in the user's cache folder. It may be deleted at any time, and every answer of it carries its own
checksum: what is damaged, or cannot be opened, counts as absent.
"""

import atexit
import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import xxhash

TABLES = {
    "files": "path BLOB PRIMARY KEY, size INTEGER, mtime INTEGER, ctime INTEGER, inode INTEGER, device INTEGER, "
    "digest TEXT, seal TEXT",
    "texts": "key TEXT PRIMARY KEY, text TEXT, seal TEXT",
}
SCHEMA = 1  # raise it with TABLES
TEXTS_KEPT = 64
LOCK_SECONDS = 2.0
NOT_NOW = (
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM,
)  # fmt: skip
"""What is wrong with the place, not with the database."""

Result = TypeVar("Result")


class FileState(NamedTuple):
    """What shows an unchanged file without reading it; no program can set the time of the last change (``ctime``)."""

    path: bytes
    size: int
    mtime: int
    ctime: int
    inode: int
    device: int

    @classmethod
    def of(cls, path: str | Path) -> "FileState":
        """The file's present state; raises OSError where it cannot be seen."""
        found = os.stat(path)
        return cls(
            os.fsencode(os.path.abspath(path)), found.st_size, found.st_mtime_ns, found.st_ctime_ns,
            _signed(found.st_ino), _signed(found.st_dev),
        )  # fmt: skip


class DigestCache:
    """Digests of files by their state, and texts by a key; safe with many threads and processes.

    Parameters
    ----------
    folder : Path, optional
        By default ``mg`` in ``$XDG_CACHE_HOME`` or ``~/.cache``. Where nothing can be written there, what is found is
        kept for this process alone.
    """

    def __init__(self, folder: Path | None = None):
        self._folder = folder
        self._lock = threading.RLock()
        self._open: sqlite3.Connection | None = None
        self._process = 0

    @property
    def path(self) -> Path:
        """The database's file."""
        if self._folder is not None:
            return self._folder / "source_files.sqlite"
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(home) / "mg" / "source_files.sqlite"

    def digests(self, files: Sequence[FileState]) -> list[str | None]:
        """The digest of each file; None where it is not known in this state."""
        query = (
            "SELECT digest, seal FROM files WHERE path=? AND size=? AND mtime=? AND ctime=? AND inode=? AND device=?"
        )

        def read(database: sqlite3.Connection) -> list[str | None]:
            rows = (database.execute(query, f).fetchone() for f in files)
            return [_unsealed(row, *file) for file, row in zip(files, rows, strict=True)]

        return self._try(read) or [None] * len(files)

    def keep_digests(self, found: Mapping[FileState, str]) -> None:
        """Keep the digests of files."""
        rows = [(*f, digest, _seal(digest, *f)) for f, digest in found.items()]
        self._write("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def text(self, key: str) -> str | None:
        """The text that was kept under a key; None where there is none."""

        def read(database: sqlite3.Connection) -> str | None:
            return _unsealed(database.execute("SELECT text, seal FROM texts WHERE key=?", (key,)).fetchone(), key)

        return self._try(read)

    def keep_text(self, key: str, text: str) -> None:
        """Keep a text; of all texts the newest ``TEXTS_KEPT`` stay."""
        self._write("INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", [(key, text, _seal(text, key))])
        newest = "SELECT rowid FROM texts ORDER BY rowid DESC LIMIT ?"
        self._write(f"DELETE FROM texts WHERE rowid NOT IN ({newest})", [(TEXTS_KEPT,)])

    def close(self) -> None:
        """Close the database; the next use opens it again."""
        with self._lock:
            if self._open is not None and self._process == os.getpid():
                self._open.close()
            self._open = None

    def renew_lock(self) -> None:
        """In a forked process: another thread of the parent may have held the lock."""
        self._lock = threading.RLock()

    # ------------------------------------------------------------------ the database

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        def write(database: sqlite3.Connection) -> None:
            with _transaction(database):
                database.executemany(statement, rows)

        self._try(write)

    def _try(self, use: Callable[[sqlite3.Connection], Result]) -> Result | None:
        """The result of using the database; None where it cannot be used now. A damaged one is replaced."""
        for _ in range(2):
            with self._lock:
                try:
                    return use(self._connection())
                except sqlite3.DatabaseError as error:
                    self.close()
                    if getattr(error, "sqlite_errorcode", 0) & 0xFF in NOT_NOW:
                        return None
                    for path in (self.path, Path(f"{self.path}-journal")):
                        with contextlib.suppress(OSError):
                            path.unlink()
        return None

    def _connection(self) -> sqlite3.Connection:
        if self._open is None or self._process != os.getpid():  # a connection must not be used across a fork
            self._process = os.getpid()
            self._open = self._opened()
        return self._open

    def _opened(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return _database(str(self.path))
        except (OSError, sqlite3.OperationalError) as error:
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CANTOPEN) & 0xFF not in NOT_NOW:
                raise
            return _database(":memory:")


def _database(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=LOCK_SECONDS, check_same_thread=False, isolation_level=None)
    try:
        database.execute("PRAGMA synchronous=OFF")  # rows are sealed: a power cut costs the rows, no wrong answer
        if _schema(database) != SCHEMA:
            with _transaction(database):
                if _schema(database) != SCHEMA:  # no other process made it meanwhile
                    for name, columns in TABLES.items():
                        database.execute(f"DROP TABLE IF EXISTS {name}")
                        database.execute(f"CREATE TABLE {name} ({columns})")
                    database.execute(f"PRAGMA user_version={SCHEMA}")
    except BaseException:
        database.close()
        raise
    return database


def _schema(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.DatabaseError):
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _signed(number: int) -> int:
    """An unsigned 64-bit number as SQLite holds it."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _seal(text: str, *key: object) -> str:
    return xxhash.xxh3_64_hexdigest(repr((key, text)).encode())


def _unsealed(row: tuple[object, object] | None, *key: object) -> str | None:
    if row is None or not isinstance(row[0], str):
        return None
    return row[0] if _seal(row[0], *key) == row[1] else None


CACHE = DigestCache()
"""The user's."""

atexit.register(lambda: CACHE.close())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: CACHE.renew_lock())
