"""Lake assets: how a table of the lake becomes a Dagster asset.

An asset is a function that yields finished partitions; :func:`lake_asset` turns it into a Dagster asset that

1. maps its upstream tables to Dagster dependencies with the window that each :class:`UpstreamWindow` states,
2. runs one partition or a range of hundreds in one step, writing each partition as soon as it is made,
3. refuses to end while a partition that it was asked for is missing,
4. records rows, seconds and quarantined rows per partition, and tells how far it is.

Which partitions are up to date: :mod:`mg_assets.orchestration.staleness`.
"""

import inspect
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from mg_assets.lake.store import WHOLE, Lake
from mg_assets.market.schema import SCHEMAS
from mg_assets.orchestration.partitions import DAILY, lake_key, mapping
from mg_assets.orchestration.resources import ComputeResource, LakeResource, SourceResource
from mg_assets.orchestration.staleness import TABLES, TableAsset, UpstreamWindow, recipe, rejections, source_mark
from mg_assets.sources.base import Source, StreamedDay

MAX_PARTITIONS_PER_RUN = 300  # a year and the look-back of the widest window
PROGRESS_MESSAGES = 10
LISTED_COLUMNS = 2000  # in one step's events: Dagster repeats them for each partition
OWNERS = ["team:mg"]


@dataclass(frozen=True)
class Built:
    """A finished partition: its lake key, its rows, and what a person wants to know of it."""

    key: str
    frame: pd.DataFrame | pa.Table | StreamedDay
    metadata: dict[str, Any] = field(default_factory=dict)
    quarantine: pd.DataFrame | None = None
    stored: dict[str, Any] = field(default_factory=dict)  # kept in the file's footer
    table: str = ""  # needed where an asset makes several tables
    ended: Callable[[], "Built"] | None = None  # the same with all that is known once its rows are written


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
    """

    keys: list[str]
    lake: Lake
    open_source: Callable[[], Source]
    workers: int
    find_device: Callable[[], str]
    log: Callable[[str], None]

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
        for made in self._mapped(make):
            yield from [made] if isinstance(made, Built) else made

    def _mapped(self, make: Callable[[str], Built | Sequence[Built]]) -> Iterator[Built | Sequence[Built]]:
        if self.workers == 1 or len(self.keys) == 1:
            yield from map(make, self.keys)
            return
        with ThreadPoolExecutor(self.workers) as pool:
            waiting: list[Future[Built | Sequence[Built]]] = []
            for key in self.keys:
                waiting.append(pool.submit(make, key))
                if len(waiting) >= 2 * self.workers:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()


@dataclass(frozen=True)
class LakeAsset:
    """A registered asset; :meth:`definition` is asked for once all tables are registered."""

    tables: tuple[str, ...]
    make: Callable[[Build], Iterable[Built]]
    definition: Callable[[], dg.AssetsDefinition]


on_progress: Callable[[str, int, int, float], None] | None = None
"""Told of every finished partition: table, done, total, seconds left. For a terminal; the UI reads the log."""
on_message: Callable[[str], None] | None = None
"""Told of every line that an asset logs."""


def lake_asset(
    tables: str | tuple[str, ...],
    *,
    group: str,
    partitions: dg.PartitionsDefinition | None = DAILY,
    needs: Iterable[UpstreamWindow] = (),
    version: str = "1",
    uses: tuple[str, ...] = (),
    kinds: Iterable[str] = (),
    columns: Mapping[str, str | dict[str, str]] | None = None,
    anchor: str | None = None,
    single_run: bool = False,
    raw: bool = False,
    pool: str | None = None,
    op_tags: dict[str, Any] | None = None,
    description: str | dict[str, str] | None = None,
) -> Callable[[Callable[[Build], Iterable[Built]]], LakeAsset]:
    """Register a function that yields :class:`Built` partitions as one or several assets of the lake.

    Parameters
    ----------
    tables : str or tuple of str
        Names of the table and of the asset. Several tables come from one pass over their source, and each
        :class:`Built` then names its own.
    needs : iterable of UpstreamWindow
        Upstream tables.
    version : str
        Raised by hand when the computation changes: partitions of an older version are stale.
    uses : tuple of str
        Names of settings that decide the values.
    columns : dict
        Column name -> description, for tables without a fixed schema; for several tables, one such each.
    anchor : str, optional
        Upstream table without whose partition of the same day there is nothing to compute: such a day becomes an
        empty partition that says so. A backfill of a year asks for them: the days after it that look back into it.
    single_run : bool
        All partitions of a backfill in one run (for tables that read their own last partition).
    raw : bool
        The table comes from the source, whose fingerprint then belongs to the recipe.
    description : str or dict
        By default the function's docstring; for several tables, one each.
    """
    names = (tables,) if isinstance(tables, str) else tables
    needs = tuple(needs)
    for name in names:
        TABLES[name] = TableAsset(name, partitions, needs, version, uses, raw, anchor, _columns_of(name, columns))

    def register(make: Callable[[Build], Iterable[Built]]) -> LakeAsset:
        return LakeAsset(names, make, lambda: define(make))

    def define(make: Callable[[Build], Iterable[Built]]) -> dg.AssetsDefinition:
        @dg.multi_asset(
            name="_and_".join(names),
            specs=[
                dg.AssetSpec(
                    name,
                    deps=[_dependency(name, n) for n in needs],
                    description=description[name] if isinstance(description, dict) else description or make.__doc__,
                    metadata=_static_metadata(name, _columns_of(name, columns), make),
                    group_name=group,
                    code_version=version,
                    owners=OWNERS,
                    kinds={"parquet", *kinds},
                    partitions_def=partitions,
                )
                for name in names
            ],
            backfill_policy=_backfill_policy(partitions, single_run),
            pool=pool,
            op_tags=op_tags,
        )
        def body(
            context: dg.AssetExecutionContext,
            lake: LakeResource,
            source: SourceResource,
            compute: ComputeResource,
        ) -> Iterator[dg.MaterializeResult]:
            keys = _keys(context, partitions)
            build = Build(
                keys=[k for _, k in keys],
                lake=lake.open(),
                open_source=cache(source.open),
                workers=compute.workers,
                find_device=cache(compute.torch_device),
                log=_logger(context),
            )
            yield from _write(context, [TABLES[n] for n in names], build, keys, make)

        return body

    return register


def _dependency(table: str, need: UpstreamWindow) -> dg.AssetDep:
    down, up = TABLES[table].definition, TABLES[need.table].definition
    if need.table == table:
        return dg.AssetDep(table, partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1))
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


def _static_metadata(table: str, columns: dict[str, str], make: Callable) -> dict[str, Any]:
    """Column schema, and the link to the code that makes the table."""
    schema = SCHEMAS.get(table)
    listed = (
        [dg.TableColumn(f.name, str(f.type)) for f in schema]
        if schema
        else [dg.TableColumn(name, "double", description=text) for name, text in columns.items()]
    )
    code = dg.LocalFileCodeReference(
        file_path=inspect.getsourcefile(make) or __file__, line_number=make.__code__.co_firstlineno, label=table
    )
    return {
        "dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[code]),
        **({"dagster/column_schema": dg.TableSchema(columns=listed)} if listed else {}),
    }


def _found_schema(entry: TableAsset, frame: pd.DataFrame) -> dg.TableSchema:
    """Columns as they were made: a table without a fixed schema may hold text and dates among its figures."""
    schema = pa.Schema.from_pandas(frame, preserve_index=False)
    kinds = {f.name: str(f.type).removeprefix("large_") for f in schema}
    return dg.TableSchema(
        columns=[dg.TableColumn(name, kind, description=entry.columns.get(name)) for name, kind in kinds.items()]
    )


def _keys(context: dg.AssetExecutionContext, partitions: dg.PartitionsDefinition | None) -> list[tuple[str, str]]:
    if partitions is None:
        return [("", WHOLE)]
    return [(k, lake_key(k, partitions)) for k in sorted(context.partition_keys)]


def _write(
    context: dg.AssetExecutionContext,
    entries: list[TableAsset],
    build: Build,
    keys: list[tuple[str, str]],
    make: Callable[[Build], Iterable[Built]],
) -> Iterator[dg.MaterializeResult]:
    by_name = {e.table: e for e in entries}
    first = entries[0]
    refused = rejections(build.lake, first.table, build.keys)
    if refused:
        raise dg.Failure(
            f"{first.table} would read partitions that a blocking check rejected: {'; '.join(refused[:5])}"
            f"{f' and {len(refused) - 5} more' if len(refused) > 5 else ''}. Mend the source and build them again, or "
            "name them under accepted in the settings (docs/quality.md)"
        )
    partition_of = {lake: partition for partition, lake in keys}
    waiting = dict.fromkeys((t, k) for k in build.keys for t in by_name)
    total, began = len(waiting), time.monotonic()
    every = max(1, total // PROGRESS_MESSAGES)
    rows, bad = dict.fromkeys(by_name, 0), dict.fromkeys(by_name, 0)
    extra: dict[str, dict[str, Any]] = {}
    types: dict[str, dict[str, Any]] = {}
    for built in _made(entries, build, make):
        entry = by_name.get(built.table or first.table)
        if entry is None or (entry.table, built.key) not in waiting:
            raise dg.Failure(f"{first.table} made {built.table} {built.key}, which was not asked for")
        kept = {"recipe": recipe(entry.table), **built.stored}
        if entry.raw:
            kept["source"] = source_mark(build.source, entry.table, built.key)
        build.lake.write(entry.table, built.key, built.frame, kept)
        built = built.ended() if built.ended is not None else built
        bad[entry.table] += _set_aside(build.lake, entry, built)
        rows[entry.table] += len(built.frame)
        if isinstance(built.frame, pd.DataFrame) and built.frame.shape[1] * len(keys) <= LISTED_COLUMNS:
            types[entry.table] = {"dagster/column_schema": _found_schema(entry, built.frame)}
        del waiting[entry.table, built.key]
        if entry.definition is None:
            extra[entry.table] = built.metadata
        else:
            context.add_asset_metadata(
                {"dagster/partition_row_count": len(built.frame), **built.metadata},
                asset_key=entry.table,
                partition_key=partition_of[built.key],
            )
        _tell(context, " and ".join(by_name), total, total - len(waiting), began, every)
    if waiting:
        raise dg.Failure(
            f"{first.table} left {len(waiting)} of {total} partitions unmade, first {next(iter(waiting))}; "
            "those that were made are in the lake"
        )
    for name in by_name:
        yield dg.MaterializeResult(
            asset_key=name,
            metadata={
                "dagster/row_count": rows[name],
                "partitions": len(keys),
                "quarantined_rows": bad[name],
                "seconds": round(time.monotonic() - began, 2),
                "place": dg.MetadataValue.path(f"{build.lake.root}/{name}"),
                **types.get(name, {}),
                **extra.get(name, {}),
            },
        )


def _logger(context: dg.AssetExecutionContext) -> Callable[[str], None]:
    def log(line: str) -> None:
        context.log.info(line)
        if on_message is not None:
            on_message(line)

    return log


def _tell(context: dg.AssetExecutionContext, what: str, total: int, done: int, began: float, every: int) -> None:
    """Say how far the step is, in the log and on the terminal."""
    left = (time.monotonic() - began) / done * (total - done)
    if on_progress is not None:
        on_progress(what, done, total, left)
    if total > 1 and (done % every == 0 or done == total):
        context.log.info(f"{what}: {done} of {total} partitions, {left:.0f} s left")


def _made(entries: list[TableAsset], build: Build, make: Callable[[Build], Iterable[Built]]) -> Iterator[Built]:
    """What the asset's function makes, and an empty partition for each day without its anchor."""
    anchor = entries[0].anchor
    lacking = [k for k in build.keys if anchor and not build.lake.has(anchor, k)]
    for entry in entries if lacking else []:
        build.log(f"{entry.table}: {len(lacking)} days have no {anchor}, first {lacking[0]}; left empty")
        frame = pd.DataFrame(
            {c: pd.Series(dtype="str" if c == "symbol" else float) for c in ("symbol", *entry.columns)}
        )
        for key in lacking:
            yield Built(key, frame, {"absent": f"{anchor} has no partition {key}"}, table=entry.table)
    present = [k for k in build.keys if k not in set(lacking)]
    if present:
        yield from make(replace(build, keys=present))


def _set_aside(lake: Lake, entry: TableAsset, built: Built) -> int:
    table = f"quarantine_{entry.table}"
    if built.quarantine is not None and len(built.quarantine):
        lake.write(table, built.key, built.quarantine)
        return len(built.quarantine)
    if entry.raw:
        lake.remove(table, built.key)
    return 0
