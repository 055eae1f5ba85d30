"""The step of a run that makes an asset's partitions: it writes each as soon as it is made, and reports it.

Where one cannot be made, the others are, and the step fails at the end with the reason of each that is missing.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import pandas as pd

from mg_assets.lake.restatement import Replacement, Restatement
from mg_assets.lake.store import Lake
from mg_assets.orchestration import callbacks
from mg_assets.orchestration.column_schema import found_schema
from mg_assets.orchestration.data_versions import RECORDED_APART, materialisation, recorded_together, upstream_tags
from mg_assets.orchestration.failures import USER_ERRORS, failure_text, one_line, unreadable
from mg_assets.orchestration.inputs import LakeSnapshot
from mg_assets.orchestration.lineage import column_lineage
from mg_assets.orchestration.metadata import markdown
from mg_assets.orchestration.pace import Pace
from mg_assets.orchestration.partition_build import Build, Built, Make
from mg_assets.orchestration.partitions import DAILY, HALF_YEARLY
from mg_assets.orchestration.restatements import batch_of, partition_page, run_page
from mg_assets.orchestration.staleness import TableAsset, TableRegistry

PROGRESS_MESSAGES = 10
LISTED_FAILURES = 200  # partitions that failed, in the metadata of a step's failure


def write_partitions(
    context: dg.AssetExecutionContext,
    registry: TableRegistry,
    entries: Sequence[TableAsset],
    make: Make,
    build: Build,
    partition_of: Mapping[str, str],
) -> Iterator[dg.MaterializeResult | dg.AssetMaterialization]:
    """Write what an asset makes partition by partition, and report each table once all are there.

    Parameters
    ----------
    context : AssetExecutionContext
    registry : TableRegistry
    entries : sequence of TableAsset
        The asset's tables.
    make : callable
        The asset's function.
    build : Build
        What it is given.
    partition_of : dict of str to str
        Dagster's partition key by lake key, of those to make.

    Yields
    ------
    MaterializeResult or AssetMaterialization

    Raises
    ------
    Failure
        A partition could not be made, or the function made one that was not requested.
    """
    step = _Step(registry, entries, build, batch_of(context.run))
    build = replace(build, on_error=step.fail)
    upstream = upstream_tags(context.instance, build.recipes)

    def own_events(table: str) -> Iterator[dg.AssetMaterialization]:
        """One a partition, with its own data version: Dagster gives those of a range one."""
        written = [made for made in step.written if made.table == table]
        recipe = registry.recipe(table)
        shown = [made.shown | (step.latest(made) if made is written[-1] else {}) for made in written]
        events = (
            materialisation(table, partition_of[made.key] or None, page, recipe, made.digest, upstream)
            for made, page in zip(written, shown, strict=True)
        )
        yield from recorded_together(context, events)

    for table in step.tables:
        if context.job_def.graph.has_node_named(f"{table}_quality"):  # its checks are part of the run
            step.list_unchecked(table, context.run.run_id)
    try:
        for built in _made(registry, entries, make, build, step):
            if step.stopped_before(built.key):
                break
            step.write(built)
            _log_progress(context, step)
        step.raise_failures()
    except Exception:
        for table in step.tables:  # Dagster records no output of a step that fails; these are in the lake
            yield from own_events(table)
        raise
    for table in step.tables:
        made = [m for m in step.written if m.table == table]
        if len(made) == 1 and registry[table].definition is not None:
            shown = made[0].shown | step.latest(made[0])
            context.add_asset_metadata(shown, asset_key=table, partition_key=partition_of[made[0].key])
        version = dg.DataVersion(made[0].digest) if len(made) == 1 else None
        tags = {RECORDED_APART: "true"} if len(made) > 1 else None
        yield dg.MaterializeResult(asset_key=table, metadata=step.metadata(table), data_version=version, tags=tags)
        if len(made) > 1:
            yield from own_events(table)


@dataclass(frozen=True)
class _Written:
    """A partition in the lake, the digest of its content, and what the UI shows of it."""

    table: str
    key: str
    digest: str
    shown: dict[str, Any]
    lineage: dict[str, Any]


class _Step:
    """The partitions of one run of an asset: what was written of each table, what failed, what is still to come."""

    def __init__(self, registry: TableRegistry, entries: Sequence[TableAsset], build: Build, batch: str):
        self._entries = {e.table: e for e in entries}
        self.tables = tuple(self._entries)
        self.name = " and ".join(self.tables)
        self.written: list[_Written] = []
        self.failed: dict[str, Exception] = {}  # by key
        self._chained = any(need.table in self.tables for e in entries for need in e.needs)
        self.waiting = dict.fromkeys((t, k) for k in build.keys for t in self.tables)
        self.total = len(self.waiting)
        self.began = time.monotonic()
        self.pace = Pace()
        self._registry, self._build = registry, build
        # before anything is read: what changes meanwhile makes the partition stale
        seen = self._seen = LakeSnapshot(build.lake)
        self._inputs = {
            t: dict(zip(build.keys, registry.inputs(seen, t, build.keys), strict=True)) for t in self.tables
        }
        self._batch = batch
        self._restated: dict[str, list[Restatement]] = {t: [] for t in self.tables}
        self._rows = dict.fromkeys(self.tables, 0)
        self._quarantined = dict.fromkeys(self.tables, 0)
        self._shown: dict[str, dict[str, Any]] = {t: {} for t in self.tables}
        self._columns: dict[str, dict[str, Any]] = {}  # of each table's first partition with rows

    def list_unchecked(self, table: str, run: str) -> None:
        """List the partitions that are about to be written: nothing may read them before they are checked."""
        found = self._seen.info(table)
        digests = {k: found[k].digest if k in found else None for k in self._build.keys}
        self._build.lake.unchecked(table).write(run, digests)

    def fail(self, key: str, error: Exception) -> None:
        """Record why a partition cannot be made; the first reason counts."""
        for link in (error, error.__cause__, error.__context__):
            if link is not None:
                link.with_traceback(None)  # it would hold the arrays of its frames
        self.failed.setdefault(key, error)

    def stopped_before(self, key: str) -> bool:
        """Whether a partition must not be made, since each reads the one before and an earlier one has failed."""
        return self._chained and any(k < key for k in self.failed)

    def lacking(self, keys: Sequence[str]) -> list[str]:
        """Those of the keys that are still to be made."""
        unmade = {key for _, key in self.waiting}
        return [k for k in keys if k in unmade and k not in self.failed and not self.stopped_before(k)]

    def write(self, built: Built) -> None:
        """Write one partition, and its invalid rows to quarantine; nothing where that was done before."""
        table = built.table or next(iter(self._entries))
        if built.key not in self._build.keys or table not in self._entries:
            raise dg.Failure(f"{self.name} made {table} {built.key}, which was not requested")
        if (table, built.key) not in self.waiting:
            return
        try:
            self.written.append(self._write(table, built))
        except USER_ERRORS as error:
            self.fail(built.key, error)
        else:
            del self.waiting[table, built.key]

    def _write(self, table: str, built: Built) -> _Written:
        entry, lake = self._entries[table], self._build.lake
        stored = self._made_from(table, built) | built.stored
        with Replacement(lake, table, built.key) as replaced:
            lake.write(table, built.key, built.frame, stored)
            restated = replaced.record(self._batch)
        made = built.ended() if built.ended is not None else built
        if restated is not None:
            self._restated[table].append(restated)
            made = replace(made, metadata={**made.metadata, "restatement": partition_page(restated)})
        self._quarantined[table] += _quarantine(lake, entry, made)
        self._rows[table] += len(made.frame)
        if isinstance(made.frame, pd.DataFrame) and len(made.frame) and table not in self._columns:
            self._columns[table] = {"dagster/column_schema": found_schema(entry, made.frame)}
        if entry.definition is None:
            self._shown[table] |= made.metadata | self._columns.get(table, {})
        digest = (replaced.new.digest if replaced.new is not None else None) or ""
        shown = {"dagster/partition_row_count": len(made.frame), **_figures(entry, built), **made.metadata}
        return _Written(table, built.key, digest, shown, column_lineage(entry, built.unread))

    def raise_failures(self) -> None:
        """Report what could not be made to the terminal, and to Dagster as the step's failure."""
        for key in self.lacking(self._build.keys):
            self.fail(key, RuntimeError("its asset left it out: a bug"))
        if not self.failed:
            return
        for table, key in self.waiting:
            if key in self.failed and callbacks.on_failure is not None:
                callbacks.on_failure(table, key, self.failed[key])
        behind = [k for k in self._build.keys if k not in self.failed and self.stopped_before(k)]
        text = failure_text(self.name, len(self._build.keys), self.failed, behind)
        rows = [{"partition": key, "reason": one_line(error)} for key, error in self.failed.items()]
        raise dg.Failure(text, metadata={"failed": dg.MetadataValue.md(markdown(rows[:LISTED_FAILURES]))})

    def _made_from(self, table: str, built: Built) -> dict[str, Any]:
        """What the staleness compares: recipe, inputs and what was read of the source."""
        inputs = {n: digest for n, digest in self._inputs[table][built.key].items() if n not in built.unread}
        if table in inputs:  # of the partitions before, which this step may have written
            now = self._registry.inputs(LakeSnapshot(self._build.lake), table, [built.key])
            inputs[table] = now[0][table]
        marks = self._build.source_marks(built.key)
        files = self._registry[table].files
        return {
            "recipe": self._registry.recipe(table),
            "inputs": inputs,
            **({"source": marks} if marks else {}),
            **({"files": files(built.key)} if files is not None else {}),
        }

    def metadata(self, table: str) -> dict[str, Any]:
        """What the UI shows of the step for a table."""
        return {
            "dagster/row_count": self._rows[table],
            "partitions": len(self._build.keys),
            "quarantined_rows": self._quarantined[table],
            "seconds": round(time.monotonic() - self.began, 2),
            "path": dg.MetadataValue.path(f"{self._build.lake.root}/{table}"),
            **self._shown[table],
        }

    def latest(self, made: _Written) -> dict[str, Any]:
        """What the UI shows with a table's latest materialisation alone: columns, lineage, how much the run changed."""
        restated = self._restated[made.table]
        columns = self._columns.get(made.table, {})
        return (
            made.lineage
            | columns
            | ({"restated": run_page(restated, self._registry, self._build.lake)} if restated else {})
        )


