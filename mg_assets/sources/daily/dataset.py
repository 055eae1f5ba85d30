"""A whole history of daily bars in one folder: read once a process, compared by the content of its files."""

import datetime as dt
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path

import numpy as np

from mg_assets.errors import SourceError
from mg_assets.sources.base import SourceDay
from mg_assets.sources.daily.history import DailyHistory, MarkedHistory, daily_histories
from mg_assets.sources.fingerprint import fingerprint_of


class DatasetSource(ABC):
    """Daily bars and reference from the files of one folder.

    A subclass gives ``name``, ``_content()`` (all that decides the rows: settings and digests of files, no path) and
    ``_read()`` (the history).

    Parameters
    ----------
    root : str or Path
        The folder.
    """

    name = "dataset"

    def __init__(self, root: str | Path):
        self.root = Path(root).expanduser()

    def days(self) -> np.ndarray:
        """Days with any row, ``datetime64[D]``, ascending."""
        return self._marked.days

    def has(self, table: str, day: dt.date) -> bool:
        """Whether it is a daily table and the dataset has the day."""
        return table in ("daily_bars", "reference") and self._marked.has(day)

    def load(self, table: str, day: dt.date) -> SourceDay:
        """Load daily bars or reference of one day; raises SourceError where there are none."""
        if not self.has(table, day):
            days = self.days()
            raise SourceError(
                f"{self.name} dataset {self.root} has no {table} on {day}; it covers {days[0]}..{days[-1]}"
            )
        return self._history.load(table, np.datetime64(str(day)[:10], "D"), self.name)

    def fingerprint(self, table: str, day: dt.date) -> str:
        """Hash of the day's rows."""
        return self._marked.fingerprint(table, day)

    @abstractmethod
    def _content(self) -> list[object]: ...

    @abstractmethod
    def _read(self) -> DailyHistory: ...

    @cached_property
    def _key(self) -> tuple:
        return (str(self.root), fingerprint_of(self._content()))

    @cached_property
    def _marked(self) -> MarkedHistory:
        return MarkedHistory(self._content, self._shared_history)

    def _shared_history(self) -> DailyHistory:
        return daily_histories(self._key, self._read)

    @property
    def _history(self) -> DailyHistory:
        return self._shared_history()
