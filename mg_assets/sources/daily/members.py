"""Reference data of a day besides prices: index membership, weights, industry, listing, ST."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mg_assets.errors import DataError
from mg_assets.sources.daily.mapped_table import MappedTable

WEIGHT_SUM_TOLERANCE = 0.02
NO_DAY = np.datetime64("NaT", "D")


@dataclass(frozen=True)
class DateRanges:
    """Spans of days per symbol, both ends inclusive (a null end is open)."""

    symbol: np.ndarray
    start: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, table: MappedTable, axis: np.ndarray, start: str = "start", end: str = "end") -> "DateRanges":
        """From a table, with symbols as positions on ``axis`` (others are left out)."""
        position = axis_positions(table, axis)
        first, last = table.dates(start), table.dates(end)
        keep = (position >= 0) & ~np.isnat(first)
        last = np.where(np.isnat(last), np.datetime64("9999-12-31", "D"), last)
        return cls(position[keep], first[keep], last[keep])

    def since(self, day: np.datetime64, size: int) -> np.ndarray:
        """Start of the span that each symbol of the axis is in on the day, ``datetime64[D] (size,)``, NaT outside."""
        out = np.full(size, NO_DAY)
        here = (self.start <= day) & (day <= self.end)
        out[self.symbol[here]] = self.start[here]
        return out


def index_members(spans: Mapping[str, DateRanges], day: np.datetime64, size: int) -> tuple[dict[str, np.ndarray], int]:
    """Members of each index on a day, no stock in two.

    The indices exclude each other, but lists that are dumped once a month keep a stock in its old
    index for some weeks after it joined another: the span that began last counts.

    Returns
    -------
    members : dict of str to ndarray of bool (size,)
    doubled : int
        Stocks that were in two lists.
    """
    since = {index: ranges.since(day, size) for index, ranges in spans.items()}
    inside = {index: ~np.isnat(start) for index, start in since.items()}
    doubled = sum(m.astype(int) for m in inside.values()) > 1 if inside else np.zeros(size, bool)
    for position in np.flatnonzero(doubled):
        of = [index for index in inside if inside[index][position]]
        last = max(of, key=lambda index: since[index][position])
        for index in of:
            inside[index][position] = index == last
    return inside, int(np.sum(doubled))


@dataclass(frozen=True)
class IndexWeights:
    """Index weights on some dates, as fractions that sum to 1; the latest date counts."""

    days: np.ndarray
    offsets: np.ndarray
    symbol: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(
        cls, table: MappedTable, axis: np.ndarray, drop_dates: tuple[np.datetime64, ...], what: str
    ) -> "IndexWeights":
        """From a table of (date, symbol, weight) with weights in fractions.

        Returns
        -------
        IndexWeights
            Scaled to sum to 1 on each date.

        Raises
        ------
        DataError
            A date's weights do not sum to 1 within 2%.
        """
        position, weight, date = axis_positions(table, axis), table.numbers["weight"], table.date
        dropped = np.isin(date, np.array(drop_dates, "datetime64[D]"))
        keep = (table.symbol >= 0) & np.isfinite(weight) & ~np.isnat(date) & ~dropped
        order = np.argsort(date[keep], kind="stable")
        date, position, weight = date[keep][order], position[keep][order], weight[keep][order]
        days, starts = np.unique(date, return_index=True)
        sums = np.add.reduceat(weight, starts) if len(days) else np.empty(0)
        off = np.flatnonzero(np.abs(sums - 1) > WEIGHT_SUM_TOLERANCE)
        if len(off):
            raise DataError(
                f"{what}: weights of {days[off[0]]} sum to {sums[off[0]]:.4f} ({len(off)} of {len(days)} dates are "
                f"off by more than {WEIGHT_SUM_TOLERANCE}); set units.weight (0.01 for percent) or drop_dates"
            )
        offsets = np.append(starts, len(date)).astype(np.int64)
        weight = weight / np.repeat(sums, np.diff(offsets)) if len(days) else weight
        return cls(days, offsets, position, weight)

    def on(self, day: np.datetime64, size: int) -> np.ndarray | None:
        """Weights as of the day, ``float64 (size,)``, 0 outside the index; None before the first date."""
        at = int(np.searchsorted(self.days, day, side="right")) - 1
        if at < 0:
            return None
        rows = slice(int(self.offsets[at]), int(self.offsets[at + 1]))
        out = np.zeros(size)
        inside = self.symbol[rows] >= 0
        out[self.symbol[rows][inside]] = self.weight[rows][inside]
        return out

    def date_on(self, day: np.datetime64) -> str:
        """Date of the weights as of the day, which has one (:meth:`on`)."""
        return str(self.days[int(np.searchsorted(self.days, day, side="right")) - 1])

    def spans(self) -> DateRanges:
        """Days on which each stock has a weight: those of a date until the next one."""
        last = np.append(self.days[1:] - np.timedelta64(1, "D"), np.datetime64("9999-12-31", "D"))
        counts = np.diff(self.offsets)
        start, end = (np.repeat(days, counts) for days in (self.days, last[: len(self.days)]))
        inside = (self.symbol >= 0) & (self.weight > 0)
        return DateRanges(self.symbol[inside], start[inside], end[inside])


@dataclass(frozen=True)
class Industries:
    """Industry names, one snapshot or dated ones; before the first date the first one counts."""

    days: np.ndarray
    names: tuple[pd.api.extensions.ExtensionArray, ...]

    @classmethod
    def of(cls, table: MappedTable, axis: np.ndarray, prefix: str) -> "Industries":
        """From a table of (symbol, industry) with or without dates; an empty industry is unknown."""
        position = axis_positions(table, axis)
        words = _words(table)
        dated = not np.all(np.isnat(table.date))
        days = np.unique(table.date[~np.isnat(table.date)]) if dated else np.array([NO_DAY])
        snapshots = []
        for day in days:
            mine = (position >= 0) & ((table.date == day) if dated else np.ones(len(position), bool))
            names = np.full(len(axis), None, dtype=object)
            for i in np.flatnonzero(mine):
                if words[i]:
                    names[position[i]] = f"{prefix}{words[i]}"
            snapshots.append(pd.array(names, dtype="str"))
        return cls(days, tuple(snapshots))

    def on(self, day: np.datetime64) -> pd.api.extensions.ExtensionArray:
        """Industry of each symbol of the axis as of the day, null where unknown."""
        return self.names[self.position(day)]

    def position(self, day: np.datetime64) -> int:
        """Which of the snapshots counts on the day."""
        return max(int(np.searchsorted(self.days, day, side="right")) - 1, 0) if len(self.days) > 1 else 0


def axis_positions(table: MappedTable, axis: np.ndarray) -> np.ndarray:
    """Each row's position on another axis, -1 where the axis lacks it."""
    found = {s: i for i, s in enumerate(axis)}
    own = np.array([*(found.get(s, -1) for s in table.axis), -1], np.int64)
    return own[np.where(table.symbol >= 0, table.symbol, len(table.axis))]


