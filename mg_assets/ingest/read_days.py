"""Read a folder of anybody's market data into the lake, and report what became of every file.

1. Walk the folder and recognise each file (:mod:`mg_assets.ingest.discover`, :mod:`mg_assets.ingest.recognise`).
2. Build the source that reads what was found, with the options that a settings file would hold.
3. Day by day, read every file once, write the raw tables as the assets would (same writer, same source marks, so that
   ``mg run`` finds them up to date), and move invalid rows to the quarantine. A day's table one of whose files cannot
   be read is not written; the other days and tables are.
4. Report per file: what it is, its rows, how many are invalid and why, seconds.

Nothing here knows Dagster; :mod:`mg_assets.cli.ingest` passes in what writes a table and reports to the graph.
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
from mg_assets.ingest.discover import DATASETS, FileReport, IngestReport
from mg_assets.ingest.recognise import Recognised
from mg_assets.sources import build_source
from mg_assets.sources.base import TICKS, Loaded, Source
from mg_assets.sources.io.read_log import ReadLog

TABLES = ("trades", "orders", "reference", "minute_bars", "daily_bars")
"""Tables that come from a source, in the order of the graph."""

Write = Callable[[Source, str, str, Loaded], None]
"""Keeps one day's table: source, table, key, what was loaded."""
OnProgress = Callable[[int, int, FileReport | None], None]
"""Called with the days done, of how many, and a file that was read (None after each day)."""


@dataclass
class OpenedSources:
    """The sources of the discovered files, ready to be read.

    Attributes
    ----------
    sources : list of Source
        Those that can be read at all.
    whole : Source or None
        All of them as one, as a deployment would have them.
    days : list of date
        Days that any of them covers, ascending.
    read_log : ReadLog
    """

    sources: list[Source]
    whole: Source | None
    days: list[dt.date]
    read_log: ReadLog


def open_sources(report: IngestReport) -> OpenedSources:
    """Build the sources of the discovered files; an error of a whole source becomes that of its files."""
    read_log = ReadLog(continue_on_error=True)
    sources: list[Source] = []
    usable: list[dict[str, Any]] = []
    days: set[dt.date] = set()
    for options in _sources(report.options):
        if options["kind"] in DATASETS and report.files[Path(options["root"])].error:
            continue
        source = build_source(options["kind"], {k: v for k, v in options.items() if k != "kind"})
        if hasattr(source, "read_log"):
            source.read_log = read_log
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
    return OpenedSources(sources, whole, sorted(days), read_log)


def ingest_days(
    report: IngestReport,
    found: Iterable[Recognised],
    opened: OpenedSources,
    write: Write | None = None,
    since: dt.date | None = None,
    until: dt.date | None = None,
    on_progress: OnProgress | None = None,
    partition_keys: Container[str] | None = None,
) -> IngestReport:
    """Read the discovered files, day by day, and complete their report.

    Parameters
    ----------
    report : IngestReport
        As :func:`~mg_assets.ingest.discover.discover_files` gave it; completed in place.
    found : iterable of Recognised
        As :func:`~mg_assets.ingest.discover.discover_files` gave them.
    opened : OpenedSources
    write : callable, optional
        Keeps a day's table; by default everything is read and nothing kept.
    since, until : date, optional
        Files of days outside are not opened; daily histories are read whole.
    on_progress : callable, optional
    partition_keys : container of str, optional
        Keys of the lake's partitions; days outside are left out and listed.

    Returns
    -------
    IngestReport
        ``report``.
    """
    began = time.perf_counter()
    notify: OnProgress = on_progress or (lambda done, total, file: None)
    days = [d for d in opened.days if (since is None or d >= since) and (until is None or d <= until)]
    if partition_keys is not None:
        report.left_out = [d for d in days if d.isoformat() not in partition_keys]
        days = [d for d in days if d.isoformat() in partition_keys]
    seen: set[tuple[str, int, str]] = set()
    reported: set[Path] = set()
    by_day = _by_day(found)
    for done, day in enumerate(days, 1):
        if opened.whole is not None:
            _one_day(opened.whole, opened.sources, day, report, write, seen)
        for path in _newly_read(opened.read_log, report, reported, by_day.get(day, ())):
            notify(done, len(days), report.files[path])
        notify(done, len(days), None)
    for path in _newly_read(opened.read_log, report, reported, set(opened.read_log.files)):
        notify(len(days), len(days), report.files[path])
    for entry in report.files.values():
        if entry.rows < 0 and not entry.error and not entry.what.endswith(" dataset"):
            entry.skipped = True  # outside the days asked for, or another form of the day counts
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
    whole: Source, sources: list[Source], day: dt.date, report: IngestReport, write: Write | None, seen: set
) -> None:
    ticks: dict[str, Loaded | MgError] = {}
    for source in sources:
        load_day = getattr(source, "load_day", None)
        if load_day is not None:
            ticks = {**load_day(day), **ticks}
    for table in TABLES:
        loaded = ticks.get(table) if table in TICKS else _load(whole, table, day)
        if isinstance(loaded, MgError):
            _not_written(report, table, day.isoformat(), str(loaded))
        elif loaded is not None:
            keep = write if _belongs(table, ticks) else None
            _one_table(whole, table, day.isoformat(), loaded, report, keep, seen)


