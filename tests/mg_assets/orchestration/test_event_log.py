"""The batched event log stores what Dagster's own does."""

import dagster as dg
import pytest

DAYS = dg.DailyPartitionsDefinition("2023-01-01", end_date="2023-02-01")


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.multi_run(100))
def ranged(context: dg.AssetExecutionContext):
    for key in context.partition_keys:
        context.add_asset_metadata({"rows": int(key[-2:])}, partition_key=key)
    return dg.MaterializeResult(metadata={"all": 1})


@dg.asset_check(asset=ranged)
def checked():
    return dg.AssetCheckResult(passed=True)


def instance_with(folder, batched: bool, monkeypatch) -> dg.DagsterInstance:
    folder.mkdir()
    lines = ["telemetry: {enabled: false}"]
    if batched:
        monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "7")
        lines += [
            "event_log_storage:",
            "  module: mg_assets.orchestration.event_log",
            "  class: PooledSqliteEventLog",
            f"  config: {{base_dir: {folder}/events}}",
        ]
    else:
        monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE", raising=False)
    (folder / "dagster.yaml").write_text("\n".join(lines))
    return dg.DagsterInstance.from_config(str(folder))


def record(instance: dg.DagsterInstance) -> dict:
    result = dg.materialize(
        [ranged, checked],
        instance=instance,
        tags={
            "dagster/asset_partition_range_start": "2023-01-03",
            "dagster/asset_partition_range_end": "2023-01-22",
        },
    )
    assert result.success
    key = dg.AssetKey("ranged")
    records = instance.fetch_materializations(key, limit=100).records
    check = dg.AssetCheckKey(key, "checked")
    summary = instance.event_log_storage.get_latest_asset_check_execution_by_key([check])
    return {
        "partitions": instance.get_materialized_partitions(key),
        "rows": sorted((r.partition_key, r.asset_materialization.metadata["rows"].value) for r in records),
        "latest": instance.get_latest_materialization_event(key).asset_materialization.partition,
        "runs": [len(instance.all_logs(result.run_id)) > 20],
        "types": sorted({e.event_type_value for e in result.all_events}),
        "check": summary[check].status.value,
    }


def test_batched_storage_records_the_same(tmp_path, monkeypatch):
    own = record(instance_with(tmp_path / "own", False, monkeypatch))
    batched = instance_with(tmp_path / "batched", True, monkeypatch)
    assert type(batched.event_log_storage).__name__ in ("PooledSqliteEventLog", "LegacyEventLogStorage")
    assert record(batched) == own
    assert len(own["partitions"]) == 20


def test_many_runs_keep_few_databases_open(tmp_path, monkeypatch):
    from mg_assets.orchestration.event_log import INDEX_SHARD_NAME, MAX_OPEN_RUNS, PooledSqliteEventLog

    log = PooledSqliteEventLog(str(tmp_path))
    for number in range(MAX_OPEN_RUNS + 5):
        with log.run_connection(f"run{number}") as connection:
            assert connection is not None
    assert len([s for s in log._engines if s != INDEX_SHARD_NAME]) <= MAX_OPEN_RUNS
    log.dispose()
    assert not log._engines


@pytest.mark.parametrize("failing", [True, False])
def test_a_failed_transaction_stores_nothing(tmp_path, failing):
    from dagster._core.storage.event_log.schema import SqlEventLogStorageTable

    from mg_assets.orchestration.event_log import PooledSqliteEventLog

    log = PooledSqliteEventLog(str(tmp_path))
    row = {"run_id": "r", "event": "{}", "dagster_event_type": None, "timestamp": None}
    row |= {"step_key": None, "asset_key": None, "partition": None}

    def write() -> None:
        with log.run_connection("r") as connection:
            connection.execute(SqlEventLogStorageTable.insert(), [row])
            if failing:
                raise RuntimeError("cut")

    if failing:
        with pytest.raises(RuntimeError, match="cut"):
            write()
    else:
        write()
    with log.run_connection("r") as connection:
        count = len(connection.execute(SqlEventLogStorageTable.select()).fetchall())
    assert count == (0 if failing else 1)


def test_a_planned_check_is_one_row_of_its_run(tmp_path, monkeypatch):
    import sqlite3

    record(instance_with(tmp_path / "ours", True, monkeypatch))
    with sqlite3.connect(tmp_path / "ours" / "events" / "index.db") as database:
        rows = database.execute("select execution_status, partition from asset_check_executions").fetchall()
    assert rows == [("SUCCEEDED", None)]  # Dagster's own log keeps 20 more, planned for ever
