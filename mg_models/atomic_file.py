"""Atomic file writes, and what killed writes leave behind.

A file is written under a temporary name, flushed to disk and renamed; then the folder is flushed too, so that the name
survives a power cut as well. The temporary name holds host, process and its start time: what a killed process left
can be distinguished from what a live one is writing.
"""

import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

SUFFIX = ".tmp"
FOREIGN_DAYS = 7
"""A temporary file of another host, whose processes cannot be seen, is left over once it is that old."""


@contextmanager
def atomic_file(path: str | Path, folder: str | Path | None = None) -> Iterator[BinaryIO]:
    """Open a temporary file, readable and seekable, that replaces ``path`` on success and goes on an error.

    Parameters
    ----------
    path : str or Path
        Its folder is created where it is missing.
    folder : str or Path, optional
        Where the temporary file is, on the same file system; by default beside ``path``.

    Yields
    ------
    BinaryIO
    """
    path = Path(path)
    folder = path.parent if folder is None else Path(folder)
    created = not path.parent.exists()
    for needed in (path.parent, folder):
        needed.mkdir(parents=True, exist_ok=True)
    name = f".{path.name}.{socket.gethostname()}.{os.getpid()}.{process_start_time(os.getpid())}.{uuid.uuid4().hex}"
    beside = folder / (name.replace("/", "_") + SUFFIX)
    try:
        with open(beside, "w+b") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    for changed in (path.parent, *([path.parent.parent] if created else [])):
        _flush_folder(changed)


def abandoned_files(folder: str | Path) -> list[str]:
    """Paths of the temporary files in a folder whose process has ended, ascending."""
    try:
        return sorted(e.path for e in os.scandir(folder) if e.name.endswith(SUFFIX) and is_abandoned(e.path))
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_abandoned(path: str | Path) -> bool:
    """Whether a temporary file of :func:`atomic_file` belongs to no live process, as far as this host can see."""
    path = Path(path)
    parts = path.name.removesuffix(SUFFIX).rsplit(".", 3)
    named = len(parts) == 4 and parts[1].isdecimal() and parts[2].isdecimal()
    if named and parts[0].endswith(f".{socket.gethostname()}"):
        return process_start_time(int(parts[1])) != parts[2]
    try:
        return time.time() - path.stat().st_mtime > FOREIGN_DAYS * 86_400
    except FileNotFoundError:
        return False


def process_start_time(process: int) -> str:
    """Start time of a process in ticks since boot, as ids are reused; empty where it has ended or cannot be seen."""
    try:
        state, *rest = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else rest[18]


def _flush_folder(folder: Path) -> None:
    """Flush a folder's names to disk, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # folders cannot be opened on some systems
        return
    try:
        os.fsync(handle)
    except OSError:  # network file systems that know no such thing
        pass
    finally:
        os.close(handle)
