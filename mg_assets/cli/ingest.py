"""``mg ingest FOLDER``: read a folder of a vendor's files into a lake of the graph, and report on each file.

The lake gets a settings file of its own (``<lake>/settings.yaml``: the source, the lake, the days), so that
``MG_SETTINGS=<lake>/settings.yaml mg run`` continues from there and the UI shows what was ingested.
"""

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mg_assets.cli.arguments import day, require_order
from mg_assets.cli.screen import Screen
from mg_assets.errors import DataError, SourceError
from mg_assets.settings import CHECKOUT, read_settings_file, settings, write_settings_file

if TYPE_CHECKING:  # pandas and the sources are loaded only when files are read
    from mg_assets.ingest.discover import FileReport, IngestReport
    from mg_assets.ingest.read_days import OpenedSources, Write
    from mg_assets.lake.store import Lake
    from mg_assets.sources.base import Loaded, Source

KINDS = "tonglian, huatai, exchange, qlib, mapped, or a preset: baostock, tushare, ..."
MANY = 300
"""With more files than this, only those with an error or invalid rows are listed."""
REASONS = 4
LISTED = 10


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg ingest`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "ingest",
        help="read a folder of a vendor's files into a lake, and report on each",
        description="Recognise and read every file of a folder, write the raw tables and a settings file to a lake, "
        "and report on each file: rows, invalid rows with reasons, errors. Exit code 1 where a file could not be read.",
    )
    parser.add_argument(
        "folder", type=Path, help="folder of the files, packed or plain; ticks with dates in their paths"
    )
    parser.add_argument("--source", metavar="KIND", help=f"only files of this kind ({KINDS})")
    parser.add_argument("--from", dest="since", type=day, metavar="DAY", help="first day, 2023-02-01")
    parser.add_argument("--to", dest="until", type=day, metavar="DAY", help="last day")
    parser.add_argument("--lake", help="folder of the lake; by default lake/NAME of the folder")
    parser.add_argument("--dry-run", action="store_true", help="read and report on everything, write nothing")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Ingest a folder; 0 where every table was read, 1 where a file could not be."""
    from mg_assets.ingest.discover import discover_files
    from mg_assets.ingest.read_days import ingest_days, open_sources

    require_order(chosen.since, chosen.until)
    screen = Screen()
    folder = chosen.folder.expanduser().resolve()
    report, found = discover_files(folder, chosen.source)
    tables = [f for f in report.files.values() if not f.skipped]
    skipped = len(report.files) - len(tables)
    screen.line(f"{folder}: {len(report.files)} files, {len(found)} recognised, {skipped} skipped")
    if not report.options:
        _show_unread(report, screen)
        raise SourceError("nothing was recognised; docs/sources.md lists which files are, and how to map others")
    opened = open_sources(report)
    lake = chosen.lake or f"lake/{folder.name}"
    write: Write | None = None
    partitions: set[str] | None = None
    if not chosen.dry_run:
        write, partitions = _prepare(lake, report, opened)
    listed = len(tables) <= MANY

    def on_progress(done: int, total: int, file: "FileReport | None") -> None:
        if file is None:
            screen.progress("days", done, total, 0.0)
        elif listed or file.error or file.reasons:
            screen.line(describe(file, folder))

    ingest_days(report, found, opened, write, chosen.since, chosen.until, on_progress, partitions)
    if not listed:
        screen.line(f"{len(tables)} files; only those with an error or invalid rows are listed above")
    _show_report(report, lake, screen)
    if write is not None:
        _check(report, screen)
        screen.line(f"continue with: MG_SETTINGS={_complete_settings(lake)} mg run")
    note = ", nothing written (dry run)" if chosen.dry_run else ""
    screen.line(f"done in {time.monotonic() - screen.began:.1f} s{note}")
    return 1 if report.failed or report.unwritten else 0


def describe(file: "FileReport", folder: Path) -> str:
    """One line on one file."""
    name = file.path.relative_to(folder).as_posix() if file.path.is_relative_to(folder) else str(file.path)
    head = f"{name}  [{file.what or 'not recognised'}]"
    if file.error:
        return f"{head}  NOT READ: {file.error}"
    parts = [f"{file.rows:,} rows"]
    if file.others:
        parts.append(f"{file.others:,} of other securities")
    if file.reasons:
        top = [f"{reason} {count:,}" for reason, count in file.reasons.most_common(REASONS)]
        more = len(file.reasons) - REASONS
        further = f", {more} further reasons" if more > 0 else ""
        parts.append(f"{file.set_aside:,} set aside ({', '.join(top)}{further})")
    return f"{head}  {', '.join(parts)}, {file.seconds:.2f} s"


def _show_report(report: "IngestReport", lake: str, screen: Screen) -> None:
    """What was read, left out, written and not written."""
    from mg_assets.ingest.read_days import TABLES

    _show_unread(report, screen, already_reported=True)
    for text in report.by_kind().to_string(index=False, float_format="{:.2f}".format).splitlines():
        screen.line(text)
    if report.left_out:
        first, last = report.left_out[0], report.left_out[-1]
        screen.line(f"{len(report.left_out)} days are no partitions of the lake ({first}..{last}): left out")
    for table in TABLES:
        keys = report.written.get(table, [])
        if keys:
            rows = f"{report.rows[table]:,} rows written to {lake}"
            screen.line(f"{table}: {len(keys)} days {keys[0]}..{keys[-1]}, {rows}")
    _show_unwritten(report, screen)


def _show_unread(report: "IngestReport", screen: Screen, already_reported: bool = False) -> None:
    """Files that could not be read; only those that the progress did not list where the others are reported."""
    for file in report.failed:
        if not already_reported or not file.seconds or file.rows < 0:
            screen.line(f"NOT READ: {file.error}")


def _show_unwritten(report: "IngestReport", screen: Screen) -> None:
    """Days whose tables were not written, and why, once per reason."""
    reasons: dict[str, list[str]] = {}
    for (table, key), why in report.unwritten.items():
        reasons.setdefault(why, []).append(f"{table} {key}")
    for why, partitions in list(reasons.items())[:LISTED]:
        more = f" and {len(partitions) - 3} more" if len(partitions) > 3 else ""
        screen.line(f"not written: {', '.join(partitions[:3])}{more}: {why}")
    if len(reasons) > LISTED:
        screen.line(f"and for {len(reasons) - LISTED} further reasons")


def _settings_file(lake: str) -> Path:
    return (CHECKOUT / Path(lake).expanduser()).resolve() / "settings.yaml"


def _prepare(lake: str, report: "IngestReport", opened: "OpenedSources") -> "tuple[Write, set[str]]":
    """Write the lake's settings and point the process to them; what writes a table, and the lake's daily keys."""
    if "://" in lake:
        raise DataError(
            f"--lake was {lake}; a folder was expected: ingest into a folder and copy it to the object store"
        )
    file = _settings_file(lake)
    values = read_settings_file(file)
    if values.get("source") not in (None, report.options):
        raise DataError(
            f"{file} says that this lake is filled from another source; choose another --lake, or list both sources "
            "under a composite there (docs/sources.md)"
        )
    values |= {"lake": str(file.parent), "source": report.options}
    if opened.days:  # the graph's partitions end there
        values["end_date"] = max(str(values.get("end_date", "")), str(opened.days[-1]))
    write_settings_file(file, values)
    os.environ["MG_SETTINGS"] = str(file)
    settings.cache_clear()

    from mg_assets.cli.home import prepare_home

    prepare_home(settings())

    from mg_assets.cli.plan import partition_keys
    from mg_assets.lake.store import Lake

    return _writer(Lake(settings().lake_url)), set(partition_keys("trades"))


def _writer(lake: "Lake") -> "Write":
    """What writes a day's table as its asset would, and reports it to the Dagster instance of the lake."""
    from mg_assets.assets import TABLES
    from mg_assets.cli.build import IngestReporter
    from mg_assets.sources.daily.mapping import VOLUME_STEP
    from mg_assets.sources.recorded import marks_of

    reporter = IngestReporter()

    def write(source: "Source", table: str, key: str, loaded: "Loaded") -> None:
        marks = marks_of(source, table, key)  # nothing of the lake was read
        stored: dict[str, object] = {"recipe": TABLES.recipe(table), "inputs": {}, "source": marks}
        if VOLUME_STEP in loaded.notes:
            stored[VOLUME_STEP] = loaded.notes[VOLUME_STEP]
        lake.write(table, key, loaded.data, stored)
        if len(loaded.quarantine):
            lake.write(f"quarantine_{table}", key, loaded.quarantine)
        else:
            lake.remove(f"quarantine_{table}", key)
        reporter.report(table, key, loaded.rows, len(loaded.quarantine))

    return write


def _check(report: "IngestReport", screen: Screen) -> None:
    """Run the quality suites on what was written, and record what they reject."""
    from mg_assets.ingest.read_days import TABLES
    from mg_assets.lake.store import Lake
    from mg_assets.orchestration.checks import record_outcomes
    from mg_assets.quality.runner import run_suite

    lake = Lake(settings().lake_url)
    for table in TABLES:
        keys = report.written.get(table, [])
        if not keys:
            continue
        outcomes = run_suite(table, lake, keys)
        record_outcomes(table, lake, keys, outcomes)
        for outcome in outcomes:
            if not outcome.passed:
                bad = outcome.observed["bad_partitions"]
                kind = "check" if outcome.blocking else "warning"
                days = f"{len(bad)} of {len(keys)} days, first {bad[0]}"
                screen.line(f"{kind} {table}.{outcome.name}: {days}: {outcome.description}")


def _complete_settings(lake: str) -> Path:
    """Add the days that the lake has to its settings; returns their file."""
    from mg_assets.ingest.read_days import TABLES
    from mg_assets.lake.store import Lake
    from mg_assets.market.calendar import trading_days

    store, file = Lake(settings().lake_url), _settings_file(lake)
    ticks = sorted(store.keys("trades"))
    every = sorted({k for t in TABLES for k in store.keys(t)})
    if every:
        values = read_settings_file(file)
        span: dict[str, Any] = {**values.get("run", {}), "daily_from": every[0], "until": every[-1]}
        if ticks and len(ticks) == len(trading_days(ticks[0], every[-1])):
            span |= {"ticks_from": ticks[0]}
        elif ticks:
            span |= {"tick_days": ticks}
        write_settings_file(file, values | {"run": span})
    return file
