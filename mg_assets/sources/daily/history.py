"""A history by day: daily bars and the reference of each day, from a panel and its reference data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from mg_assets.market.schema import INDICES, PERIOD_BARS, REFERENCE
from mg_assets.sources.base import INDEX_WEIGHTS_OF, SourceDay
from mg_assets.sources.compute_once import compute_once
from mg_assets.sources.daily.members import DateRanges, IndexWeights, Industries, index_members
from mg_assets.sources.daily.panel import DailyPanel
from mg_assets.sources.daily.vetting import FUNDAMENTALS
from mg_assets.sources.fingerprint import Marks, RowsDigest, marks_of_history, word_digests


@dataclass(frozen=True)
class DailyHistory:
    """All that a source has by day.

    Attributes
    ----------
    panel : DailyPanel
    listed : mapping of str to ndarray of datetime64[D] (S,)
        ``list_date`` and ``delist_date`` on the panel's axis, as far as the source has them.
    membership, weights : mapping of str to DateRanges, IndexWeights
        By index, on the panel's axis.
    industry : Industries or None
    caveats : sequence of str
        Limitations of this data; in every day's notes.
    """

    panel: DailyPanel
    listed: Mapping[str, np.ndarray] = field(default_factory=dict)
    membership: Mapping[str, DateRanges] = field(default_factory=dict)
    weights: Mapping[str, IndexWeights] = field(default_factory=dict)
    industry: Industries | None = None
    caveats: Sequence[str] = ()

    @cached_property
    def absent(self) -> frozenset[str]:
        """Reference columns that are unknown on every day."""
        out = {c for c in self.panel.absent if c in REFERENCE.names}
        out |= {f"{i}_member" for i in INDICES if i not in self.membership}
        out |= {f"{i}_weight" for i in INDICES if i not in self.weights}
        out |= {n for n in ("list_date", "delist_date") if n not in self.listed or np.all(np.isnat(self.listed[n]))}
        out |= {n for n in FUNDAMENTALS if n not in self.panel.columns}
        return frozenset(out | ({"industry"} if self.industry is None else set()))

    def has(self, day: np.datetime64) -> bool:
        """Whether the day has rows."""
        return self.panel.slice_of(day) is not None

    def load(self, table: str, day: np.datetime64, name: str) -> SourceDay:
        """``daily_bars`` or ``reference`` of a day that :meth:`has` rows."""
        notes: dict[str, object] = {"source": name, **self.panel.notes, **self.panel.day_notes(day)}
        if self.caveats:
            notes["caveats"] = list(self.caveats)
        bad = self.panel.quarantined(day)
        bad = bad[bad["table"] == table].reset_index(drop=True)
        if table == "reference":
            frame, more = self._reference(day)
            return SourceDay(frame, bad, {**notes, **more, "quarantined": len(bad)})
        notes |= {"absent_columns": sorted(self.panel.absent), "quarantined": len(bad)}
        return SourceDay(self.panel.bars(day), bad, notes)

    def marks(self) -> Marks:
        """Fingerprints of each day's rows.

        Returns
        -------
        dict of str to (dict of str to str)
            Table -> day -> 16 hex digits: of rows, quarantine and absent columns of ``daily_bars`` and ``reference``,
            and (``prev_close``) of the reference prices alone, which minute bars begin with.
        """
        panel = self.panel
        names = word_digests(panel.axis)
        words = [word_digests(n.to_numpy(object)) for n in self.industry.names] if self.industry is not None else []
        aside = self._quarantine_digests()
        out: Marks = {"daily_bars": {}, "reference": {}, "prev_close": {}}
        bars = [n for n in PERIOD_BARS.names if n != "symbol"]
        for day in panel.days:
            rows, key = panel.slice_of(day), str(day)
            symbols = names[panel.symbol[rows]]
            reference, notes = self._reference_columns(day)
            if self.industry is not None:
                reference["industry"] = words[self.industry.position(day)][panel.symbol[rows]]
            tables = {
                "daily_bars": ({n: panel.columns[n][rows] for n in bars}, sorted(panel.absent)),
                "reference": (reference, notes["absent_columns"]),
                "prev_close": ({"prev_close": panel.columns["prev_close"][rows]}, []),
            }
            for table, (columns, absent) in tables.items():
                digest = RowsDigest(table, key, absent, aside.get((table, key)))
                for name, values in {"symbol": symbols, **columns}.items():
                    digest.add(name, values)
                out[table][key] = digest.result()
        return out

    def _quarantine_digests(self) -> dict[tuple[str, str], list[str]]:
        """Symbol, reason and content of each day's invalid rows, by table; where they stand in a file is no content."""
        out: dict[tuple[str, str], list[str]] = {}
        frame = self.panel.quarantine
        columns = (frame[c].astype("str").fillna("") for c in ("table", "symbol", "reason", "content"))
        for day, table, *texts in zip(self.panel.quarantine_days().astype(str), *columns, strict=True):
            out.setdefault((table, day), []).append("|".join(texts))
        return out

    def _reference(self, day: np.datetime64) -> tuple[pd.DataFrame, dict[str, object]]:
        panel = self.panel
        here = panel.symbol[panel.slice_of(day)]
        columns, notes = self._reference_columns(day)
        frame: dict[str, Any] = {"symbol": panel.names.take(here), **columns}
        frame["industry"] = (
            pd.array([None] * len(here), dtype="str") if self.industry is None else self.industry.on(day).take(here)
        )
        return pd.DataFrame({n: frame[n] for n in REFERENCE.names}), notes

    def _reference_columns(self, day: np.datetime64) -> tuple[dict[str, np.ndarray], dict[str, object]]:
        """The day's reference but symbol and industry, and its notes."""
        panel, size = self.panel, len(self.panel.axis)
        rows = panel.slice_of(day)
        here = panel.symbol[rows]
        unknown = np.full(len(here), np.nan)
        notes: dict[str, object] = {}
        absent = set(self.absent)
        weights_of: dict[str, str] = {}
        columns: dict[str, np.ndarray] = {}
        for name in ("list_date", "delist_date"):
            dates = self.listed.get(name)
            blank = np.full(len(here), np.datetime64("NaT", "s"))
            columns[name] = blank if dates is None else dates[here].astype("datetime64[s]")
        members, doubled = index_members(self.membership, day, size)
        if doubled:
            notes["stocks_listed_in_two_indices"] = f"{doubled}: the index joined last counts"
        for index in INDICES:
            columns[f"{index}_member"] = members[index][here] if index in members else np.zeros(len(here), bool)
            weight = self.weights[index].on(day, size) if index in self.weights else None
            if weight is None:
                columns[f"{index}_weight"] = unknown
                absent.add(f"{index}_weight")
                continue
            weights_of[index] = self.weights[index].date_on(day)
            mine = weight[here]
            if (
                abs(mine.sum() - 1) > 1e-9 and mine.sum() > 0
            ):  # index stocks without a row: the others share their weight
                notes[f"{index}_weight_of_missing_stocks"] = round(1 - float(mine.sum()), 6)
                mine = mine / mine.sum()
            columns[f"{index}_weight"] = mine
        for name in REFERENCE.names:
            if name not in columns and name not in ("symbol", "industry"):
                own = panel.columns.get(name)
                columns[name] = unknown if own is None else own[rows]
        notes |= {"absent_columns": sorted(absent), INDEX_WEIGHTS_OF: weights_of}
        return columns, notes


