"""Read a folder of anybody's market data into the lake, and say of every file what became of it.

1. Walk the folder and recognise each file (:mod:`mg_assets.ingest.discover`, :mod:`mg_assets.ingest.recognise`).
2. Make of what was found the source that reads it: the same options that a settings file would hold.
3. Day by day, read every file once, write the raw tables as the assets would (same writer, same marks, so that
   ``mg run`` finds them fresh), and put bad rows into the quarantine. A day's table one of whose files cannot be
   read is not written; the other days and tables are.
4. Report per file: what it is, its rows, how many were set aside and why, seconds.

Nothing here knows Dagster; :mod:`mg_assets.cli.main` hands in what the graph wants to be told.
"""

import datetime as dt
import time
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mg_assets.errors import MgError
from mg_assets.ingest.discover import FileReport, Report, survey
from mg_assets.ingest.recognise import Recognised
from mg_assets.sources import build_source
from mg_assets.sources.base import Loaded, Source
from mg_assets.sources.io.read_log import Watch

TABLES = ("trades", "orders", "reference", "minute_bars", "daily_bars")
"""Tables that come straight from a source, in the order of the graph."""

Write = Callable[[Source, str, str, Loaded], None]
"""Keeps one day's table: source, table, key, what was loaded."""
Tell = Callable[[int, int, FileReport | None], None]
"""Told of progress: days done, of how many, and a file that is finished."""


@dataclass
class Opened:
    """The sources of a survey, ready to be read.

    Attributes
    ----------
    sources : list of Source
        Those that can be read at all.
    whole : Source or None
        All of them as one, as a deployment would have them.
    days : list of date
        Days that any of them covers, ascending.
    watch : Watch
    """

    sources: list[Source]
    whole: Source | None
    days: list[dt.date]
    watch: Watch


def open_sources(report: Report) -> Opened:
    """Build the sources of a survey; what makes one unreadable as a whole becomes its files' error."""
    watch = Watch(go_on=True)
    sources: list[Source] = []
    usable: list[dict[str, Any]] = []
    days: set[dt.date] = set()
    for options in _sources(report.options):
        if options["kind"] == "qlib" and report.files[Path(options["root"])].error:
            continue
        source = build_source(options["kind"], {k: v for k, v in options.items() if k != "kind"})
        if hasattr(source, "watch"):
            source.watch = watch
        try:
            days |= set(np.asarray(source.days()).astype("datetime64[D]").tolist())
        except MgError as error:
            _not_written(report, source.name, "all days", str(error))
            continue
        sources.append(source)
        usable.append(options)
    whole: Source | None = sources[0] if sources else None
    if len(sources) > 1:
        whole = build_source("composite", {"sources": usable})
        whole.sources = tuple(sources)  # type: ignore[attr-defined]
    return Opened(sources, whole, sorted(days), watch)


def ingest(
    report: Report,
    found: Iterable[Recognised],
    opened: Opened,
    write: Write | None = None,
    since: dt.date | None = None,
    until: dt.date | None = None,
    tell: Tell | None = None,
    known: Container[str] | None = None,
) -> Report:
    """Read what a survey recognised, day by day, and complete its report.

    Parameters
    ----------
    report, found
        As :func:`survey` gave them.
    opened : Opened
    write : callable, optional
        Keeps a day's table; by default everything is read and nothing kept.
    since, until : date, optional
        Files of days outside are not looked into; daily histories are read whole.
    tell : callable, optional
        Told of progress.
    known : container of str, optional
        Keys that the lake has partitions for; days outside are left out and listed.
    """
    began = time.perf_counter()
    watch, whole = opened.watch, opened.whole
    days = [d for d in opened.days if (since is None or d >= since) and (until is None or d <= until)]
    if known is not None:
        report.left_out = [d for d in days if d.isoformat() not in known]
        days = [d for d in days if d.isoformat() in known]
    seen: set[tuple[str, int, str]] = set()
    by_day = _by_day(found)
    told: set[Path] = set()
    for done, day in enumerate(days, 1):
        if whole is not None:
            _one_day(whole, opened.sources, day, report, write, seen)
        for path in _news(watch, report, told, by_day.get(day, ())):
            if tell is not None:
                tell(done, len(days), report.files[path])
        if tell is not None:
            tell(done, len(days), None)
    for path in _news(watch, report, told, set(watch.files)):
        if tell is not None:
            tell(len(days), len(days), report.files[path])
    for entry in report.files.values():
        if entry.rows < 0 and not entry.error and "qlib" not in entry.what:
            entry.passed_by = True  # outside the days asked for, or another form of the day counts
    report.seconds = time.perf_counter() - began
    return report


