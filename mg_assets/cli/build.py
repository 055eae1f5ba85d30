"""Starts Dagster runs from a terminal: the one file of the command line that imports Dagster.

1. Mark the runs of killed processes as failed.
2. For each step of the plan, find the partitions that are absent or stale and build them in ranges, in passes: what
   reads a table that was rebuilt is stale once the content has changed.
3. Leave out what failed or was rejected, and what reads it; build the rest.
4. Report each run to the instance that the UI shows.
"""

import fcntl
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

from mg_assets.assets import ASSET_OF, TABLES
from mg_assets.automation import JOBS, job_of
from mg_assets.cli import warmup
from mg_assets.cli.check_results import RunWarnings, failed_check_lines, figure
from mg_assets.cli.estimate import Estimate, duration, seeds_of
from mg_assets.cli.failures import Partition, RunFailures
from mg_assets.cli.plan import BuildStep, check_run, partition_keys, partition_ranges, run_steps
from mg_assets.cli.screen import Screen
from mg_assets.cli.stop_signal import unlost_stop
from mg_assets.definitions import defs
from mg_assets.errors import DamagedPartitionError, SettingsError
from mg_assets.lake.filtered import LakeWithout
from mg_assets.lake.store import Lake
from mg_assets.lake.unchecked import UNCHECKED
from mg_assets.market.calendar import half_year_start
from mg_assets.orchestration import callbacks, checks
from mg_assets.orchestration.failures import one_line
from mg_assets.orchestration.inputs import LakeSnapshot
from mg_assets.orchestration.orphaned_runs import end_orphaned_runs, process_tag
from mg_assets.orchestration.partitions import HALF_YEARLY
from mg_assets.quality.suite import CheckOutcome
from mg_assets.settings import Settings
from mg_assets.sources import build_source
from mg_assets.sources.base import Source

REPOSITORY = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("mg_assets.definitions"), "__repository__")
"""Where the UI looks a job up: its timeline and its pages of jobs show only runs that name their repository."""
NO_COMPUTE_LOGS = {
    "module": "dagster._core.storage.noop_compute_log_manager",
    "class": "NoOpComputeLogManager",
    "config": {},
}
SHOWN = 5  # failures of one Dagster run printed while it goes on


@dataclass
class BuildReport:
    """What a run built, what failed and what its checks warn of.

    Attributes
    ----------
    seconds : dict of str to float
        Of each step that had partitions, by title.
    failures : RunFailures
    warnings : RunWarnings
    """

    failures: RunFailures
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: RunWarnings = field(default_factory=RunWarnings)