def _words(table: MappedTable) -> list[str]:
    """Industry texts; a code that was read as a float loses its ``.0``."""
    column = table.text["industry"]
    words = []
    for word in column.to_pylist():
        text = "" if word is None or word != word else str(word).strip()
        words.append(text[:-2] if text.endswith(".0") and text[:-2].isdigit() else text)
    return words


def listing_days(table: MappedTable, axis: np.ndarray, open_end: bool) -> Mapping[str, np.ndarray]:
    """First and last listed day of each symbol of an axis, ``datetime64[D]``, NaT where unknown.

    Parameters
    ----------
    table : MappedTable
        Columns symbol, list_date and, where it has one, delist_date.
    axis : ndarray of object (S,)
        Symbols.
    open_end : bool
        Whether a last day equal to the table's latest one means "still listed".

    Returns
    -------
    mapping of str to ndarray of datetime64[D] (S,)
        ``list_date`` and ``delist_date``.
    """
    position = axis_positions(table, axis)
    first = np.full(len(axis), NO_DAY)
    last = np.full(len(axis), NO_DAY)
    keep = position >= 0
    begins = table.dates("list_date")
    order = np.flatnonzero(keep)[np.argsort(begins[keep])[::-1]]  # of a stock's several codes the earliest counts
    first[position[order]] = begins[order]
    if "delist_date" in table.text:
        ends = table.dates("delist_date")
        known = ends[~np.isnat(ends)]
        if open_end and len(known):
            ends = np.where(ends == known.max(), NO_DAY, ends)
        order = np.flatnonzero(keep)[np.argsort(ends[keep])]  # and the latest, or none
        last[position[order]] = ends[order]
    return {"list_date": first, "delist_date": last}
