"""Tables on disk in any vendor's columns, described by a YAML file.

The whole history of daily bars is read once a process, kept by day and shared between threads and
source objects; minute bars are read by file. Which days there are, and the fingerprint of each, is known without
reading them again as long as no file changed.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mg_assets.errors import MgError, SourceError
from mg_assets.sources.base import SourceDay
from mg_assets.sources.compute_once import compute_once
from mg_assets.sources.daily.history import DailyHistory, MarkedHistory, daily_histories
from mg_assets.sources.daily.mapped_table import MappedTable, read_mapped_table, without_unreadable_rows
from mg_assets.sources.daily.mapping import VOLUME_STEP, SourceMapping, TableMapping, parse_mapping
from mg_assets.sources.daily.members import DateRanges, IndexWeights, Industries, listing_days
from mg_assets.sources.daily.panel import build_panel
from mg_assets.sources.daily.price_units import check_prices
from mg_assets.sources.daily.suspensions import with_suspended_days
from mg_assets.sources.daily.vetting import NUMBERS, DailyRows
from mg_assets.sources.file_patterns import FilePatterns, as_days
from mg_assets.sources.fingerprint import Marks, file_digests, fingerprint_of, marks_of_history
from mg_assets.sources.io.dates import to_date
from mg_assets.sources.io.native import is_native, native_days
from mg_assets.sources.io.read_log import ReadLog
from mg_assets.sources.mapped.bar_times import place_bars
from mg_assets.sources.mapped.minutes import MinuteRows, assign_bars, minute_bars_of_day
from mg_assets.sources.presets import find_preset, read_preset
from mg_assets.sources.quarantine import merge_quarantines

VERSION = 5  # raise it when the same minute files give another table; of daily tables the rows are compared
NO_VALUES = ("name", "description", "caveats", "names")
"""Keys of a mapping that decide no value."""

_minute_tables = compute_once(4)


class MappedSource:
    """Daily bars, reference and minute bars from mapped tables.

    Parameters
    ----------
    config : str or Path
        A YAML file, or the name of one that comes with the package (``csi800_ever``, ``baostock``,
        ``tushare``, ``akshare``, ``joinquant``, ``minute_dolphindb``, ...:
        :func:`~mg_assets.sources.presets.preset_names`).
    root : str or Path
        Folder that the file patterns start from.
    files : mapping of str to (str or list of str), optional
        File patterns instead of the mapping's: ``daily``, ``minute``, ``more.0``, ``more.1``, ... for
        the further tables of ``daily``, ``listing``, ``weights.csi300``, ...
    price_unit, volume_unit, amount_unit : float, optional
        Yuan, shares and yuan per unit of the bars' columns, instead of the mapping's ``units``.

    Raises
    ------
    SourceError
        The mapping is not valid.
    """

    def __init__(
        self,
        config: str | Path,
        root: str | Path,
        files: Mapping[str, str | list[str]] | None = None,
        price_unit: float | None = None,
        volume_unit: float | None = None,
        amount_unit: float | None = None,
    ):
        self.root = Path(root).expanduser()
        units = {"price": price_unit, "volume": volume_unit, "amount": amount_unit}
        given = {column: unit for column, unit in units.items() if unit is not None}
        self._content = _with_units(_with_files(read_preset(config), dict(files or {}), str(config)), given)
        self.mapped: SourceMapping = parse_mapping(self._content, str(find_preset(config)))
        self.name = self.mapped.name
        self.read_log: ReadLog | None = None

    def __repr__(self) -> str:
        return f"MappedSource({self.name!r}, {str(self.root)!r})"

    def days(self) -> np.ndarray:
        """Days with daily or minute bars, ``datetime64[D]``, ascending."""
        found: set[dt.date] = set()
        if self.mapped.daily is not None:
            found |= set(self._marked.days.tolist())
        if self.mapped.minute is not None:
            found |= self._minute_days
        return as_days(found)

    def has(self, table: str, day: dt.date) -> bool:
        """Whether the table is mapped and has rows on the day."""
        if table in ("daily_bars", "reference"):
            return self.mapped.daily is not None and self._marked.has(day)
        if table == "minute_bars" and self.mapped.minute is not None:
            return _date(day) in self._minute_days
        return False

    def load(self, table: str, day: dt.date) -> SourceDay:
        """Load one table of one day; raises SourceError where there is none."""
        if not self.has(table, day):
            raise SourceError(
                f"source {self.name!r} has no {table} on {_day(day)} below {self.root}; it covers {_span(self.days())}"
            )
        if table == "minute_bars":
            return self._load_minutes(_day(day))
        return self._history.load(table, _day(day), self.name)

    def fingerprint(self, table: str, day: dt.date) -> str:
        """Hash of the day's rows (daily tables), or of the day's files and their mapping (minute bars)."""
        if table == "minute_bars" and self.mapped.minute is not None:
            before = self._marked.fingerprint("prev_close", day) if self.mapped.daily is not None else ""
            if not any(p.dated for p in self.mapped.minute.files.patterns):
                return fingerprint_of(self._minute_marks.get(str(_day(day))), before)
            files = self._contents(self.mapped.minute.files, _date(day))
            return fingerprint_of(VERSION, self._deciding["minute"], table, str(_day(day)), files, before)
        return self._marked.fingerprint(table, day)

    def stock_names(self) -> dict[str, str]:
        """Names by symbol, from the table that the mapping calls ``names``; they belong to no partition's recipe."""
        section = self.mapped.names
        if section is None or not self._here(section):
            return {}
        table = self._read(section, "names")
        if "name" not in table.text:
            return {}
        names = (str(name or "").strip() for name in table.text["name"].to_pylist())
        return {table.axis[i]: name for i, name in zip(table.symbol, names, strict=True) if i >= 0 and name}

    # ---------------------------------------------------------------- history

    def _contents(self, files: FilePatterns, day: dt.date | None = None) -> list[tuple[object, ...]]:
        """What counts of files, in their order: code and date in the name, and the digest."""
        paths, pattern = files.find(self.root, day)
        names = [(pattern.code(self.root, p), str(pattern.day(self.root, p))) for p in paths] if pattern else []
        return [(*name, digest) for name, digest in zip(names, file_digests(paths), strict=True)]

    @cached_property
    def _deciding(self) -> dict[str, Any]:
        """The mapping without what decides no value: where files lie, and texts for people."""
        return {k: _without_files(v) for k, v in self._content.items() if k not in NO_VALUES}

    def _history_content(self) -> list[object]:
        """All that decides the daily history."""
        m = self.mapped
        around = [m.listing, m.industry, m.st_ranges, m.suspensions]
        sections = [m.daily, *around, *m.membership.values(), *m.weights.values()]
        every = [s for top in sections if top for s in (top, *top.more)]
        settings = {k: v for k, v in self._deciding.items() if k != "minute"}
        return ["daily", settings, [self._contents(s.files) for s in every]]

    @cached_property
    def _key(self) -> tuple:
        return (str(self.root), fingerprint_of(self._content), fingerprint_of(self._history_content()))

    @cached_property
    def _marked(self) -> MarkedHistory:
        return MarkedHistory(self._history_content, self._shared_history, kept=self.read_log is None)

    def _shared_history(self) -> DailyHistory:
        return daily_histories(self._key, self._read_history)

    @property
    def _history(self) -> DailyHistory:
        return self._shared_history()

    def _here(self, section: TableMapping | None) -> bool:
        """Whether a table is mapped and, where it is optional, has files."""
        return section is not None and (not section.optional or bool(section.files.find(self.root)[0]))

    def _read(self, section: TableMapping, what: str) -> MappedTable:
        check = check_prices if section is self.mapped.daily else None
        return read_mapped_table(
            section, self.root, "daily_bars", f"{self.name}: {what}", read_log=self.read_log, check=check
        )

    def _read_history(self) -> DailyHistory:
        m = self.mapped
        if m.daily is None:
            raise SourceError(f"source {self.name!r} maps no daily bars; add a section 'daily'")
        rows = self._daily_rows(m.daily)
        axis, aside = rows.axis, [rows.quarantine]

        def reference(section: TableMapping, what: str, *needed: str, by_day: bool = False) -> MappedTable:
            table = without_unreadable_rows(self._read(section, what), "reference", needed, by_day)
            aside.append(table.quarantine)
            return table

        listed: dict[str, np.ndarray] = {}
        if m.listing is not None and self._here(m.listing):
            open_end = bool(m.listing.options.get("open_end", False))
            listed = dict(listing_days(reference(m.listing, "listing"), axis, open_end))
        if m.st_ranges is not None and self._here(m.st_ranges):
            spans = DateRanges.of(reference(m.st_ranges, "st_ranges", "start"), axis)
            rows = replace(rows, columns={**rows.columns, "st": _inside(spans, rows)})
        membership = {
            i: DateRanges.of(reference(s, f"membership of {i}", "start"), axis)
            for i, s in m.membership.items()
            if self._here(s)
        }
        weights = {
            i: IndexWeights.of(
                reference(s, f"weights of {i}", "date", by_day=True),
                axis,
                tuple(to_date(d) for d in s.options.get("drop_dates") or ()),
                f"{self.name}: weights of {i}",
            )
            for i, s in m.weights.items()
            if self._here(s)
        }
        weights = {i: w for i, w in weights.items() if len(w.days)}  # a file of several indices may lack one
        membership = {i: w.spans() for i, w in weights.items()} | membership
        industry = None
        if m.industry is not None and self._here(m.industry):
            prefix = str(m.industry.options.get("prefix", ""))
            dated = ("date",) if "date" in m.industry.columns else ()
            industry = Industries.of(reference(m.industry, "industry", *dated), axis, prefix)
        drop = bool(m.daily.options.get("drop_before_listing", False))
        rows = replace(rows, quarantine=merge_quarantines(aside))
        panel = build_panel(rows, listed.get("list_date"), drop, listed.get("delist_date"))
        return DailyHistory(panel, listed, membership, weights, industry, m.caveats)

    def _daily_rows(self, section: TableMapping) -> DailyRows:
        table, notes = self._read(section, "daily"), dict[str, object]()
        if self.mapped.suspensions is not None and self._here(self.mapped.suspensions):
            table, notes = with_suspended_days(table, self._read(self.mapped.suspensions, "suspensions"))
        if table.others:
            notes["rows_of_other_kinds"] = table.others
        numbers, flags, aside = dict(table.numbers), dict(table.flags), [table.quarantine]
        if "adj_factor" in numbers and not np.any(np.abs(numbers["adj_factor"] - 1) > 0):
            del numbers["adj_factor"]  # what JoinQuant gives beside prices that it was asked not to adjust
            notes["factor_of_ones_left_out"] = "the bars' own factor is 1 everywhere, which says nothing of ex-days"
        for i, more in enumerate(section.more):
            if not self._here(more):
                continue
            aside.append(_join(numbers, flags, table, self._read(more, f"daily.more[{i}]"), notes))
        columns: dict[str, np.ndarray] = {n: v for n, v in numbers.items() if n in NUMBERS}
        columns.update(flags)
        return DailyRows(
            axis=table.axis,
            symbol=table.symbol,
            date=table.date,
            columns=columns,
            file=table.paths[0] if len(table.paths) == 1 else np.array(table.paths, dtype=object)[table.file],
            row=table.row,
            date_text=table.text.get("date"),
            quarantine=merge_quarantines(aside),
            unparsed=table.unparsed,
            words=table.words,
            notes={
                "files": [Path(p).name for p in table.paths[:20]],
                "file_count": len(table.paths),
                **({"files_without_rows": empty[:20]} if (empty := table.empty_files) else {}),
                **({"remarks": list(table.remarks)} if table.remarks else {}),
                **notes,
            },
        )

    # ---------------------------------------------------------------- minutes

    @cached_property
    def _minute_days(self) -> set[dt.date]:
        section = self.mapped.minute
        if section is None:
            return set()
        if all(p.dated for p in section.files.patterns):
            return section.files.days(self.root)
        if self._native(section):
            return set(self._native_days(section))
        return {_date(day) for day in self._minute_marks}

    def _native(self, section: TableMapping) -> bool:
        """Whether a day of the minute bars is read from files of many days without the others."""
        paths, _ = section.files.find(self.root)
        return bool(paths) and all(is_native(p) for p in paths)

    def _native_days(self, section: TableMapping) -> list[dt.date]:
        """Days of the minute bars in files of many days; one that cannot be read is left out until its days are."""
        days: set[dt.date] = set()
        errors: list[MgError] = []
        kind = section.only.values[0] if section.only is not None else ""
        for path in section.files.find(self.root)[0]:
            try:
                days |= set(native_days(path, kind).tolist())
            except MgError as error:
                errors.append(error)
        if errors and not days:
            raise errors[0]
        return sorted(days)

    @cached_property
    def _minute_marks(self) -> dict[str, str]:
        """Fingerprint of the rows of each day, where all days are in the same files."""
        section = self.mapped.minute
        if section is None:
            return {}

        def content() -> list[object]:
            return ["minute", self._deciding["minute"], self._contents(section.files)]

        def read() -> Marks:
            if self._native(section):
                days = self._native_days(section)
                return {"minute_bars": {str(day): self._minute_rows(day).marks()[str(day)] for day in days}}
            return {"minute_bars": self._minute_rows(None).marks()}

        return marks_of_history(content, read, kept=self.read_log is None)["minute_bars"]

    def _minute_rows(self, day: dt.date | None) -> MinuteRows:
        section = self.mapped.minute
        if section is None:
            raise SourceError(f"source {self.name!r} maps no minute bars; add a section 'minute'")
        files, _ = section.files.find(self.root, day)

        def make() -> MinuteRows:
            what = f"{self.name}: minute"
            table = read_mapped_table(section, self.root, "minute_bars", what, day, self.read_log, _check_minutes)
            dated = all(p.dated for p in section.files.patterns)
            days = as_days(self._minute_days) if dated else None
            if day is not None and self._native(section):
                days = as_days([day])
            return assign_bars(table, days)

        content = fingerprint_of(self._content, self._contents(section.files, day), str(day))
        return _minute_tables((content, tuple(map(str, files))), make)

    def _load_minutes(self, day: np.datetime64) -> SourceDay:
        section = self.mapped.minute
        dated = section is not None and (any(p.dated for p in section.files.patterns) or self._native(section))
        known: dict[str, float] = {}
        if self.mapped.daily is not None:
            bars = self._history.panel.bars(day)
            known = {} if bars is None else dict(zip(bars["symbol"], bars["prev_close"], strict=True))
        rows = self._minute_rows(_date(day) if dated else None)
        loaded = minute_bars_of_day(rows, day, known)
        others = {"rows_of_other_kinds": rows.table.others} if rows.table.others else {}
        step = {} if section is None else _volume_step(section, loaded.frame["volume"].to_numpy())
        return replace(loaded, notes={"source": self.name, **loaded.notes, **step, **others})


