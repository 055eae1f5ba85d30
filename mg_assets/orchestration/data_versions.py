"""Dagster's own staleness, fed from the lake's: recipe and content digest of every partition.

Dagster gives all partitions of a step one data version. So each partition gets a materialisation of its own, with
Dagster's tags: the recipe as code version, the content digest as data version, and the last event of each upstream
table at the start of the step. A partition that is rebuilt with the same content makes nothing stale there either.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg

try:
    from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata, generate_event_batch_id
except ImportError:  # private: a release without them records one by one
    BATCHES = False
else:
    BATCHES = True

CODE_VERSION = "dagster/code_version"
DATA_VERSION = "dagster/data_version"
GIVEN = {"dagster/data_version_is_user_provided": "true"}
RECORDED_APART = "mg/recorded_apart"
"""Tag of what Dagster makes of a step's output, one a partition, where the step records its own."""
UNKNOWN_VERSION, UNKNOWN_EVENT = "INITIAL", "NULL"
"""Dagster's own for an upstream table that it has no event of."""


def upstream_tags(instance: dg.DagsterInstance, tables: Iterable[str]) -> dict[str, str]:
    """Tags that say which state of the upstream tables a materialisation was made from.

    Parameters
    ----------
    instance : DagsterInstance
    tables : iterable of str
        Upstream tables.

    Returns
    -------
    dict of str to str
    """
    tags: dict[str, str] = {}
    for table in tables:
        version, event = UNKNOWN_VERSION, UNKNOWN_EVENT
        for record in instance.fetch_materializations(dg.AssetKey(table), limit=1).records:
            made = record.asset_materialization
            version = (made.tags or {}).get(DATA_VERSION, version) if made is not None else version
            event = str(record.storage_id)
        tags |= {f"dagster/input_data_version/{table}": version, f"dagster/input_event_pointer/{table}": event}
    return tags


def materialisation(
    table: str,
    partition: str | None,
    metadata: Mapping[str, Any],
    recipe: str,
    digest: str,
    upstream: Mapping[str, str],
) -> dg.AssetMaterialization:
    """The event of one partition.

    Parameters
    ----------
    table : str
    partition : str or None
        Dagster's partition key.
    metadata : dict
    recipe : str
        Of the table.
    digest : str
        Of the partition's content.
    upstream : dict of str to str
        As :func:`upstream_tags` gave it at the start of the step.

    Returns
    -------
    AssetMaterialization
    """
    tags = {CODE_VERSION: recipe, DATA_VERSION: digest, **GIVEN, **upstream}
    return dg.AssetMaterialization(table, partition=partition, metadata=dict(metadata), tags=tags)


def recorded_together(
    context: dg.AssetExecutionContext, made: Iterable[dg.AssetMaterialization]
) -> Iterator[dg.AssetMaterialization]:
    """Record the materialisations of a step's partitions in batches of ``DAGSTER_EVENT_BATCH_SIZE``.

    Dagster stores each that a step yields in transactions of its own: 1.9 ms of CPU in place of 0.5 ms.

    Parameters
    ----------
    context : AssetExecutionContext
    made : iterable of AssetMaterialization

    Yields
    ------
    AssetMaterialization
        All of them where this Dagster cannot: the step is to yield them.
    """
    if not BATCHES:
        yield from made
        return
    events, batch = list(made), generate_event_batch_id()
    step = context.get_step_execution_context()
    for event in events:
        DagsterEvent.asset_materialization(step, event, DagsterEventBatchMetadata(batch, event is events[-1]))
