"""``mg ingest FOLDER``: what :mod:`mg_assets.ingest.ingest` does, on a terminal and in the graph's lake.

The lake gets a settings file of its own (``<lake>/settings.yaml``: the source, the lake, the days), so that
``MG_SETTINGS=<lake>/settings.yaml mg run`` goes on from there and the UI shows what was ingested.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from mg_assets.errors import MgError
from mg_assets.ingest.ingest import TABLES, FileReport, Opened, Report, Write, ingest, open_sources, survey
from mg_assets.settings import CHECKOUT
from mg_assets.sources.base import Loaded, Source

MANY = 300
"""With more files than this, only those with something to say are listed."""
REASONS = 4
LISTED = 10


def run(
    chosen: argparse.Namespace, line: Callable[[str], None], progress: Callable[[str, int, int, float], None]
) -> int:
    """Ingest a folder; 0 where every table was read, 1 where a file could not be, 2 where nothing was recognised."""
    began = time.monotonic()
    folder = Path(chosen.folder).expanduser().resolve()
    try:
        report, found = survey(folder, chosen.source)
    except MgError as error:
        line(str(error))
        return 2
    tables = [f for f in report.files.values() if not f.passed_by]
    line(f"{folder}: {len(report.files)} files, {len(found)} recognised, {len(report.files) - len(tables)} passed by")
    if not report.options:
        _failures(report, line)
        line("nothing was recognised; docs/sources.md tells which files are, and how to map others")
        return 2
    opened = open_sources(report)
    write, lake, known = None, "", None
    if not chosen.dry_run:
        lake = chosen.lake or f"lake/{folder.name}"
        try:
            write, known = _prepare(lake, report, opened)
        except MgError as error:
            line(str(error))
            return 2
    many = len(tables) > MANY

    def tell(done: int, total: int, file: FileReport | None) -> None:
        if file is None:
            progress("days", done, total, 0.0)
        elif not many or file.error or file.reasons:
            line(describe(file, folder))

    ingest(report, found, opened, write, chosen.since, chosen.until, tell, known)
    if many:
        line(f"{len(tables)} files; only those with something to say are listed above")
    _failures(report, line, told=True)
    for text in report.by_kind().to_string(index=False, float_format="{:.2f}".format).splitlines():
        line(text)
    if report.left_out:
        first, last = report.left_out[0], report.left_out[-1]
        line(f"{len(report.left_out)} days are no partitions of the lake ({first}..{last}): left out")
    for table in TABLES:
        keys = report.written.get(table, [])
        if keys:
            line(f"{table}: {len(keys)} days {keys[0]}..{keys[-1]}, {report.rows[table]:,} rows written to {lake}")
    _unwritten(report, line)
    if write is not None:
        _finish(lake, report, line)
    line(f"done in {time.monotonic() - began:.1f} s" + (", nothing written (dry run)" if chosen.dry_run else ""))
    return 1 if report.failed or report.unwritten else 0


def describe(file: FileReport, folder: Path) -> str:
    """One line on one file."""
    name = file.path.relative_to(folder).as_posix() if file.path.is_relative_to(folder) else str(file.path)
    head = f"{name}  [{file.what or 'not recognised'}]"
    if file.error:
        return f"{head}  NOT READ: {file.error}"
    said = [f"{file.rows:,} rows"]
    if file.others:
        said.append(f"{file.others:,} of other securities")
    if file.reasons:
        top = [f"{reason} {count:,}" for reason, count in file.reasons.most_common(REASONS)]
        more = len(file.reasons) - REASONS
        said.append(f"{file.set_aside:,} set aside ({', '.join(top)}{f', {more} further reasons' if more > 0 else ''})")
    return f"{head}  {', '.join(said)}, {file.seconds:.2f} s"


def _failures(report: Report, line: Callable[[str], None], told: bool = False) -> None:
    for file in report.failed:
        if not told or not file.seconds or file.rows < 0:
            line(f"NOT READ: {file.error}")


def _unwritten(report: Report, line: Callable[[str], None]) -> None:
    """Days whose tables were not written, and why, once per reason."""
    reasons: dict[str, list[str]] = {}
    for (table, key), why in report.unwritten.items():
        reasons.setdefault(why, []).append(f"{table} {key}")
    for why, places in list(reasons.items())[:LISTED]:
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""
        line(f"not written: {', '.join(places[:3])}{more}: {why}")
    if len(reasons) > LISTED:
        line(f"and for {len(reasons) - LISTED} further reasons")


def _settings_file(lake: str) -> Path:
    return (CHECKOUT / Path(lake).expanduser()).resolve() / "settings.yaml"


def _prepare(lake: str, report: Report, opened: Opened) -> tuple[Write, set[str]]:
    """Write the lake's settings, point the process to them, and make what keeps a table.

    Raises
    ------
    MgError
        The lake is on an object store, or was filled from another source.
    """
    if "://" in lake:
        raise MgError(f"--lake was {lake}; a folder was expected: ingest into a folder and copy it to the object store")
    file = _settings_file(lake)
    held: dict[str, Any] = (yaml.safe_load(file.read_text()) or {}) if file.exists() else {}
    if held.get("source") not in (None, report.options):
        raise MgError(
            f"{file} says that this lake is filled from another source; choose another --lake, or list both sources "
            "under a composite there (docs/sources.md)"
        )
    held |= {"lake": str(file.parent), "source": report.options}
    if opened.days:  # the graph's partitions end there
        held["end_date"] = max(str(held.get("end_date", "")), str(opened.days[-1]))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(held, sort_keys=False, allow_unicode=True))
    os.environ["MG_SETTINGS"] = str(file)

    from mg_assets.cli.main import prepare_home
    from mg_assets.settings import settings

    settings.cache_clear()
    prepare_home(settings())

    import dagster as dg

    import mg_assets.assets  # noqa: F401  (the tables register themselves)
    from mg_assets.cli.main import partition_keys
    from mg_assets.lake.store import Lake
    from mg_assets.orchestration.staleness import TABLES as REGISTERED
    from mg_assets.orchestration.staleness import recipe, source_mark
    from mg_assets.sources.daily.mapping import VOLUME_STEP

    store, instance = Lake(settings().lake_url), dg.DagsterInstance.get()

    def write(source: Source, table: str, key: str, loaded: Loaded) -> None:
        kept: dict[str, object] = {"recipe": recipe(table)}
        if REGISTERED[table].raw:
            kept["source"] = source_mark(source, table, key)
        if VOLUME_STEP in loaded.notes:
            kept[VOLUME_STEP] = loaded.notes[VOLUME_STEP]
        store.write(table, key, loaded.data, kept)
        if len(loaded.quarantine):
            store.write(f"quarantine_{table}", key, loaded.quarantine)
        else:
            store.remove(f"quarantine_{table}", key)
        metadata: dict[str, Any] = {"dagster/partition_row_count": loaded.rows, "by": "mg ingest"}
        metadata["set_aside"] = len(loaded.quarantine)
        instance.report_runless_asset_event(dg.AssetMaterialization(table, partition=key, metadata=metadata))

    return write, set(partition_keys("trades"))


def _finish(lake: str, report: Report, line: Callable[[str], None]) -> None:
    """Check what was written, complete the settings, and say what comes next."""
    from mg_assets.lake.store import Lake
    from mg_assets.market.calendar import trading_days
    from mg_assets.orchestration.checks import judge
    from mg_assets.quality.runner import run_suite
    from mg_assets.settings import settings

    store = Lake(settings().lake_url)
    for table in TABLES:
        keys = report.written.get(table, [])
        if not keys:
            continue
        outcomes = run_suite(table, store, keys)
        judge(table, store, keys, outcomes)
        for outcome in outcomes:
            if not outcome.passed:
                bad = outcome.observed["bad_partitions"]
                kind = "check" if outcome.blocking else "warning"
                where = f"{len(bad)} of {len(keys)} days, first {bad[0]}"
                line(f"{kind} {table}.{outcome.name}: {where}: {outcome.description}")
    file = _settings_file(lake)
    held = yaml.safe_load(file.read_text())
    ticks = sorted(store.keys("trades"))
    every = sorted({k for t in TABLES for k in store.keys(t)})
    if every:
        span: dict[str, Any] = {**held.get("run", {}), "daily_from": every[0], "until": every[-1]}
        if ticks and len(ticks) == len(trading_days(ticks[0], every[-1])):
            span |= {"ticks_from": ticks[0]}
        elif ticks:
            span |= {"tick_days": ticks}
        file.write_text(yaml.safe_dump({**held, "run": span}, sort_keys=False, allow_unicode=True))
    line(f"go on with: MG_SETTINGS={file} mg run")