def _load(source: Source, table: str, day: dt.date) -> Loaded | MgError | None:
    """The day's table, or its error; None where the source has none."""
    try:
        return source.load(table, day) if source.has(table, day) else None
    except MgError as error:
        return error


def _one_table(
    source: Source, table: str, key: str, loaded: Loaded, report: IngestReport, write: Write | None, seen: set
) -> None:
    """Write a day's table, or make a pass over its rows, and count them."""
    try:
        if write is not None:
            write(source, table, key, loaded)
        quarantine, rows = loaded.quarantine, loaded.rows  # a streamed day's are known after a pass over its rows
    except (MgError, OSError) as error:
        report.unwritten[table, key] = f"could not be {'written' if write is not None else 'read'}: {error}"
        return
    _count_set_aside(quarantine, report, seen)
    report.rows[table] += rows
    if write is not None:
        report.written.setdefault(table, []).append(key)


def _belongs(table: str, loaded: Mapping[str, object]) -> bool:
    """Whether the graph takes the table from the source: minute bars of a day with trades are derived from these."""
    return table != "minute_bars" or isinstance(loaded.get("trades"), MgError | None)


def _not_written(report: IngestReport, table: str, key: str, error: str) -> None:
    """Note why a table is not written; an error that names a file is the file's."""
    report.unwritten[table, key] = error
    for path, entry in report.files.items():
        if entry.rows < 0 and not entry.error and str(path) in error:
            entry.error = error


def _count_set_aside(quarantine: pd.DataFrame, report: IngestReport, seen: set[tuple[str, int, str]]) -> None:
    """Add invalid rows to their files' counts; a row of a file of many days occurs on each, and counts once."""
    for file, row, reason in zip(quarantine["file"], quarantine["row"], quarantine["reason"], strict=True):
        entry = report.files.get(Path(str(file)))
        if entry is not None and (file, row, reason) not in seen:
            seen.add((file, row, reason))
            entry.reasons[reason] += 1


def _newly_read(read_log: ReadLog, report: IngestReport, reported: set[Path], wanted: Iterable[Path]) -> list[Path]:
    """Files that were read since the last call; the read log's figures are copied to the report."""
    fresh = [p for p in list(read_log.files) if p not in reported and (p in wanted or p in report.files)]
    for path in fresh:
        read, entry = read_log.files[path], report.files.setdefault(path, FileReport(path))
        unknown = bool(entry.error)  # not recognised, and read since a pattern of others finds it too
        entry.rows, entry.others, entry.seconds = read.rows, read.others, read.seconds
        entry.error, entry.remarks = "" if read.error is None else str(read.error), read.remarks
        if not entry.what and not unknown:  # a table that a preset has beside its bars: membership, weights, industry
            entry.what, entry.skipped = "preset's further table", False
        reported.add(path)
    return fresh
