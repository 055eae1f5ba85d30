"""Lake assets: how a table of the lake becomes a Dagster asset.

:func:`lake_asset` makes a :class:`LakeAsset` of a function that yields finished partitions. Its Dagster asset

1. maps the upstream tables to Dagster dependencies with the window that each :class:`UpstreamWindow` states,
2. runs one partition or a range of hundreds in one step, writing each partition as soon as it is made,
3. makes the others where one cannot be made, and fails at the end with the reason of each that is missing,
4. records rows, seconds and quarantined rows per partition, and logs its progress.

The list of all of them: :mod:`mg_assets.assets`. Which partitions are up to date:
:mod:`mg_assets.orchestration.staleness`.
"""

import inspect
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, TypeVar

import dagster as dg
import pandas as pd
import pyarrow as pa

from mg_assets.lake.restatement import Replacement, Restatement
from mg_assets.lake.store import WHOLE, Lake
from mg_assets.lake.window import UpstreamWindow
from mg_assets.market.schema import SCHEMAS
from mg_assets.orchestration.data_versions import materialisation, upstream_tags
from mg_assets.orchestration.failures import USER_ERRORS, failure_text, one_line, unreadable
from mg_assets.orchestration.inputs import LakeSnapshot
from mg_assets.orchestration.lineage import column_lineage, from_text
from mg_assets.orchestration.metadata import markdown
from mg_assets.orchestration.partitions import DAILY, lake_key, mapping
from mg_assets.orchestration.resources import ComputeResource, LakeResource, SourceResource
from mg_assets.orchestration.restatements import batch_of, partition_page, run_page
from mg_assets.orchestration.staleness import TableAsset, TableRegistry
from mg_assets.sources.base import Source, StreamedDay
from mg_assets.sources.recorded import RecordedSource

MAX_PARTITIONS_PER_RUN = 300  # a year and the look-back of the widest window
PROGRESS_MESSAGES = 10
LISTED_FAILURES = 200  # partitions that failed, in the metadata of a step's failure
LISTED_COLUMNS = 2000  # in one step's events: Dagster repeats them for each partition
OWNERS = ["team:mg"]

T = TypeVar("T")

OnFailure = Callable[[str, str, Exception], None]
"""Takes a table, the lake key of its partition that could not be made, and the reason."""
OnProgress = Callable[[str, int, int, float], None]
"""Takes a table, how many of its partitions are done, how many there are, and the seconds left."""

on_progress: OnProgress | None = None
"""Called after each partition with (table, done, total, eta); a terminal sets it, the UI reads the log."""
on_message: Callable[[str], None] | None = None
"""Called with each line that an asset logs."""
on_failure: OnFailure | None = None
"""Called at the end of a step for each partition that could not be made; a terminal sets it."""


@dataclass(frozen=True)
class Built:
    """A finished partition.

    Attributes
    ----------
    key : str
        Lake key.
    frame : DataFrame, Table or StreamedDay
        Its rows.
    metadata : dict
        Shown in the UI.
    quarantine : DataFrame, optional
        Invalid rows, with the reason of each.
    stored : dict
        Kept in the footer of the partition's file.
    table : str
        Needed where an asset makes several tables.
    unread : tuple of str
        Upstream tables of the asset that this partition was made without: their changes leave it as it is.
    ended : callable, optional
        Gives the same partition with what its reader learned while the rows were written.
    """

    key: str
    frame: pd.DataFrame | pa.Table | StreamedDay
    metadata: dict[str, Any] = field(default_factory=dict)
    quarantine: pd.DataFrame | None = None
    stored: dict[str, Any] = field(default_factory=dict)
    table: str = ""
    unread: tuple[str, ...] = ()
    ended: Callable[[], "Built"] | None = None


