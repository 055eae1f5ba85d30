"""Starts Dagster runs from a terminal: the one file of the command line that imports Dagster.

1. Mark the runs of killed processes as failed.
2. For each step of the plan, find the partitions that are absent or stale and build them in ranges.
3. Report each run to the instance that the UI shows.
"""

import time
from collections.abc import Iterable
from typing import Any

import dagster as dg

from mg_assets.assets import ASSETS, TABLES
from mg_assets.cli import warmup
from mg_assets.cli.plan import BuildStep, partition_keys, partition_ranges, run_steps
from mg_assets.cli.screen import Screen
from mg_assets.definitions import CHECKS, RESOURCES
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import half_year_start
from mg_assets.orchestration import lake_asset
from mg_assets.orchestration.orphaned_runs import end_orphaned_runs, process_tag
from mg_assets.orchestration.partitions import HALF_YEARLY
from mg_assets.settings import Settings
from mg_assets.sources import build_source
from mg_assets.sources.base import Source

PASSES = 3  # over a step: a table may become stale by what the step has just built


def build_steps(config: Settings, screen: Screen) -> dict[str, float]:
    """Build every step's missing and stale partitions.

    Parameters
    ----------
    config : Settings
    screen : Screen
        Shows the steps and their progress.

    Returns
    -------
    dict of str to float
        Seconds of each step that has partitions, by title.
    """
    lake_asset.on_progress = screen.progress
    lake_asset.on_message = screen.message
    if warmup.start():
        screen.line("first run of these sources: compiling their kernels in the background, a minute or two")
    lake, source = Lake(config.lake_url), build_source(config.source.kind, config.source.options)
    instance = dg.DagsterInstance.get()
    for run in end_orphaned_runs(instance):
        screen.line(f"run {run} was cut off: it is marked as failed, what it finished is kept")
    for path in lake.remove_abandoned():
        screen.line(f"{path} was left by a write that was killed: it is removed")
    spent: dict[str, float] = {}
    for number, step in enumerate(run_steps(config, source), 1):
        if not step.keys or not step.tables:
            continue
        began = time.monotonic()
        built = _build_step(f"{number}. {step.title}", step, lake, source, instance, screen)
        spent[step.title] = time.monotonic() - began
        screen.line(f"   done in {spent[step.title]:.0f} s" if built else f"{number}. {step.title}: up to date")
    return spent


def _build_step(
    title: str, step: BuildStep, lake: Lake, source: Source, instance: dg.DagsterInstance, screen: Screen
) -> bool:
    """Build a step's stale partitions; whether there were any."""
    for attempt in range(PASSES):
        stale = {t: TABLES.stale(lake, source, t, step.keys) for t in step.tables}
        keys = {k for found in stale.values() for k in found}
        if not keys:
            return attempt > 0
        if attempt == 0:
            count = sum(map(bool, stale.values()))
            screen.line(f"{title}: {len(keys)} of {len(step.keys)} partitions of {count} tables")
        for tables, first, last in partition_ranges(stale, partition_keys(step.tables[0])):
            _materialise(instance, tables, first, last)
    return True


def _materialise(instance: dg.DagsterInstance, tables: Iterable[str], first: str, last: str) -> None:
    """Run Dagster on a range of partitions of the tables."""
    names = list(tables)
    definition = TABLES[names[0]].definition
    tags = process_tag()
    if definition is not None:
        ends = [first, last]
        if definition == HALF_YEARLY:
            ends = [half_year_start(half).isoformat() for half in ends]
        tags |= {"dagster/asset_partition_range_start": ends[0], "dagster/asset_partition_range_end": ends[1]}
    result = dg.materialize(
        [*ASSETS, *CHECKS],
        selection=dg.AssetSelection.assets(*names),
        instance=instance,
        tags=tags,
        resources=RESOURCES,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )
    if not result.success:
        reasons = "\n".join(f"  {e.step_key}: {_reason(e)}" for e in result.all_events if e.is_step_failure)
        raise SystemExit(f"run {result.run_id} failed for {first}..{last}:\n{reasons}\nmake ui shows the whole log")


def _reason(event: dg.DagsterEvent) -> str:
    """What the asset's own code raised, without Dagster's wrapping."""
    error = event.step_failure_data.error
    if error is not None and error.cls_name == "DagsterExecutionStepExecutionError" and error.cause is not None:
        error = error.cause
    return error.message.strip() if error is not None else event.message or ""


class IngestReporter:
    """Reports tables that were written outside a run to the Dagster instance of ``DAGSTER_HOME``."""

    def __init__(self) -> None:
        self._instance = dg.DagsterInstance.get()

    def report(self, table: str, key: str, rows: int, invalid: int) -> None:
        """Report one partition as materialised."""
        metadata: dict[str, Any] = {"dagster/partition_row_count": rows, "by": "mg ingest", "quarantined_rows": invalid}
        self._instance.report_runless_asset_event(dg.AssetMaterialization(table, partition=key, metadata=metadata))
