"""A source that records what was asked of it: the marks by which a partition is found to be stale."""

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any

from mg_assets.errors import MgError
from mg_assets.sources.base import TICKS, Loaded, Source

ABSENT, PRESENT = "absent", "present"
"""Marks of a table that a build only asked for, without loading it."""


class RecordedSource:
    """A source whose answers are recorded; in all else the source itself.

    Parameters
    ----------
    open_source : callable
        Gives the source; called when it is first asked for anything.

    Notes
    -----
    A fingerprint is taken before the table is loaded: where its files change meanwhile, the partition is stale.
    """

    def __init__(self, open_source: Callable[[], Source]):
        self._open = open_source
        self._marks: dict[str, dict[str, str]] = {}  # by day and table

    @cached_property
    def _source(self) -> Source:
        return self._open()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # not yet set while it is unpickled
            raise AttributeError(name)
        return getattr(self._source, name)

    @property
    def load_day(self) -> Callable[[dt.date], dict[str, Loaded | MgError]]:
        """Read the ticks of a day at once, where the source can."""
        together = self._source.load_day  # type: ignore[attr-defined]

        def load_day(day: dt.date) -> dict[str, Loaded | MgError]:
            for table in TICKS:
                if self._source.has(table, day):
                    self._mark(table, day)
            loaded: dict[str, Loaded | MgError] = together(day)
            return loaded

        return load_day

    def has(self, table: str, day: dt.date) -> bool:
        """Whether the source has a table of a day."""
        found = self._source.has(table, day)
        self._marks.setdefault(str(day), {}).setdefault(table, PRESENT if found else ABSENT)
        return found

    def load(self, table: str, day: dt.date) -> Loaded:
        """Read one table of one day; see :meth:`Source.load`."""
        self._mark(table, day)
        return self._source.load(table, day)

    def _mark(self, table: str, day: dt.date) -> None:
        self._marks.setdefault(str(day), {})[table] = self._source.fingerprint(table, day)

    def marks(self, key: str, keys: Collection[str]) -> dict[str, str]:
        """What the build of a partition asked: of its own day, and of days that are none of the run's partitions.

        Parameters
        ----------
        key : str
            Lake key of the partition.
        keys : set of str
            Of all partitions of the run.

        Returns
        -------
        dict of str to str
            Fingerprint, ``present`` or ``absent`` of each table; a table of another day as ``trades 2023-02-01``.
        """
        own = dict(self._marks.get(key, {}))
        for day in [d for d in list(self._marks) if d not in keys]:
            own |= {f"{table} {day}": mark for table, mark in list(self._marks[day].items())}
        return dict(sorted(own.items()))


def changed_marks(source: Source, key: str, marks: Mapping[str, str]) -> list[str]:
    """Tables of the source that are no longer what a partition was made from.

    Parameters
    ----------
    source : Source
    key : str
        Lake key of the partition.
    marks : dict of str to str
        As :meth:`RecordedSource.marks` gave them.

    Returns
    -------
    list of str
        Names of the tables; ``trades 2023-02-01`` for one of another day.
    """
    changed = []
    for name, mark in marks.items():
        table, _, other = name.partition(" ")
        day = dt.date.fromisoformat(other or key)
        found = source.has(table, day)
        now = ABSENT if not found else PRESENT if mark == PRESENT else source.fingerprint(table, day)
        if now != mark:
            changed.append(name)
    return changed


def marks_of(source: Source, table: str, key: str) -> dict[str, str]:
    """The marks of a raw partition that is read from the source by itself."""
    day = dt.date.fromisoformat(key)
    return {table: source.fingerprint(table, day) if source.has(table, day) else ABSENT}