@dataclass(frozen=True)
class Build:
    """What an asset's function is given: the partitions to make and the means to make them.

    Attributes
    ----------
    keys : list of str
        Lake keys of the partitions to make, ascending (``["all"]`` for an unpartitioned table).
    lake : Lake
    source : Source
        The deployment's source of raw tables.
    workers : int
    device : str
        Torch device, resolved.
    log : callable
        Takes a line for the run's log.
    recipes : dict of str to str
        Recipe of each upstream table.
    on_progress : callable, optional
        See :data:`OnProgress`; for assets whose partitions take long.
    source_marks : callable
        Takes a key and gives what its build asked of the source (:meth:`RecordedSource.marks`).
    on_error : callable, optional
        Takes a key and the error of its data: the other partitions are then made. Without it the error is raised.
    """

    keys: list[str]
    lake: Lake
    open_source: Callable[[], Source]
    workers: int
    find_device: Callable[[], str]
    log: Callable[[str], None]
    recipes: Mapping[str, str] = field(default_factory=dict)
    on_progress: OnProgress | None = None
    source_marks: Callable[[str], dict[str, str]] = lambda key: {}
    on_error: Callable[[str, Exception], None] | None = None

    @property
    def source(self) -> Source:
        """The deployment's source of raw tables."""
        return self.open_source()

    @property
    def device(self) -> str:
        """The torch device, resolved."""
        return self.find_device()

    def each(self, make: Callable[[str], Built | Sequence[Built]]) -> Iterator[Built]:
        """Make every partition on its own, several at a time, in order; memory holds ``2 * workers`` of them."""

        def attempt(key: str) -> Built | Sequence[Built] | Exception:
            try:
                return make(key)
            except USER_ERRORS as error:
                return error

        for key, made in zip(self.keys, self._mapped(attempt), strict=True):
            if isinstance(made, Built):
                yield made
            elif not isinstance(made, Exception):
                yield from made
            elif self.on_error is None:
                raise made
            else:
                self.on_error(key, made)

    def _mapped(self, make: Callable[[str], T]) -> Iterator[T]:
        if self.workers == 1 or len(self.keys) == 1:
            yield from map(make, self.keys)
            return
        with ThreadPoolExecutor(self.workers) as pool:
            waiting: list[Future[T]] = []
            for key in self.keys:
                waiting.append(pool.submit(make, key))
                if len(waiting) >= 2 * self.workers:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()


