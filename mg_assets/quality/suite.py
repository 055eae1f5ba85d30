"""Data model of a suite: measures of a partition, limits on them, checks that group limits.

Rows are not validated one day at a time: vectorised measures (the number of rows that break a rule, a share, a ratio)
give one row per partition, and Great Expectations validates the table of measures of the whole run once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mg_assets.lake.table_view import View

EXAMPLES = 5  # offending rows kept of a rule and partition
BAD_ROWS = 60  # rows of a check's `bad`


@dataclass(frozen=True)
class Limit:
    """Bounds of one measure, both inclusive; None for an open end.

    A NaN measure is "not applicable" and within every bound.
    """

    measure: str
    low: float | None = None
    high: float | None = 0.0


@dataclass(frozen=True)
class Check:
    """A named rule, or a few related ones.

    Attributes
    ----------
    name : str
        Identifier, unique in its suite.
    description : str
        What the data must satisfy, in one sentence.
    limits : tuple of Limit
        All must hold in every partition.
    blocking : bool
        True: a failure stops everything downstream; False: it warns.
    """

    name: str
    description: str
    limits: tuple[Limit, ...]
    blocking: bool = True


@dataclass(frozen=True)
class Suite:
    """The checks of one kind of table and the function that measures a partition for them."""

    name: str
    checks: tuple[Check, ...]
    measure: "Callable[[View, Measures], None]"

    def limits(self) -> list[Limit]:
        """Every limit of the suite, each once."""
        return list(dict.fromkeys(limit for check in self.checks for limit in check.limits))


@dataclass(frozen=True)
class CheckOutcome:
    """Result of a check on all partitions of a run.

    Attributes
    ----------
    name, description : str
    blocking, passed : bool
    bad : list of dict
        ``partition``, ``measure`` and ``observed`` of each breach, with ``symbol``, ``row`` and the
        row's values where the rule is about rows; the first few of each partition.
    observed : dict
        Partitions checked, bad, absent and not applicable; least and greatest value of each measure; notes.
    """

    name: str
    passed: bool
    blocking: bool
    description: str
    bad: list[dict[str, Any]]
    observed: dict[str, Any]


@dataclass
class Measures:
    """Measures of one partition, with the first offenders of each."""

    values: dict[str, float] = field(default_factory=dict)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def put(self, name: str, value: float, **observed: Any) -> None:
        """Set a measure; ``observed`` says what it was computed from."""
        self.values[name] = float(value)
        if observed:
            self.examples[name] = [{k: plain(v) for k, v in observed.items()}]

    def add(self, name: str, count: float) -> None:
        """Add to a measure (0 at first)."""
        self.values[name] = self.values.get(name, 0.0) + float(count)

    def worst(self, name: str, values: np.ndarray, labels: Mapping[str, Any] | None = None) -> None:
        """Set a measure to the greatest of ``values`` (NaN where all are) and keep the labels of that entry."""
        finite = np.isfinite(values)
        if not finite.any():
            self.values.setdefault(name, np.nan)
            return
        at = int(np.nanargmax(np.where(finite, values, -np.inf)))
        self.put_greatest(name, values[at], **{k: v[at] for k, v in (labels or {}).items()})

    def put_greatest(self, name: str, value: float, **observed: Any) -> None:
        """Set a measure unless it already is as great."""
        if not self.values.get(name, -np.inf) >= value:
            self.put(name, value, **observed)

    def rows(self, name: str, bad: np.ndarray, offset: int = 0, **columns: Any) -> None:
        """Add the number of rows where ``bad`` (N,), keeping the first with their values of ``columns``."""
        self.add(name, int(np.count_nonzero(bad)))
        self.example(name, np.flatnonzero(bad)[:EXAMPLES], offset, **columns)

    def example(self, name: str, at: np.ndarray, offset: int = 0, **columns: Any) -> None:
        """Keep rows ``at`` as examples, numbered from 1; columns are indexable by row."""
        kept = self.examples.setdefault(name, [])
        for i in at[: EXAMPLES - len(kept)]:
            shown = {k: plain(v.iloc[i] if hasattr(v, "iloc") else v[i]) for k, v in columns.items()}
            kept.append({"row": int(i) + offset + 1, **shown})


def plain(value: Any) -> Any:
    """A value as JSON can hold it: numpy scalars as Python's, other objects as text."""
    if hasattr(value, "as_py"):
        value = value.as_py()
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else None if np.isnan(value) else str(value)
    return str(value)
