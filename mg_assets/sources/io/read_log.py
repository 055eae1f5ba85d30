"""A record of each file that readers read: rows, seconds, errors."""

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
    path : Path
    rows : int
        Rows in the file, good and bad; -1 where it could not be read.
    others : int
        Rows of funds, bonds, indices and B-shares, which are left out.
    seconds : float
        Time spent on it.
    error : MgError or None
    remarks : list of str
        What was decided about it: columns that it lacks, how its times are labelled.
    """

    path: Path
    rows: int = -1
    others: int = 0
    seconds: float = 0.0
    error: MgError | None = None
    remarks: list[str] = field(default_factory=list)


@dataclass
class ReadLog:
    """Record of the files that were read.

    Attributes
    ----------
    continue_on_error : bool
        Whether a file that cannot be read is recorded and left out; by default its error is raised.
    files : dict of Path to FileRead
    """

    continue_on_error: bool = False
    files: dict[Path, FileRead] = field(default_factory=dict)

    @contextmanager
    def reading(self, path: Path) -> Iterator[FileRead]:
        """Time the reading of one file; record its error, and raise it unless ``continue_on_error``."""
        entry = self.files[path] = FileRead(path)
        began = time.perf_counter()
        try:
            yield entry
        except MgError as error:
            entry.error = error
            if not self.continue_on_error:
                raise
        finally:
            entry.seconds = time.perf_counter() - began
