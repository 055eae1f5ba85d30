"""A range run whose step records each partition itself, as those of the lake do, and what an instance has of it."""

import dagster as dg

from mg_assets.orchestration.data_versions import RECORDED_APART, materialisation, recorded_together

DAYS = dg.DailyPartitionsDefinition("2023-01-01", end_date="2023-02-01")
ENDS = ("2023-01-03", "2023-01-22")


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def apart(context: dg.AssetExecutionContext):
    yield dg.MaterializeResult(metadata={"all": 1}, tags={RECORDED_APART: "true"})
    events = [materialisation("apart", key, {"rows": 3}, "recipe", f"of {key}", {}) for key in context.partition_keys]
    yield from recorded_together(context, events)


def record_apart(instance: dg.DagsterInstance) -> list[tuple[str, str, int]]:
    """Run it over twenty days; partition, data version and rows of every materialisation that the assets' pages list.

    The run's own log is to list as many.
    """
    tags = dict(zip(("dagster/asset_partition_range_start", "dagster/asset_partition_range_end"), ENDS, strict=True))
    run = dg.materialize([apart], instance=instance, tags=tags)
    assert run.success
    found = [(r.partition_key, r.asset_materialization) for r in
             instance.fetch_materializations(dg.AssetKey("apart"), limit=100).records]  # fmt: skip
    logged = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records
    assert len(logged) == len(found)
    return sorted((key, made.tags["dagster/data_version"], made.metadata["rows"].value) for key, made in found)


ONE_EACH = [(f"2023-01-{day:02}", f"of 2023-01-{day:02}", 3) for day in range(3, 23)]
