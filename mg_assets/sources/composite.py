"""Several sources as one: a table comes from the first that has it on the day."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pandas as pd

from mg_assets.errors import MgError, SourceError
from mg_assets.sources.base import (
    INDEX_WEIGHTS_OF,
    TICKS,
    Loaded,
    Source,
    SourceDay,
    StreamedDay,
    stock_names,
    ticks_of,
)
from mg_assets.sources.fingerprint import fingerprint_of
from mg_assets.sources.quarantine import merge_quarantines

FILLED = ("reference", "daily_bars")
"""Tables with one row a stock, whose absent columns may be filled from a later source."""


class CompositeSource:
    """Tables from the first source that has them; gaps in reference and daily bars filled from later ones.

    These two have the rows (symbols) of the first source that has the table on the day. A cell that is
    null there, and a column that its source does not have (``notes["absent_columns"]``: a null or a
    stand-in is in it), is taken from the next source that has the symbol and the column.

    Parameters
    ----------
    sources : sequence of Source
        In order of preference; at least one.
    """

    name = "composite"

    def __init__(self, sources: Sequence[Source]):
        if not sources:
            raise SourceError("a composite source was given no sources; list at least one under 'sources'")
        self.sources = tuple(sources)

    def __repr__(self) -> str:
        return f"CompositeSource({list(self.sources)!r})"

    def days(self) -> np.ndarray:
        """Days that any of the sources covers."""
        return np.unique(np.concatenate([s.days() for s in self.sources])).astype("datetime64[D]")

    def has(self, table: str, day: dt.date) -> bool:
        """Whether any source has the table on the day."""
        return any(s.has(table, day) for s in self.sources)

    def load(self, table: str, day: dt.date) -> Loaded:
        """Load the table from the first source that has it; raises SourceError where none has."""
        having = [s for s in self.sources if s.has(table, day)]
        if not having:
            raise SourceError(
                f"none of the sources {[s.name for s in self.sources]} has {table} on {day}; add one that has"
            )
        first = having[0].load(table, day)
        if isinstance(first, StreamedDay):
            return first
        if table not in FILLED or len(having) == 1:
            return SourceDay(first.frame, first.quarantine, {"source": having[0].name, **first.notes})
        return _fill(first, [(s.name, s.load(table, day)) for s in having[1:]], having[0].name)

    def stock_names(self) -> dict[str, str]:
        """Names by symbol; of a stock that several sources name, the first one's."""
        found: dict[str, str] = {}
        for source in reversed(self.sources):
            found |= stock_names(source)
        return found

    def load_day(self, day: dt.date) -> dict[str, Loaded | MgError]:
        """Trades and orders of one day, each from the first source that has it; what both need is read once."""
        out: dict[str, Loaded | MgError] = {}
        for source in self.sources:
            for table, got in ticks_of(source, day, [t for t in TICKS if t not in out]).items():
                out.setdefault(table, got)
        return out

    def fingerprint(self, table: str, day: dt.date) -> str:
        """Hash of the fingerprints of the sources that take part, in their order."""
        having = [s for s in self.sources if s.has(table, day)]
        used = having if table in FILLED else having[:1]
        return fingerprint_of([s.fingerprint(table, day) for s in used])


def _fill(first: Loaded, later: list[tuple[str, Loaded]], name: str) -> SourceDay:
    frame = first.frame.reset_index(drop=True).copy()
    unknown, dates = set(_absent(first)), dict(_weights_of(first))
    filled: dict[str, list[str]] = {}
    for other, day in later:
        theirs = day.frame.set_index("symbol").reindex(frame["symbol"])
        here = frame["symbol"].isin(day.frame["symbol"]).to_numpy()
        known = set(_absent(day))
        for column in frame.columns.difference(["symbol"]):
            if column in known or column not in theirs:
                continue
            gap = np.ones(len(frame), bool) if column in unknown else frame[column].isna().to_numpy()
            gap = gap & here & theirs[column].notna().to_numpy()
            if not gap.any():
                continue
            frame[column] = _where(gap, theirs[column], frame[column])
            filled.setdefault(other, []).append(column)
            if (index := column.removesuffix("_weight")) in _weights_of(day):
                dates.setdefault(index, _weights_of(day)[index])
            unknown.discard(column)
    notes = {"source": name, **first.notes, "absent_columns": sorted(unknown), "filled_from": filled}
    if dates:
        notes[INDEX_WEIGHTS_OF] = dates
    return SourceDay(frame, merge_quarantines([first.quarantine, *(d.quarantine for _, d in later)]), notes)


def _absent(day: Loaded) -> list[str]:
    absent = day.notes.get("absent_columns", [])
    return list(absent) if isinstance(absent, (list, tuple, set)) else []


def _weights_of(day: Loaded) -> dict[str, str]:
    dates = day.notes.get(INDEX_WEIGHTS_OF)
    return dates if isinstance(dates, dict) else {}


def _where(gap: np.ndarray, theirs: pd.Series, ours: pd.Series) -> pd.Series:
    values = theirs.reset_index(drop=True)
    if ours.dtype == bool:
        return pd.Series(np.where(gap, values.fillna(False).astype(bool), ours), name=ours.name)
    if ours.dtype == values.dtype:
        return ours.where(~gap, values)
    return ours.astype(object).where(~gap, values.astype(object)).infer_objects()