def _volume_step(section: TableMapping, volume: np.ndarray) -> dict[str, object]:
    """The note on how the day's volumes are rounded: as the mapping says, or to the file's own unit of whole lots."""
    unit = section.units.get("volume", 1.0)
    if VOLUME_STEP in section.options:
        return {VOLUME_STEP: section.options[VOLUME_STEP]}
    return {VOLUME_STEP: int(unit)} if unit > 1 and unit == int(unit) and not np.any(volume % unit) else {}


def _check_minutes(table: MappedTable, mapping: TableMapping) -> MappedTable:
    """A file's minute rows with their bars; raises DataError where they are none, or their prices cannot be raw."""
    return check_prices(place_bars(table, mapping), mapping)


def _without_files(section: object) -> object:
    """A section of a mapping without its file patterns, nor those of the tables in it."""
    if isinstance(section, Mapping):
        return {k: _without_files(v) for k, v in section.items() if k != "files"}
    return [_without_files(v) for v in section] if isinstance(section, list) else section


def _with_files(content: dict[str, Any], files: dict[str, Any], config: str) -> dict[str, Any]:
    """The mapping with other file patterns."""
    tables = {n: v for n, v in content.items() if isinstance(v, dict)}
    tables |= {f"{n}.{i}": v for n in ("membership", "weights") for i, v in tables.pop(n, {}).items()}
    tables |= {f"more.{i}": more for i, more in enumerate(tables.get("daily", {}).get("more") or [])}
    if "listing" in files and "names" in tables:  # the names of stocks are in the listing's files
        files = {"names": files["listing"], **files}
    for name, patterns in files.items():
        if name not in tables:
            raise SourceError(f"mapping {config!r}: files[{name!r}] names no table of it; they are {sorted(tables)}")
        tables[name]["files"] = patterns
    return content