def _figures(entry: TableAsset, built: Built) -> dict[str, Any]:
    """What every partition shows besides its rows, for the plots: the share of its figures that is null."""
    shown: dict[str, Any] = {"half_year": built.key} if entry.definition == HALF_YEARLY else {}
    if isinstance(built.frame, pd.DataFrame) and entry.definition == DAILY:
        figures = built.frame.select_dtypes("number")
        if figures.size:
            shown["null_share"] = round(float(figures.isna().to_numpy().mean()), 4)
    return shown


def _log_progress(context: dg.AssetExecutionContext, step: _Step) -> None:
    """Report the step's progress to the terminal, and ten times a step to the run's log."""
    done = max(step.total - len(step.waiting), 1)
    left = step.pace.left(done, step.total)
    if callbacks.on_progress is not None:
        callbacks.on_progress(step.name, done, step.total, left)
    every = max(1, step.total // PROGRESS_MESSAGES)
    if step.total > 1 and (done % every == 0 or done == step.total):
        ending = "" if math.isnan(left) else f", {left:.0f} s left"
        context.log.info(f"{step.name}: {done} of {step.total} partitions{ending}")


def _made(
    registry: TableRegistry, entries: Sequence[TableAsset], make: Make, build: Build, step: _Step
) -> Iterator[Built]:
    """What the asset's function makes, and an empty partition for each day without its anchor."""
    anchor = entries[0].anchor
    for key, error in unreadable(registry, build.lake, entries[0].table, build.keys).items():
        step.fail(key, error)
    keys = step.lacking(build.keys)
    lacking = [k for k in keys if anchor and not build.lake.has(anchor, k)]
    for entry in entries if lacking else ():
        build.log(f"{entry.table}: {len(lacking)} days have no {anchor}, first {lacking[0]}; left empty")
        frame = pd.DataFrame(
            {c: pd.Series(dtype="str" if c == "symbol" else float) for c in ("symbol", *entry.columns)}
        )
        for key in lacking:
            yield Built(key, frame, {"absent": f"{anchor} has no partition {key}"}, table=entry.table)
    present = [k for k in keys if k not in set(lacking)]
    if present:
        yield from _made_apart(registry, make, replace(build, keys=present), step)


def _made_apart(registry: TableRegistry, make: Make, build: Build, step: _Step) -> Iterator[Built]:
    """What the asset's function makes; after an error of the data, the partitions that are left one by one."""
    try:
        yield from make(build)
        return
    except USER_ERRORS as error:
        if len(build.keys) == 1:
            step.fail(build.keys[0], error)
            return
        left = step.lacking(build.keys)
        if not left:
            raise
    refused = unreadable(registry, build.lake, step.tables[0], left)  # what was found damaged just now
    for key in left:
        if key in refused:
            step.fail(key, refused[key])
        elif not step.stopped_before(key):
            yield from _made_apart(registry, make, replace(build, keys=[key]), step)


def _quarantine(lake: Lake, entry: TableAsset, built: Built) -> int:
    """Store a partition's invalid rows apart, or remove an older run's; returns how many there are."""
    table = f"quarantine_{entry.table}"
    if built.quarantine is not None and len(built.quarantine):
        lake.write(table, built.key, built.quarantine)
        return len(built.quarantine)
    lake.remove(table, built.key)
    return 0
