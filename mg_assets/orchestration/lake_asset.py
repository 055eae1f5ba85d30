"""Lake assets: how a table of the lake becomes a Dagster asset.

:func:`lake_asset` makes a :class:`LakeAsset` of a function that yields finished partitions. Its Dagster asset

1. maps the upstream tables to Dagster dependencies with the window that each :class:`UpstreamWindow` states,
2. runs one partition or a range of hundreds in one step, writing each partition as soon as it is made,
3. makes the others where one cannot be made, and fails at the end with the reason of each that is missing,
4. records rows, seconds and quarantined rows per partition, and logs its progress.

The last three are in :mod:`mg_assets.orchestration.write_step`, what the function is given and yields in
:mod:`mg_assets.orchestration.partition_build`. The list of all of them: :mod:`mg_assets.assets`. Which partitions are
up to date: :mod:`mg_assets.orchestration.staleness`.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import dagster as dg

from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.window import UpstreamWindow
from mg_assets.orchestration import callbacks
from mg_assets.orchestration.column_schema import stated_schema
from mg_assets.orchestration.partition_build import Build, Make
from mg_assets.orchestration.partitions import CADENCES, DAILY, HALF_YEARLY, freshness, lake_key, mapping
from mg_assets.orchestration.resources import ComputeResource, LakeResource, SourceResource, gpu_launcher
from mg_assets.orchestration.staleness import TableAsset, TableRegistry
from mg_assets.orchestration.write_step import write_partitions
from mg_assets.settings import settings
from mg_assets.sources.recorded import RecordedSource

MAX_PARTITIONS_PER_RUN = 300  # a year and the look-back of the widest window
OWNERS = ["team:mg"]


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
    make: Make
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
                    description=_description(self.descriptions[entry.table], partitions),
                    metadata=_static_metadata(entry, self.make),
                    group_name=self.groups[entry.table],
                    code_version=registry.recipe(entry.table),
                    owners=OWNERS,
                    kinds={"parquet", *self.kinds},
                    tags={"cadence": CADENCES[partitions]},
                    freshness_policy=freshness(partitions),
                    partitions_def=partitions,
                )
                for entry in self.entries
            ],
            backfill_policy=_backfill_policy(partitions, self.single_run, settings().half_years_per_run),
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
                find_device=cache(
                    partial(compute.torch_device, gpu_launcher(context.instance) if self.pool == "gpu" else "")
                ),
                log=_logger(context),
                recipes=self.recipes(registry),
                on_progress=callbacks.on_progress,
                source_marks=partial(recorded.marks, keys=keys.keys()),
                asked=_asked(context),
            )
            yield from write_partitions(context, registry, self.entries, self.make, build, keys)

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
) -> Callable[[Make], LakeAsset]:
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

    def decorate(make: Make) -> LakeAsset:
        text = description or inspect.getdoc(make)  # without its indentation: four spaces are code in Markdown
        texts = text if isinstance(text, Mapping) else dict.fromkeys(names, text)
        groups = dict.fromkeys(names, group) if isinstance(group, str) else group
        return LakeAsset(entries, make, texts, groups, frozenset(kinds), single_run, pool, op_tags)

    return decorate


def _description(text: str | None, partitions: dg.PartitionsDefinition | None) -> str | None:
    if partitions != HALF_YEARLY:
        return text
    first, gap, rest = (text or "").partition("\n\n")
    named = "A partition is named by its half-year's first day: 2023-01-01 is 2023H1, 2023-07-01 is 2023H2."
    return f"{first}\n\n{named}{gap}{rest}"


def _dependency(entry: TableAsset, upstream: TableAsset, need: UpstreamWindow) -> dg.AssetDep:
    down, up = entry.definition, upstream.definition
    if entry.table == upstream.table:
        before = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
        return dg.AssetDep(entry.table, partition_mapping=before)
    if down is None or up is None:
        return dg.AssetDep(need.table)
    return dg.AssetDep(need.table, partition_mapping=mapping(down, up, need.back, need.ahead))


def _asked(context: dg.AssetExecutionContext) -> float | None:
    """When the run was asked for; of an automatic retry when the first attempt was, of a person's own this one."""
    run = context.run
    first = run.root_run_id if "dagster/retry_number" in run.tags else None
    record = context.instance.get_run_record_by_id(first or run.run_id)
    return None if record is None else record.create_timestamp.timestamp()


def _backfill_policy(
    partitions: dg.PartitionsDefinition | None, single_run: bool, half_years: int
) -> dg.BackfillPolicy | None:
    if partitions is None:
        return None
    if single_run:
        return dg.BackfillPolicy.single_run()
    most = half_years if partitions == HALF_YEARLY and half_years else MAX_PARTITIONS_PER_RUN
    return dg.BackfillPolicy.multi_run(max_partitions_per_run=most)


def _columns_of(table: str, columns: Mapping[str, str | dict[str, str]] | None) -> dict[str, str]:
    own = (columns or {}).get(table)
    return own if isinstance(own, dict) else {n: text for n, text in (columns or {}).items() if isinstance(text, str)}


def _static_metadata(entry: TableAsset, make: Make) -> dict[str, Any]:
    """Column schema, and the link to the code that makes the table."""
    code = dg.LocalFileCodeReference(
        file_path=inspect.getsourcefile(make) or __file__, line_number=make.__code__.co_firstlineno, label=entry.table
    )
    schema = stated_schema(entry)
    return {
        "dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[code]),
        **({"dagster/column_schema": schema} if schema is not None else {}),
    }


def _keys(context: dg.AssetExecutionContext, partitions: dg.PartitionsDefinition | None) -> dict[str, str]:
    """The run's partitions: lake key -> partition key, ascending."""
    if partitions is None:
        return {WHOLE: ""}
    return {lake_key(k, partitions): k for k in sorted(context.partition_keys)}


def _logger(context: dg.AssetExecutionContext) -> Callable[[str], None]:
    def log(line: str) -> None:
        context.log.info(line)
        if callbacks.on_message is not None:
            callbacks.on_message(line)

    return log