class MarkedHistory:
    """A history's days and fingerprints, for which it need not be read as long as no file changed.

    Parameters
    ----------
    content : callable
        Gives all that decides the history: settings and digests of its files, no path.
    read : callable
        Gives the history.
    kept : bool
        As of :func:`~mg_assets.sources.fingerprint.marks_of_history`.
    """

    def __init__(self, content: Callable[[], object], read: Callable[[], DailyHistory], kept: bool = True):
        self._content, self._read, self._kept = content, read, kept

    @cached_property
    def marks(self) -> Marks:
        """See :meth:`DailyHistory.marks`."""
        return marks_of_history(self._content, lambda: self._read().marks(), self._kept)

    @cached_property
    def days(self) -> np.ndarray:
        """Days with rows, ``datetime64[D]``, ascending."""
        return np.array(list(self.marks["daily_bars"]), "datetime64[D]")

    def has(self, day: object) -> bool:
        """Whether the day has rows."""
        return str(day)[:10] in self.marks["daily_bars"]

    def fingerprint(self, table: str, day: object) -> str:
        """Hash of the day's rows; of a day without any the text ``absent``."""
        return self.marks[table].get(str(day)[:10], "absent")


daily_histories = compute_once(3)
"""Histories of this process: a history of 3.6 million rows takes about half a gigabyte."""