@dataclass(frozen=True)
class LakeAsset:
    """Tables of the lake that one function makes, and how Dagster shows and runs it.

    Attributes
    ----------
    entries : tuple of TableAsset
        One a table, for the registry.
    make : callable
        Yields the finished partitions of a :class:`Build`.
    descriptions, groups : dict of str to str
        By table.
    kinds : frozenset of str
    single_run : bool
    pool : str or None
    op_tags : dict or None
    """

    entries: tuple[TableAsset, ...]
    make: Callable[[Build], Iterable[Built]]
    descriptions: Mapping[str, str | None]
    groups: Mapping[str, str]
    kinds: frozenset[str]
    single_run: bool
    pool: str | None
    op_tags: dict[str, Any] | None

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables."""
        return tuple(entry.table for entry in self.entries)

    def recipes(self, registry: TableRegistry) -> dict[str, str]:
        """Recipe of each upstream table."""
        return {n.table: registry.recipe(n.table) for e in self.entries for n in e.needs if n.table != e.table}

    def definition(self, registry: TableRegistry) -> dg.AssetsDefinition:
        """The Dagster asset; its upstream tables are looked up in the registry."""
        partitions = self.entries[0].definition

        @dg.multi_asset(
            name="_and_".join(self.tables),
            specs=[
                dg.AssetSpec(
                    entry.table,
                    deps=[_dependency(entry, registry[n.table], n) for n in entry.needs],
                    description=self.descriptions[entry.table],
                    metadata=_static_metadata(entry, self.make),
                    group_name=self.groups[entry.table],
                    code_version=registry.recipe(entry.table),
                    owners=OWNERS,
                    kinds={"parquet", *self.kinds},
                    partitions_def=partitions,
                )
                for entry in self.entries
            ],
            backfill_policy=_backfill_policy(partitions, self.single_run),
            pool=self.pool,
            op_tags=self.op_tags,
        )
        def body(
            context: dg.AssetExecutionContext,
            lake: LakeResource,
            source: SourceResource,
            compute: ComputeResource,
        ) -> Iterator[dg.MaterializeResult | dg.AssetMaterialization]:
            keys = _keys(context, partitions)
            recorded = RecordedSource(source.open)
            build = Build(
                keys=list(keys),
                lake=lake.open(),
                open_source=lambda: recorded,
                workers=compute.workers,
                find_device=cache(compute.torch_device),
                log=_logger(context),
                recipes=self.recipes(registry),
                on_progress=on_progress,
                source_marks=partial(recorded.marks, keys=keys.keys()),
            )
            yield from _write(context, registry, self, build, keys)

        return body


def lake_asset(
    tables: str | tuple[str, ...],
    *,
    group: str | Mapping[str, str],
    partitions: dg.PartitionsDefinition | None = DAILY,
    needs: Iterable[UpstreamWindow | str] = (),
    version: str = "1",
    config: Any = None,
    uses: tuple[str, ...] = (),
    kinds: Iterable[str] = (),
    columns: Mapping[str, str | dict[str, str]] | None = None,
    lineage: Mapping[str, Any] | None = None,
    anchor: str | None = None,
    single_run: bool = False,
    raw: bool = False,
    pool: str | None = None,
    op_tags: dict[str, Any] | None = None,
    files: Callable[[str], str] | None = None,
    description: str | Mapping[str, str] | None = None,
) -> Callable[[Callable[[Build], Iterable[Built]]], LakeAsset]:
    """Make one or several assets of the lake of a function that yields :class:`Built` partitions.

    Parameters
    ----------
    tables : str or tuple of str
        Names of the table and of the asset. Several tables come from one pass over their source, and each
        :class:`Built` then names its own.
    group : str or dict
        Of the asset graph; for several tables, one each where they differ.
    partitions : PartitionsDefinition, optional
        Trading days by default; None for a table without partitions.
    needs : iterable of UpstreamWindow or str
        Upstream tables; a name alone is the partition of the same time.
    version : str
        Raised by hand when the computation changes: partitions of an older version are stale.
    config : object
        What else decides the values: specifications, lists and their order
        (:func:`~mg_assets.orchestration.recipes.canonical`). Columns and windows count by themselves.
    uses : tuple of str
        Names of settings that decide the values.
    kinds : iterable of str
        Tags of the asset in the UI, beside ``parquet``.
    columns : dict
        Column name -> description, for tables without a fixed schema; for several tables, one such each.
    lineage : dict
        Column name -> columns upstream that it is made from, as ``table.column``; for several tables, one such each.
    anchor : str, optional
        Upstream table without whose partition of the same day there is nothing to compute: such a day becomes an
        empty partition with that reason. A backfill of a year requests them: the days after it that look back into it.
    single_run : bool
        All partitions of a backfill in one run: for tables that read their own last partition, and those that a job
        builds with such a one.
    raw : bool
        The table comes from the source, whose fingerprint then belongs to the recipe.
    pool : str, optional
        Concurrency pool that a run takes a slot of.
    op_tags : dict, optional
        For the launcher.
    files : callable, optional
        Takes a lake key and gives a digest of what a file beside the source holds of that partition.
    description : str or dict
        By default the function's docstring; for several tables, one each.

    Returns
    -------
    callable
        Decorator that turns the function into a :class:`LakeAsset`.
    """
    names = (tables,) if isinstance(tables, str) else tables
    windows = tuple(UpstreamWindow(n) if isinstance(n, str) else n for n in needs)
    entries = tuple(
        TableAsset(
            name,
            partitions,
            windows,
            version,
            config,
            uses,
            raw,
            anchor,
            _columns_of(name, columns),
            (lineage or {}) if isinstance(tables, str) else (lineage or {}).get(name, {}),
            files,
        )
        for name in names
    )

    def decorate(make: Callable[[Build], Iterable[Built]]) -> LakeAsset:
        texts = description if isinstance(description, Mapping) else dict.fromkeys(names, description or make.__doc__)
        groups = dict.fromkeys(names, group) if isinstance(group, str) else group
        return LakeAsset(entries, make, texts, groups, frozenset(kinds), single_run, pool, op_tags)

    return decorate


def _dependency(entry: TableAsset, upstream: TableAsset, need: UpstreamWindow) -> dg.AssetDep:
    down, up = entry.definition, upstream.definition
    if entry.table == upstream.table:
        before = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
        return dg.AssetDep(entry.table, partition_mapping=before)
    if down is None or up is None:
        return dg.AssetDep(need.table)
    return dg.AssetDep(need.table, partition_mapping=mapping(down, up, need.back, need.ahead))


def _backfill_policy(partitions: dg.PartitionsDefinition | None, single_run: bool) -> dg.BackfillPolicy | None:
    if partitions is None:
        return None
    if single_run:
        return dg.BackfillPolicy.single_run()
    return dg.BackfillPolicy.multi_run(max_partitions_per_run=MAX_PARTITIONS_PER_RUN)


def _columns_of(table: str, columns: Mapping[str, str | dict[str, str]] | None) -> dict[str, str]:
    own = (columns or {}).get(table)
    return own if isinstance(own, dict) else {n: text for n, text in (columns or {}).items() if isinstance(text, str)}


def _static_metadata(entry: TableAsset, make: Callable) -> dict[str, Any]:
    """Column schema, and the link to the code that makes the table."""
    schema = SCHEMAS.get(entry.table)
    named = {f.name: str(f.type) for f in schema} if schema else dict.fromkeys(entry.columns, "double")
    if entry.lineage:
        named = {"symbol": "string"} | named
    listed = [dg.TableColumn(name, kind, description=_column_text(entry, name)) for name, kind in named.items()]
    code = dg.LocalFileCodeReference(
        file_path=inspect.getsourcefile(make) or __file__, line_number=make.__code__.co_firstlineno, label=entry.table
    )
    return {
        "dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[code]),
        **({"dagster/column_schema": dg.TableSchema(columns=listed)} if listed else {}),
    }


def _column_text(entry: TableAsset, column: str) -> str | None:
    """A column's description, and where it comes from."""
    parts = [entry.columns.get(column, ""), from_text(entry.lineage.get(column, ()))]
    return "\n\n".join(filter(None, parts)) or None