def _sources(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(options["sources"]) if options.get("kind") == "composite" else [dict(options)] if options else []


def _by_day(found: Iterable[Recognised]) -> dict[dt.date, set[Path]]:
    out: dict[dt.date, set[Path]] = {}
    for one in found:
        if one.day is not None:
            out.setdefault(one.day, set()).add(one.path)
    return out


def _one_day(
    whole: Source, sources: list[Source], day: dt.date, report: Report, write: Write | None, seen: set
) -> None:
    key = day.isoformat()
    loaded: dict[str, Loaded | MgError] = {}
    for source in sources:
        together = getattr(source, "load_day", None)
        if together is not None:
            for table, got in together(day).items():
                loaded.setdefault(table, got)
    for table in TABLES:
        got = loaded.get(table)
        if got is None and table not in ("trades", "orders"):
            try:
                got = whole.load(table, day) if whole.has(table, day) else None
            except MgError as error:
                got = error
        if got is None:
            continue
        if isinstance(got, MgError):
            _not_written(report, table, key, str(got))
            continue
        kept = write is not None and _belongs(table, loaded)
        try:
            if write is not None and kept:
                write(whole, table, key, got)
            quarantine, rows = got.quarantine, got.rows  # a large day's are known once its rows went by
        except (MgError, OSError) as error:
            report.unwritten[table, key] = f"could not be {'written' if kept else 'read'}: {error}"
            continue
        _count_set_aside(quarantine, report, seen)
        report.rows[table] += rows
        if kept:
            report.written.setdefault(table, []).append(key)


def _belongs(table: str, loaded: Mapping[str, object]) -> bool:
    """Whether the graph takes the table from the source: minute bars of a day with trades are made from these."""
    return table != "minute_bars" or isinstance(loaded.get("trades"), MgError | None)


def _not_written(report: Report, table: str, key: str, error: str) -> None:
    """Note why a table is not written; an error that names a file is the file's."""
    report.unwritten[table, key] = error
    for path, entry in report.files.items():
        if entry.rows < 0 and not entry.error and str(path) in error:
            entry.error = error


def _count_set_aside(quarantine: pd.DataFrame, report: Report, seen: set[tuple[str, int, str]]) -> None:
    """Add rows set aside to their files; a row of a file of many days is met on each, and counts once."""
    for file, row, reason in zip(quarantine["file"], quarantine["row"], quarantine["reason"], strict=True):
        entry = report.files.get(Path(str(file)))
        if entry is not None and (file, row, reason) not in seen:
            seen.add((file, row, reason))
            entry.reasons[reason] += 1


def _news(watch: Watch, report: Report, told: set[Path], wanted: Iterable[Path]) -> list[Path]:
    """Files that were read since the last time, with what their reader said."""
    fresh = [p for p in list(watch.files) if p not in told and (p in wanted or report.files.get(p) is not None)]
    for path in fresh:
        read, entry = watch.files[path], report.files.setdefault(path, FileReport(path))
        entry.rows, entry.others, entry.seconds = read.rows, read.others, read.seconds
        entry.error = "" if read.error is None else str(read.error)
        if not entry.what:  # a table that a preset has beside its bars: membership, weights, industry
            entry.what, entry.passed_by = "preset's further table", False
        told.add(path)
    return fresh


__all__ = ["TABLES", "FileReport", "Opened", "Report", "ingest", "open_sources", "survey"]
