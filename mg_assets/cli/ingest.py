"""``mg ingest FOLDER``: read a folder of a vendor's files into a lake of the graph, and report on each file.

The lake gets a settings file of its own (``<lake>/settings.yaml``: the source, the lake, the days, and the catalog,
portfolios, half-years and universes that these data can carry: :mod:`mg_assets.cli.proposal`), so that
``MG_SETTINGS=<lake>/settings.yaml mg run`` continues from there and the UI shows what was ingested. It is written at
the end: an ingest that fails leaves the one from before, or none. That of a lake on an object store is in the folder
``lake/BUCKET_PATH`` of the checkout.
"""

import argparse
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mg_assets.cli.arguments import above_zero, day, require_order
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
UNITS = {"price": "yuan", "volume": "shares", "amount": "yuan"}
REASONS = 4
LISTED = 10
PROPOSED = ".proposed.yaml"
"""What an ingest wrote into a lake's settings: a key that still has this value is the next ingest's to change."""
FOUND = ("kind", "config", "files", "raw_prices", "raw_volume")
"""Options of a source that reading the files decides; the others are the user's."""


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg ingest`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "ingest",
        help="read a folder of a vendor's files into a lake, and report on each",
        description="Recognise and read every file of a folder, write the raw tables and a settings file to a lake, "
        "and report on each file: rows, invalid rows with reasons, errors. Exit code 1 where a file could not be read, "
        "or a blocking check rejects all that was written.",
    )
    parser.add_argument(
        "folder", type=Path, help="folder of the files, packed or plain; ticks with dates in their paths"
    )
    parser.add_argument("--source", metavar="KIND", help=f"only files of this kind ({KINDS})")
    parser.add_argument("--from", dest="since", type=day, metavar="DAY", help="first day, 2023-02-01")
    parser.add_argument("--to", dest="until", type=day, metavar="DAY", help="last day")
    for column, unit in UNITS.items():
        text = f"{unit} per unit of the files' {column}s, where it is not what the vendor documents"
        parser.add_argument(f"--{column}-unit", type=above_zero, metavar="NUMBER", help=text)
    parser.add_argument("--lake", help="folder or URL of the lake; by default lake/NAME of the folder")
    parser.add_argument("--dry-run", action="store_true", help="read and report on everything, write nothing")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Ingest a folder; 0 where every table was read, 1 where a file could not be, or checks reject every day."""
    from mg_assets.ingest.discover import discover_files
    from mg_assets.ingest.read_days import ingest_days, open_sources

    require_order(chosen.since, chosen.until)
    screen = Screen()
    folder = chosen.folder.expanduser().resolve()
    given = {f"{column}_unit": getattr(chosen, f"{column}_unit") for column in UNITS}
    report, found = discover_files(folder, chosen.source, {name: unit for name, unit in given.items() if unit})
    tables = [f for f in report.files.values() if not f.skipped]
    skipped = len(report.files) - len(tables)
    files = f"{len(report.files)} file{'s' * (len(report.files) != 1)}"
    screen.line(f"{folder}: {files}, {len(found)} recognised, {skipped} skipped")
    if not report.options:
        _show_unread(report, screen)
        raise SourceError("nothing was recognised; docs/sources.md lists which files are, and how to map others")
    lake = chosen.lake or f"lake/{folder.name}"
    file = _settings_file(lake)
    report.options = _with_options(report.options, _held(file, report))
    opened = open_sources(report)
    listed = len(tables) <= MANY

    def on_progress(done: int, total: int, file: "FileReport | None") -> None:
        if file is None:
            screen.progress("days", done, total, 0.0)
        elif listed or file.error or file.reasons:
            screen.line(describe(file, folder))

    days, runs = (chosen.since, chosen.until), True
    if chosen.dry_run:
        ingest_days(report, found, opened, None, *days, on_progress)
        _show_report(report, lake, screen, len(tables), listed)
    else:
        with _prepared(lake, file, report, opened) as (write, partitions):
            ingest_days(report, found, opened, write, *days, on_progress, partitions)
            _show_report(report, lake, screen, len(tables), listed)
            _show_left(screen)
            rejected = _check(report, screen)
            if report.written:
                _complete_settings(file, opened, screen)
                runs = _show_next(file, report, rejected, screen)
    note = ", nothing written (dry run)" if chosen.dry_run else ""
    screen.line(f"done in {time.monotonic() - screen.began:.1f} s{note}")
    nothing = bool(_empty(report)) and not any(report.rows.values())
    return 1 if report.failed or report.unwritten or nothing or not runs else 0


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


def _show_report(report: "IngestReport", lake: str, screen: Screen, tables: int, listed: bool) -> None:
    """What was read, left out, written and not written."""
    from mg_assets.ingest.read_days import TABLES

    if not listed:
        screen.line(f"{tables} files; only those with an error or invalid rows are listed above")
    _show_unread(report, screen, already_reported=True)
    for text in report.by_kind().to_string(index=False, float_format="{:.2f}".format).splitlines():
        screen.line(text)
    for remark, count in report.remarks.items():
        screen.line(f"{count} files of {remark}" if count > 1 else f"1 file of {remark}")
    _show_empty(report, screen)
    if report.left_out:
        first, last = report.left_out[0], report.left_out[-1]
        days = "1 day is no partition" if first == last else f"{len(report.left_out)} days are no partitions"
        screen.line(f"{days} of the lake ({first}..{last}): left out")
    for table in TABLES:
        keys = report.written.get(table, [])
        if keys:
            rows = f"{report.rows[table]:,} rows written to {lake}"
            days = f"{len(keys)} days {keys[0]}..{keys[-1]}" if len(keys) > 1 else f"1 day {keys[0]}"
            screen.line(f"{table}: {days}, {rows}")
    _show_unwritten(report, screen)


def _empty(report: "IngestReport") -> list[Path]:
    """Files with a header and no rows."""
    return sorted(f.path for f in report.files.values() if f.rows == 0 and not f.error and not f.skipped)


def _show_empty(report: "IngestReport", screen: Screen) -> None:
    """Name the files with a header and no rows: of a stock that was not listed yet, or cut off."""
    found = _empty(report)
    if found:
        more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
        named = ", ".join(map(str, found[:LISTED]))
        screen.line(f"NO ROWS below the header: {named}{more}; fetch again what should have some")


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
    """Settings of a lake: in its folder; of one on an object store below ``lake`` of the checkout, by its address."""
    if "://" not in lake:
        return (CHECKOUT / Path(lake).expanduser()).resolve() / "settings.yaml"
    kind, _, address = lake.partition("://")
    names = [quote(name, safe="") for name in (kind, *address.split("/")) if name]
    return CHECKOUT.joinpath("lake", *(n if n.strip(".") else n.replace(".", "%2E") for n in names), "settings.yaml")


def _held(file: Path, report: "IngestReport") -> dict[str, Any]:
    """The source of the lake's settings; refused where it is of another folder than what was found."""
    held = read_settings_file(file).get("source")
    if isinstance(held, Mapping) and not _roots(held) <= _roots(report.options):
        raise DataError(
            f"{file} says that this lake is filled from another source, {', '.join(sorted(_roots(held)))}; choose "
            "another --lake, or list both sources under a composite there (docs/sources.md)"
        )
    return dict(held) if isinstance(held, Mapping) else {}


def _parts(source: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The sources of a composite, or the one that it is."""
    return [dict(s) for s in (source["sources"] if source.get("kind") == "composite" else [source]) if s]


def _roots(source: Mapping[str, Any]) -> set[str]:
    return {str(part.get("root", part["kind"])) for part in _parts(source)}


def _with_options(found: dict[str, Any], held: Mapping[str, Any]) -> dict[str, Any]:
    """The source that was found, with what a user had set of it before, such as a price unit."""
    kept = {(p["kind"], p.get("root")): {k: v for k, v in p.items() if k not in FOUND} for p in _parts(held)}
    parts = [{**kept.get((part["kind"], part.get("root")), {}), **part} for part in _parts(found)]
    return {**found, "sources": parts} if found.get("kind") == "composite" else parts[0]


@contextmanager
def _prepared(
    lake: str, file: Path, report: "IngestReport", opened: "OpenedSources"
) -> "Iterator[tuple[Write, set[str]]]":
    """Point the process to settings of the lake; gives what writes a table, and the lake's daily keys.

    They are a file beside those of the lake, which replace them at the end, and go with this process.

    Yields
    ------
    callable and set of str
    """
    from mg_assets.settings.values import FIRST_DAY

    values = {**read_settings_file(file), "lake": lake if "://" in lake else str(file.parent), "source": report.options}
    if opened.days:  # the graph's partitions begin and end there
        values["end_date"] = max(str(values.get("end_date", "")), str(opened.days[-1]))
        first = min(str(values.get("first_day", FIRST_DAY)), str(opened.days[0]))
        values |= {"first_day": first} if first < FIRST_DAY else {}
    kept = ("lake", "source", "first_day", "end_date")
    values = {k: v for k, v in values.items() if k not in _proposed(file) or k in kept}
    beside = file.with_name(f".settings.{os.getpid()}.yaml")
    write_settings_file(beside, values)
    os.environ["MG_SETTINGS"] = str(beside)
    settings.cache_clear()
    try:
        from mg_assets.cli.home import prepare_home

        prepare_home(settings())

        from mg_assets.cli.plan import partition_keys
        from mg_assets.lake.store import Lake

        yield _writer(Lake(settings().lake_url)), set(partition_keys("trades"))
    finally:
        beside.unlink(missing_ok=True)


def _proposed(file: Path) -> dict[str, Any]:
    """What the last ingest wrote into the lake's settings."""
    return read_settings_file(file.with_name(PROPOSED))


def _writer(lake: "Lake") -> "Write":
    """What writes a day's table as its asset would, and reports it to the Dagster instance of the lake."""
    from mg_assets.assets import TABLES
    from mg_assets.cli.build import IngestReporter
    from mg_assets.lake.restatement import Replacement
    from mg_assets.orchestration.orphaned_runs import TAG, process_tag
    from mg_assets.sources.base import stored_notes
    from mg_assets.sources.recorded import marks_of

    reporter = IngestReporter()

    def write(source: "Source", table: str, key: str, loaded: "Loaded") -> None:
        marks = marks_of(source, table, key)  # nothing of the lake was read
        stored = {"recipe": TABLES.recipe(table), "inputs": {}, "source": marks, **stored_notes(loaded)}
        with Replacement(lake, table, key) as replaced:
            lake.write(table, key, loaded.data, stored)
            replaced.record(process_tag()[TAG])
        if len(loaded.quarantine):
            lake.write(f"quarantine_{table}", key, loaded.quarantine)
        else:
            lake.remove(f"quarantine_{table}", key)
        reporter.report(table, key, loaded.rows, len(loaded.quarantine))

    return write


def _show_left(screen: Screen) -> None:
    """Name the stocks that this ingest took out of the lake."""
    from mg_assets.cli.left_stocks import left_stocks
    from mg_assets.lake.store import Lake
    from mg_assets.orchestration.orphaned_runs import TAG, process_tag

    for line in left_stocks(Lake(settings().lake_url), process_tag()[TAG]):
        screen.line(line)


def _check(report: "IngestReport", screen: Screen) -> dict[tuple[str, str], list[str]]:
    """Run the quality suites on what was written, record what they reject, and report them to the lake's Dagster.

    Returns
    -------
    dict of (str, str) to list of str
        By table and blocking check, the days that a run would not read.
    """
    from mg_assets.cli.build import IngestReporter
    from mg_assets.ingest.read_days import TABLES
    from mg_assets.lake.store import Lake
    from mg_assets.orchestration.checks import check_partitions, rejected_partitions

    lake, reporter = Lake(settings().lake_url), IngestReporter()
    rejected: dict[tuple[str, str], list[str]] = {}
    for table in TABLES:
        keys = report.written.get(table, [])
        if not keys:
            continue
        for outcome in check_partitions(table, lake, keys):
            reporter.report_check(table, outcome)
            if not outcome.passed:
                bad = outcome.observed["bad_partitions"]
                kind = "check" if outcome.blocking else "warning"
                if refused := rejected_partitions(table, outcome):
                    rejected[table, outcome.name] = refused
                days = f"{len(bad)} of {len(keys)} day{'s' * (len(keys) > 1)}, first {bad[0]}"
                row = outcome.bad[0] if outcome.bad else {}
                parts = ("symbol", "measure", "observed", "what")
                what = " ".join(str(row[k]) for k in parts if row.get(k) is not None)
                screen.line(f"{kind} {table}.{outcome.name}: {days} ({what}): {outcome.description}")
    return rejected


def _complete_settings(file: Path, opened: "OpenedSources", screen: Screen) -> None:
    """Write the settings that the lake's data can carry, and say what these build and what they leave out."""
    from dataclasses import replace

    from mg_assets.cli.coverage import coverage_of
    from mg_assets.cli.proposal import propose
    from mg_assets.ingest.read_days import TABLES
    from mg_assets.lake.store import Lake

    if opened.whole is None:
        return
    lake = Lake(settings().lake_url)
    keys = {table: lake.keys(table) for table in TABLES}
    every = sorted(set().union(*keys.values()))
    coverage = coverage_of(opened.whole, every[0], every[-1])
    days = {table: tuple(d for d in have if d in set(keys[table])) for table, have in coverage.days.items()}
    coverage = replace(coverage, days=days)
    if not coverage.stocks and coverage.intraday:
        table = "trades" if days["trades"] else "minute_bars"
        coverage = replace(coverage, stocks=(lake.day(table, days[table][-1], ["symbol"])["symbol"].nunique(),))
    found = propose(coverage)
    before, old = _proposed(file), read_settings_file(file)
    run = {**found.settings["run"], **_own(old.get("run", {}), before.get("run", {}))}
    run |= {k: found.settings["run"][k] for k in ("daily_from", "until")}
    own = {k: v for k, v in _own(old, before).items() if k in found.settings and k != "run"}
    values = read_settings_file(Path(os.environ["MG_SETTINGS"]))
    write_settings_file(file, values | found.settings | own | {"run": run})
    write_settings_file(file.with_name(PROPOSED), found.settings)
    if own:
        screen.line(f"kept as {file} has them: {', '.join(own)}; a key taken out there is set by the next ingest")
    for line in found.carries:
        screen.line(f"builds: {line}")
    for line in found.left_out:
        screen.line(f"left out: {line}")


def _show_next(
    file: Path, report: "IngestReport", rejected: Mapping[tuple[str, str], list[str]], screen: Screen
) -> bool:
    """Say how to go on; False where there is nothing that a run would read, as blocking checks reject all of it."""
    refused = {(table, day) for (table, _), days in rejected.items() for day in days}
    written = {(table, day) for table, days in report.written.items() for day in days}
    for (table, check), days in rejected.items():
        first = f"{days[0]} and {len(days) - 1} more" if len(days) > 1 else days[0]
        screen.line(
            f"rejected: {table} of {first}: a run reads no day that {check} rejects; correct its files and ingest "
            f"again, or, where they are right, accept it in {file}: accepted: "
            f"{{{table}: {{{check}: [{', '.join(days[:REASONS])}{', ...' if len(days) > REASONS else ''}]}}}}"
        )
    if refused and refused >= written:
        return False
    screen.line(
        f"continue with: MG_SETTINGS={shlex.quote(str(file))} {_program()} run{' --skip-failed' * bool(refused)}"
    )
    return True


def _program() -> str:
    """What a shell starts ``mg`` by: its name, or the path that it was called by."""
    called = Path(sys.argv[0])
    return shlex.quote(str(called)) if called.name == "mg" and not shutil.which("mg") else "mg"


def _own(old: Mapping[str, Any], proposed: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that are not what the last ingest proposed: the user's."""
    return {k: v for k, v in old.items() if v != proposed.get(k)}