def opened_instance() -> dg.DagsterInstance:
    """The instance of ``DAGSTER_HOME``; of several processes, one at a time makes its databases."""
    home = os.environ["DAGSTER_HOME"]
    # what a step prints is on the terminal: the processes that would copy it outlive Ctrl-C with a traceback each
    ref = InstanceRef.from_dir(home, overrides={"compute_logs": NO_COMPUTE_LOGS})
    with open(Path(home) / ".opening", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        instance = dg.DagsterInstance.from_ref(ref)
    create = instance.create_run_for_job

    def create_run_for_job(job_def: dg.JobDefinition, **given: Any) -> dg.DagsterRun:
        return create(job_def=job_def, remote_job_origin=REPOSITORY.get_job_origin(job_def.name), **given)

    vars(instance)["create_run_for_job"] = create_run_for_job  # execute_in_process names no repository
    return instance


def build_steps(config: Settings, screen: Screen, skip_failed: bool = False) -> BuildReport:
    """Build every step's missing and stale partitions.

    Parameters
    ----------
    config : Settings
    screen : Screen
        Shows the steps and their progress.
    skip_failed : bool
        Treat partitions that fail as absent where a window of days is read.

    Returns
    -------
    BuildReport

    Raises
    ------
    SettingsError
        The settings ask for what the source cannot give: a line each. Nothing is built.
    """
    lake, source = Lake(config.lake_url), build_source(config.source.kind, config.source.options)
    refused, warnings = check_run(config, source, lake)
    if refused:
        raise SettingsError(*refused)
    for line in warnings:
        screen.line(f"warning: {line}")
    steps = run_steps(config, source)
    if warmup.start(ticks=any("trades" in step.tables and step.keys for step in steps)):
        screen.line("first run of these sources: compiling their kernels in the background, a minute or two")
    instance = opened_instance()
    for run in end_orphaned_runs(instance):
        screen.line(f"run {run} was cut off: it is marked as failed, what it finished is kept")
    for path in lake.remove_abandoned():
        screen.line(f"{path} was left by a write that was killed: it is removed")
    stages = [step for step in steps if step.keys and step.tables]
    seen = LakeSnapshot(lake, every_table=True)
    estimate = Estimate(stages, seen, seeds_of(config))
    builder = _Builder(lake, source, instance, screen, estimate, BuildReport(RunFailures(skip_failed)), seen)
    builder.build(stages)
    if builder.forget_damaged():
        screen.line("damaged partitions were found while they were read: they and what reads them are built")
        builder.build(stages, again=True)
    return builder.report


class _Builder:
    """Builds steps in passes, and remembers what failed."""

    def __init__(
        self,
        lake: Lake,
        source: Source,
        instance: dg.DagsterInstance,
        screen: Screen,
        estimate: Estimate,
        report: BuildReport,
        seen: LakeSnapshot | None = None,
    ):
        self.report, self._seen = report, seen
        self._lake, self._source, self._instance, self._screen = lake, source, instance, screen
        self._estimate = estimate
        self._failures = report.failures
        self._damaged: set[Partition] = set()  # failed since something that they read is damaged
        self._unshown: set[Partition] = set()
        self._jobs = {job.name: defs.resolve_job_def(job.name) for job in JOBS}
        callbacks.on_progress = self._on_progress
        callbacks.on_message = screen.message
        callbacks.on_failure = self._on_failure
        callbacks.on_outcome = self._on_outcome

    def build(self, steps: Sequence[BuildStep], again: bool = False) -> None:
        """Build the steps in their order; in a second round, show only those that have something to build."""
        for number, step in enumerate(steps, 1):
            title, began = f"stage {number} of {len(steps)}: {step.title}", time.monotonic()
            built = self._build_step(title, step, number)
            self._estimate.end(number)
            spent = time.monotonic() - began
            self.report.seconds[step.title] = self.report.seconds.get(step.title, 0.0) + spent
            waiting = self._failures.waiting(step.tables)
            wait = f"{waiting} partitions wait for what failed" if waiting else ""
            if built:
                self._screen.line(f"   done in {spent:.0f} s{', ' if wait else ''}{wait}")
            elif not again:
                self._screen.line(f"{title}: {wait or 'up to date'}")

    def forget_damaged(self) -> bool:
        """Let what failed by reading a damaged partition be attempted again; whether there was any."""
        found = bool(self._damaged)
        self._failures.forget(self._damaged)
        self._damaged.clear()
        return found

    def _on_progress(self, name: str, done: int, total: int, left: float) -> None:
        """Show how far an asset is, and what is left of the run."""
        self._estimate.progress(name, done, total, left)
        self._screen.progress(name, done, total, left, f"the run about {duration(self._estimate.left())}")

    def _build_step(self, title: str, step: BuildStep, number: int) -> bool:
        """Build a step's stale partitions; whether there were any."""
        keys_of_table, before, passes = partition_keys(step.tables[0]), None, 0
        while True:
            ready, tables = self._ready(step)
            if not any(ready.values()):
                return before is not None
            self._estimate.begin(number, ready)
            if before is None:
                count = len({k for keys in ready.values() for k in keys})
                left = f"the run takes about {duration(self._estimate.left())} more"
                self._screen.line(f"{title}: {count} of {len(step.keys)} partitions of {tables} tables; {left}")
            if ready == before or passes > len(step.tables) + 1:
                for table, key in [(t, k) for t, keys in ready.items() for k in keys]:
                    self._failures.add(table, key, "is stale again after it was built: what it reads changed meanwhile")
                continue
            before, passes = ready, passes + 1
            for names, first, last in partition_ranges(ready, keys_of_table):
                if not self._materialise(names, keys_of_table, first, last):
                    passes -= 1  # which partitions can be built is another question now
                    break

    def _check_unchecked(self, tables: Sequence[str], seen: LakeSnapshot) -> bool:
        """Check what runs have written that failed, or were killed, before the checks; whether there was any."""
        found = False
        for table in tables:
            listed = {key for run, keys in seen.unchecked(table).items() if self._ended(run) for key in keys}
            info = seen.info(table)
            keys = [k for k in sorted(listed) if k in info and UNCHECKED in info[k].rejected]
            known = [k for k in keys if (table, k) in self._failures.reasons]  # this run could not check them
            keys = [k for k in keys if k not in known]
            try:
                outcomes = checks.check_partitions(table, self._view(), keys) if keys else []
            except Exception as error:  # of the data or of the code: what reads these partitions has to wait
                for key in keys:
                    self._failures.add(table, key, f"its checks could not be run: {one_line(error)}")
                continue
            for outcome in outcomes:
                self._instance.report_runless_asset_event(checks.evaluation(table, outcome))
            if listed:
                self._lake.unchecked(table).remove(listed.difference(known))
            found = found or bool(keys)
        return found

    def _ended(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        return run is None or run.is_finished

    def _ready(self, step: BuildStep) -> tuple[dict[str, list[str]], int]:
        """Stale partitions of a step that can be built now, and how many tables have some."""
        if self._check_unchecked(step.tables, self._now()):
            self._seen = None
        lake = self._view()
        seen = self._now() if lake is self._lake else LakeSnapshot(lake)
        stale = {t: TABLES.stale(lake, self._source, t, step.keys, seen) for t in step.tables}
        rejected = {
            t: [k for k in keys if k in seen.info(t) and seen.info(t)[k].rejected] for t, keys in stale.items()
        }  # fmt: skip
        ready = self._failures.ready(stale, rejected)
        return ready, sum(map(bool, ready.values()))

    def _now(self) -> LakeSnapshot:
        """The lake as it was seen after this run last changed it."""
        if self._seen is None:
            self._seen = LakeSnapshot(self._lake, every_table=True)
        return self._seen

    def _view(self) -> Lake:
        """The lake, without what failed where the run goes on as if that were absent."""
        hidden = self._failures.blocked() if self._failures.skip else {}
        return LakeWithout(self._lake.root, hidden) if hidden else self._lake

    def _materialise(self, tables: Sequence[str], keys: Sequence[str], first: str, last: str) -> bool:
        """Run Dagster on a range of partitions of the tables; whether all of them were built."""
        self._seen = None
        definition = TABLES[tables[0]].definition
        tags = process_tag() | {"dagster/max_retries": "0"}  # a daemon would try a failed run again in its own process
        if definition is not None:
            ends = [first, last]
            if definition == HALF_YEARLY:
                ends = [half_year_start(half).isoformat() for half in ends]
            tags |= {"dagster/asset_partition_range_start": ends[0], "dagster/asset_partition_range_end": ends[1]}
        config: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        if self._failures.skip:
            config["resources"] = {"lake": {"config": {"without": self._failures.blocked()}}}
        try:
            with unlost_stop():
                result = self._jobs[job_of(tables[0])].execute_in_process(
                    instance=self._instance,
                    asset_selection=[dg.AssetKey(table) for table in tables],
                    tags=tags,
                    run_config=config,
                    raise_on_error=False,
                )
        except dg.DagsterExecutionInterruptedError as error:
            raise KeyboardInterrupt from error
        if result.success:
            return True
        made = keys[keys.index(first) : keys.index(last) + 1]
        for event in result.all_events:
            if event.is_step_failure:
                self._on_step_failure(event, result.run_id, tables, made)
        self._show_failures()
        if not any(table in tables and key in made for table, key in self._failures.reasons):
            raise SystemExit(f"run {result.run_id} failed for {first}..{last}; mg ui shows its log")
        return False

    def _on_failure(self, table: str, key: str, error: Exception) -> None:
        self._failures.add(table, key, one_line(error))
        self._unshown.add((table, key))
        if isinstance(error, DamagedPartitionError):
            self._damaged.add((table, key))

    def _on_outcome(self, table: str, outcome: CheckOutcome) -> None:
        """Show what a blocking check rejects, and keep the warnings for the end."""
        rejected = checks.rejected_partitions(table, outcome)
        for key in rejected:
            reason = f"rejected by the blocking check {outcome.name}: {figure(table, outcome, key)}"
            self._failures.add(table, key, reason)
        for line in failed_check_lines(table, outcome, rejected) if rejected else ():
            self._screen.message(line)
        accepted = [k for k in outcome.observed["bad_partitions"] if k not in rejected]
        if accepted:
            self.report.warnings.add(table, outcome, accepted)

    def _on_step_failure(self, event: dg.DagsterEvent, run_id: str, tables: Sequence[str], keys: Sequence[str]) -> None:
        """Record the partitions of a step that failed as a whole, by an error of the code."""
        data = event.step_failure_data
        given = data.user_failure_data
        if data.error is not None and data.error.cls_name == "DagsterExecutionInterruptedError":
            raise KeyboardInterrupt
        if (given is not None and given.metadata and "failed" in given.metadata) or (
            data.error is not None and data.error.cls_name == "DagsterAssetCheckFailedError"
        ):
            return
        reason = f"{_reason(event)} (mg ui shows the traceback, in run {run_id})"
        for table in tables:
            if event.step_key == "_and_".join(ASSET_OF[table].tables):
                unmade = TABLES.stale(self._view(), self._source, table, keys)
            else:
                unmade = list(keys) if event.step_key == f"{table}_quality" else []
            for key in unmade:
                self._failures.add(table, key, reason)
                self._unshown.add((table, key))

    def _show_failures(self) -> None:
        groups = self._failures.groups(self._unshown)
        for tables, key, reason in groups[:SHOWN]:
            self._screen.message(f"{', '.join(tables)} {key} failed: {reason}")
        if len(groups) > SHOWN:
            self._screen.message(f"and {len(groups) - SHOWN} more failed, to {groups[-1][1]}")
        self._unshown.clear()


def _reason(event: dg.DagsterEvent) -> str:
    """What the asset's own code raised, without Dagster's wrapping."""
    error = event.step_failure_data.error
    if error is not None and error.cls_name == "DagsterExecutionStepExecutionError" and error.cause is not None:
        error = error.cause
    return one_line(error.message) if error is not None else event.message or ""


class IngestReporter:
    """Reports tables that were written outside a run to the Dagster instance of ``DAGSTER_HOME``."""

    def __init__(self) -> None:
        self._instance = opened_instance()

    def report(self, table: str, key: str, rows: int, invalid: int) -> None:
        """Report one partition as materialised."""
        metadata: dict[str, Any] = {"dagster/partition_row_count": rows, "by": "mg ingest", "quarantined_rows": invalid}
        self._instance.report_runless_asset_event(dg.AssetMaterialization(table, partition=key, metadata=metadata))

    def report_check(self, table: str, outcome: CheckOutcome) -> None:
        """Report a check's outcome, which the UI shows beside the table."""
        self._instance.report_runless_asset_event(checks.evaluation(table, outcome))
