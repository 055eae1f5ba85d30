"""What readers tell of each file as they read it, for a person who waits or who wants a report."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mg_assets.errors import MgError


@dataclass
class FileRead:
    """One file that was read.

    Attributes
    ----------
    rows : int
        Rows in the file, good and bad; -1 where it could not be read.
    others : int
        Rows of funds, bonds, indices and B-shares, which are left out.
    seconds : float
    error : MgError or None
    """

    path: Path
    rows: int = -1
    others: int = 0
    seconds: float = 0.0
    error: MgError | None = None


@dataclass
class Watch:
    """Keeps what was read; with ``go_on`` a file that cannot be read does not stop the others of its table.

    Attributes
    ----------
    files : dict of Path to FileRead
    go_on : bool
    """

    go_on: bool = False
    files: dict[Path, FileRead] = field(default_factory=dict)

    @contextmanager
    def reading(self, path: Path) -> Iterator[FileRead]:
        """Time the reading of one file; keep its error, and raise it unless ``go_on``."""
        entry = self.files[path] = FileRead(path)
        began = time.perf_counter()
        try:
            yield entry
        except MgError as error:
            entry.error = error
            if not self.go_on:
                raise
        finally:
            entry.seconds = time.perf_counter() - began