def _found_schema(entry: TableAsset, frame: pd.DataFrame) -> dg.TableSchema:
    """Columns as they were made: a table without a fixed schema may hold text and dates among its figures."""
    schema = pa.Schema.from_pandas(frame, preserve_index=False)
    kinds = {f.name: str(f.type).removeprefix("large_") for f in schema}
    return dg.TableSchema(
        columns=[dg.TableColumn(name, kind, description=_column_text(entry, name)) for name, kind in kinds.items()]
    )


def _keys(context: dg.AssetExecutionContext, partitions: dg.PartitionsDefinition | None) -> dict[str, str]:
    """The run's partitions: lake key -> partition key, ascending."""
    if partitions is None:
        return {WHOLE: ""}
    return {lake_key(k, partitions): k for k in sorted(context.partition_keys)}


def _write(
    context: dg.AssetExecutionContext,
    registry: TableRegistry,
    asset: LakeAsset,
    build: Build,
    partition_of: Mapping[str, str],
) -> Iterator[dg.MaterializeResult | dg.AssetMaterialization]:
    """Write what the asset makes partition by partition, and report each table once all are there."""
    step = _Step(registry, asset, build, batch_of(context.run))
    build = replace(build, on_error=step.fail)
    upstream = upstream_tags(context.instance, asset.recipes(registry))

    def own_events(table: str) -> Iterator[dg.AssetMaterialization]:
        """One a partition, with its own data version: Dagster gives those of a range one."""
        written = [made for made in step.written if made.table == table]
        for made in written:
            shown = made.shown | (step.latest(made) if made is written[-1] else {})
            yield materialisation(
                table, partition_of[made.key] or None, shown, registry.recipe(table), made.digest, upstream
            )

    for table in asset.tables:
        if context.job_def.graph.has_node_named(f"{table}_quality"):  # its checks are part of the run
            step.list_unchecked(table, context.run_id)
    try:
        for built in _made(registry, asset, build, step):
            if step.stopped_before(built.key):
                break
            step.write(built)
            _log_progress(context, step)
        step.raise_failures()
    except Exception:
        for table in asset.tables:  # Dagster records no output of a step that fails; these are in the lake
            yield from own_events(table)
        raise
    for table in asset.tables:
        made = [m for m in step.written if m.table == table]
        if len(made) == 1 and registry[table].definition is not None:
            shown = made[0].shown | step.latest(made[0])
            context.add_asset_metadata(shown, asset_key=table, partition_key=partition_of[made[0].key])
        version = dg.DataVersion(made[0].digest) if len(made) == 1 else None
        yield dg.MaterializeResult(asset_key=table, metadata=step.metadata(table), data_version=version)
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

    def __init__(self, registry: TableRegistry, asset: LakeAsset, build: Build, batch: str):
        self.name = " and ".join(asset.tables)
        self.written: list[_Written] = []
        self.failed: dict[str, Exception] = {}  # by key
        self._chained = any(need.table in asset.tables for e in asset.entries for need in e.needs)
        self.waiting = dict.fromkeys((t, k) for k in build.keys for t in asset.tables)
        self.total = len(self.waiting)
        self.began = time.monotonic()
        self._registry, self._build = registry, build
        # before anything is read: what changes meanwhile makes the partition stale
        seen = self._seen = LakeSnapshot(build.lake)
        self._inputs = {
            t: dict(zip(build.keys, registry.inputs(seen, t, build.keys), strict=True)) for t in asset.tables
        }
        self._entries = {e.table: e for e in asset.entries}
        self._batch = batch
        self._restated: dict[str, list[Restatement]] = {t: [] for t in asset.tables}
        self._rows = dict.fromkeys(asset.tables, 0)
        self._quarantined = dict.fromkeys(asset.tables, 0)
        self._shown: dict[str, dict[str, Any]] = {t: {} for t in asset.tables}

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
        if isinstance(made.frame, pd.DataFrame) and made.frame.shape[1] * len(self._build.keys) <= LISTED_COLUMNS:
            self._shown[table]["dagster/column_schema"] = _found_schema(entry, made.frame)
        if entry.definition is None:
            self._shown[table] |= made.metadata
        digest = lake.info(table, [built.key])[built.key].digest or ""
        shown = {"dagster/partition_row_count": len(made.frame), **made.metadata}
        return _Written(table, built.key, digest, shown, column_lineage(entry, built.unread))

    def raise_failures(self) -> None:
        """Report what could not be made to the terminal, and to Dagster as the step's failure."""
        for key in self.lacking(self._build.keys):
            self.fail(key, RuntimeError("its asset left it out: a bug"))
        if not self.failed:
            return
        for table, key in self.waiting:
            if key in self.failed and on_failure is not None:
                on_failure(table, key, self.failed[key])
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
        """What the UI shows with a table's latest materialisation alone: lineage, and how much the run changed."""
        restated = self._restated[made.table]
        return made.lineage | ({"restated": run_page(restated, self._registry, self._build.lake)} if restated else {})