def _with_units(content: dict[str, Any], units: Mapping[str, float]) -> dict[str, Any]:
    """The mapping with other units of its bars."""
    for name in ("daily", "minute"):
        if units and isinstance(content.get(name), dict):
            content[name]["units"] = {**(content[name].get("units") or {}), **units}
    return content


def _join(
    numbers: dict[str, np.ndarray],
    flags: dict[str, np.ndarray],
    table: MappedTable,
    more: MappedTable,
    notes: dict[str, object],
) -> pd.DataFrame:
    """Columns of a further table on the same (symbol, date) keys, in place; NaN or false where it has no row.

    Returns
    -------
    DataFrame
        Quarantine of the rows that cannot be read.
    """
    more = without_unreadable_rows(more, "daily_bars", ("date",), by_day=True)
    position = {s: i for i, s in enumerate(more.axis)}
    to_more = np.array([*(position.get(s, -1) for s in table.axis), -1], np.int64)
    mine = to_more[np.where(table.symbol >= 0, table.symbol, len(table.axis))]
    theirs = pd.MultiIndex.from_arrays([more.symbol, more.date])
    keep = ~theirs.duplicated()
    at = theirs[keep].get_indexer(pd.MultiIndex.from_arrays([mine, table.date]))
    for name, values in more.numbers.items():
        numbers[name] = np.where(at >= 0, values[keep][at], np.nan) if keep.any() else np.full(len(at), np.nan)
    for name, values in more.flags.items():
        flags[name] = (values[keep][at] & (at >= 0)) if keep.any() else np.zeros(len(at), bool)
        outside = ~np.isin(table.date, more.date)
        if outside.any():
            notes[f"{name}_unknown"] = f"{int(outside.sum())} rows of days that its table lacks: taken as false"
    return more.quarantine


def _inside(spans: DateRanges, rows: DailyRows) -> np.ndarray:
    """Whether each row's stock is inside one of its spans on the row's day."""
    out = np.zeros(len(rows.symbol), bool)
    order = np.argsort(rows.symbol, kind="stable")
    sorted_symbol = rows.symbol[order]
    for symbol, start, end in zip(spans.symbol, spans.start, spans.end, strict=True):
        low, high = np.searchsorted(sorted_symbol, [symbol, symbol + 1])
        at = order[low:high]
        out[at] |= (rows.date[at] >= start) & (rows.date[at] <= end)
    return out


def _day(day: object) -> np.datetime64:
    return np.datetime64(str(day)[:10], "D")


def _date(day: object) -> dt.date:
    return dt.date.fromisoformat(str(day)[:10])


def _span(days: np.ndarray) -> str:
    return f"{days[0]}..{days[-1]}" if len(days) else "no day"
