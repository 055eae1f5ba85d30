"""What an asset's function is given, and what it yields: the partitions to make, and those that are made."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa

from mg_assets.lake.store import Lake
from mg_assets.orchestration.callbacks import OnProgress
from mg_assets.orchestration.failures import USER_ERRORS
from mg_assets.sources.base import Source, StreamedDay

T = TypeVar("T")


@dataclass(frozen=True)
class Built:
    """A finished partition.

    Attributes
    ----------
    key : str
        Lake key.
    frame : DataFrame, Table or StreamedDay
        Its rows.
    metadata : dict
        Shown in the UI.
    quarantine : DataFrame, optional
        Invalid rows, with the reason of each.
    stored : dict
        Kept in the footer of the partition's file.
    table : str
        Needed where an asset makes several tables.
    unread : tuple of str
        Upstream tables of the asset that this partition was made without: their changes leave it as it is.
    ended : callable, optional
        Gives the same partition with what its reader learned while the rows were written.
    """

    key: str
    frame: pd.DataFrame | pa.Table | StreamedDay
    metadata: dict[str, Any] = field(default_factory=dict)
    quarantine: pd.DataFrame | None = None
    stored: dict[str, Any] = field(default_factory=dict)
    table: str = ""
    unread: tuple[str, ...] = ()
    ended: Callable[[], "Built"] | None = None


@dataclass(frozen=True)
class Build:
    """What an asset's function is given: the partitions to make and the means to make them.

    Attributes
    ----------
    keys : list of str
        Lake keys of the partitions to make, ascending (``["all"]`` for an unpartitioned table).
    lake : Lake
    source : Source
        The deployment's source of raw tables.
    workers : int
    device : str
        Torch device, resolved.
    log : callable
        Takes a line for the run's log.
    recipes : dict of str to str
        Recipe of each upstream table.
    on_progress : callable, optional
        See :data:`OnProgress`; for assets whose partitions take long.
    source_marks : callable
        Takes a key and gives what its build asked of the source (:meth:`RecordedSource.marks`).
    on_error : callable, optional
        Takes a key and the error of its data: the other partitions are then made. Without it the error is raised.
    asked : float, optional
        When the run was asked for, in seconds since the epoch; None outside of a run.
    """

    keys: list[str]
    lake: Lake
    open_source: Callable[[], Source]
    workers: int
    find_device: Callable[[], str]
    log: Callable[[str], None]
    recipes: Mapping[str, str] = field(default_factory=dict)
    on_progress: OnProgress | None = None
    source_marks: Callable[[str], dict[str, str]] = lambda key: {}
    on_error: Callable[[str, Exception], None] | None = None
    asked: float | None = None

    @property
    def source(self) -> Source:
        """The deployment's source of raw tables."""
        return self.open_source()

    @property
    def device(self) -> str:
        """The torch device, resolved."""
        return self.find_device()

    def each(self, make: Callable[[str], Built | Sequence[Built]]) -> Iterator[Built]:
        """Make every partition on its own, several at a time, in order; memory holds ``2 * workers`` of them."""

        def attempt(key: str) -> Built | Sequence[Built] | Exception:
            try:
                return make(key)
            except USER_ERRORS as error:
                return error

        for key, made in zip(self.keys, self._mapped(attempt), strict=True):
            if isinstance(made, Built):
                yield made
            elif not isinstance(made, Exception):
                yield from made
            elif self.on_error is None:
                raise made
            else:
                self.on_error(key, made)

    def _mapped(self, make: Callable[[str], T]) -> Iterator[T]:
        if self.workers == 1 or len(self.keys) == 1:
            yield from map(make, self.keys)
            return
        with ThreadPoolExecutor(self.workers) as pool:
            waiting: list[Future[T]] = []
            for key in self.keys:
                waiting.append(pool.submit(make, key))
                if len(waiting) >= 2 * self.workers:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()


Make = Callable[[Build], Iterable[Built]]
"""An asset's function: it yields the finished partitions of a :class:`Build`."""