def _logger(context: dg.AssetExecutionContext) -> Callable[[str], None]:
    def log(line: str) -> None:
        context.log.info(line)
        if on_message is not None:
            on_message(line)

    return log


def _log_progress(context: dg.AssetExecutionContext, step: _Step) -> None:
    """Report the step's progress to the terminal, and ten times a step to the run's log."""
    done = max(step.total - len(step.waiting), 1)
    left = (time.monotonic() - step.began) / done * len(step.waiting)
    if on_progress is not None:
        on_progress(step.name, done, step.total, left)
    every = max(1, step.total // PROGRESS_MESSAGES)
    if step.total > 1 and (done % every == 0 or done == step.total):
        context.log.info(f"{step.name}: {done} of {step.total} partitions, {left:.0f} s left")


def _made(registry: TableRegistry, asset: LakeAsset, build: Build, step: _Step) -> Iterator[Built]:
    """What the asset's function makes, and an empty partition for each day without its anchor."""
    anchor = asset.entries[0].anchor
    for key, error in unreadable(registry, build.lake, asset.tables[0], build.keys).items():
        step.fail(key, error)
    keys = step.lacking(build.keys)
    lacking = [k for k in keys if anchor and not build.lake.has(anchor, k)]
    for entry in asset.entries if lacking else ():
        build.log(f"{entry.table}: {len(lacking)} days have no {anchor}, first {lacking[0]}; left empty")
        frame = pd.DataFrame(
            {c: pd.Series(dtype="str" if c == "symbol" else float) for c in ("symbol", *entry.columns)}
        )
        for key in lacking:
            yield Built(key, frame, {"absent": f"{anchor} has no partition {key}"}, table=entry.table)
    present = [k for k in keys if k not in set(lacking)]
    if present:
        yield from _made_apart(registry, asset, replace(build, keys=present), step)


def _made_apart(registry: TableRegistry, asset: LakeAsset, build: Build, step: _Step) -> Iterator[Built]:
    """What the asset's function makes; after an error of the data, the partitions that are left one by one."""
    try:
        yield from asset.make(build)
        return
    except USER_ERRORS as error:
        if len(build.keys) == 1:
            step.fail(build.keys[0], error)
            return
        left = step.lacking(build.keys)
        if not left:
            raise
    refused = unreadable(registry, build.lake, asset.tables[0], left)  # what was found damaged just now
    for key in left:
        if key in refused:
            step.fail(key, refused[key])
        elif not step.stopped_before(key):
            yield from _made_apart(registry, asset, replace(build, keys=[key]), step)


def _quarantine(lake: Lake, entry: TableAsset, built: Built) -> int:
    """Store a partition's invalid rows apart, or remove an older run's; returns how many there are."""
    table = f"quarantine_{entry.table}"
    if built.quarantine is not None and len(built.quarantine):
        lake.write(table, built.key, built.quarantine)
        return len(built.quarantine)
    lake.remove(table, built.key)
    return 0
