"""The pooled event log stores what Dagster's own does, and what it takes from Dagster's private parts is as it expects.

Run by hand against another release (a virtual environment that has it, this one's packages after its own):
``python -m pytest tests/mg_assets/orchestration/test_event_log.py``.
"""

import importlib
import logging
import sys
import time

import dagster as dg
import pytest
from recorded_apart import ONE_EACH, record_apart

from mg_assets.orchestration import data_versions

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


def test_pooled_log_records_what_the_stock_log_records(tmp_path, monkeypatch):
    own = record(instance_with(tmp_path / "own", False, monkeypatch))
    batched = instance_with(tmp_path / "batched", True, monkeypatch)
    assert type(batched.event_log_storage).__name__ in ("PooledSqliteEventLog", "LegacyEventLogStorage")
    assert record(batched) == own
    assert len(own["partitions"]) == 20


@pytest.mark.parametrize("pooled_first", [True, False])
def test_both_logs_read_and_continue_each_others_files(tmp_path, monkeypatch, pooled_first):
    """A lake whose Dagster falls back to the stock log, or comes back from it, keeps its history."""
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "7")
    first = instance_with(tmp_path / "home", pooled_first, monkeypatch)
    before = record(first)
    lines = ["telemetry: {enabled: false}", "event_log_storage:"]
    if pooled_first:
        lines += ["  module: dagster._core.storage.event_log", "  class: SqliteEventLogStorage"]
    else:
        lines += ["  module: mg_assets.orchestration.event_log", "  class: PooledSqliteEventLog"]
    events = tmp_path / "home" / ("events" if pooled_first else "history/runs")
    (tmp_path / "home" / "dagster.yaml").write_text("\n".join([*lines, f"  config: {{base_dir: {events}}}"]))
    with dg.DagsterInstance.from_config(str(tmp_path / "home")) as second:
        key = dg.AssetKey("ranged")
        assert second.get_materialized_partitions(key) == before["partitions"]
        assert len(second.fetch_materializations(key, limit=100).records) == 20
        assert record(second)["partitions"] == before["partitions"]
        assert len(second.fetch_materializations(key, limit=100).records) == 40


def test_many_runs_keep_few_databases_open(tmp_path, monkeypatch):
    from mg_assets.orchestration.pooled_sqlite import INDEX_SHARD_NAME, MAX_OPEN_RUNS, PooledSqliteEventLog

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


@pytest.mark.parametrize("batches", [True, False])
def test_a_partition_recorded_apart_has_one_event(tmp_path, monkeypatch, batches):
    monkeypatch.setattr(data_versions, "BATCHES", batches)
    instance = instance_with(tmp_path / "ours", True, monkeypatch)
    log, sizes = type(instance.event_log_storage), []
    stored = log.store_event_batch
    monkeypatch.setattr(log, "store_event_batch", lambda own, events: (sizes.append(len(events)), stored(own, events)))
    assert record_apart(instance) == ONE_EACH
    planned = dagsters = [7, 7, 6]
    assert sizes == planned + dagsters + ([7, 7, 6] if batches else [])
    with dg.DagsterInstance.ephemeral() as stock:
        with pytest.raises(KeyError):
            record_apart(stock)  # it has Dagster's own too, without rows


def test_pages_of_a_new_log_hold_several_events(tmp_path):
    from mg_assets.orchestration.pooled_sqlite import PooledSqliteEventLog

    log = PooledSqliteEventLog(str(tmp_path))
    for connect in (log.index_connection, lambda: log.run_connection("r")):
        with connect() as connection:
            assert connection.exec_driver_sql("pragma page_size").scalar() == 16384
    log.dispose()


def planned_check():
    """A planned check of a run of partitions, as Dagster makes the event."""
    from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
    from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
    from dagster._core.events import DagsterEvent, DagsterEventType
    from dagster._core.events.log import EventLogEntry

    data = AssetCheckEvaluationPlanned(
        asset_key=dg.AssetKey("ranged"), check_name="checked", partitions_subset=DefaultPartitionsSubset({"a", "b"})
    )
    event = DagsterEvent(
        event_type_value=DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value, job_name="j", event_specific_data=data
    )
    return EventLogEntry(
        error_info=None, level=10, user_message="", run_id="r", timestamp=time.time(), job_name="j", dagster_event=event
    )


def test_private_parts_mean_what_the_pooled_log_expects(tmp_path):
    """One line for each private name that the pooled log uses."""
    from dagster._core.events import ASSET_EVENTS, DagsterEventType
    from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
    from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
    from dagster_shared.record import copy

    from mg_assets.orchestration.pooled_sqlite import PooledSqliteEventLog

    log = PooledSqliteEventLog.from_config_value(None, {"base_dir": str(tmp_path)})
    entry = planned_check()
    row = log._event_to_row(entry)
    assert set(row) <= {column.name for column in SqlEventLogStorageTable.columns}
    assert row["run_id"] == "r"
    assert log.has_table("event_logs")
    with log.run_connection("r") as connection:  # by way of _connect, which makes the database with _initdb
        assert connection.engine is log._engines["r"]
        written = connection.execute(SqlEventLogStorageTable.insert().values(**row))
        assert written.lastrowid == 1  # what store_event_batch takes as the event's id
    with log.index_transaction() as connection:
        assert connection.engine is log._engines[INDEX_SHARD_NAME]
    assert {INDEX_SHARD_NAME, "r"} >= log._initialized_dbs > set()
    assert log.conn_string_for_shard("r") == f"sqlite:///{tmp_path}/r.db"
    assert DagsterEventType.ASSET_MATERIALIZATION in ASSET_EVENTS
    assert SQLITE_BUSY_TIMEOUT_SECONDS > 0
    data = entry.get_dagster_event().asset_check_planned_data
    assert copy(data, partitions_subset=None).partitions_subset is None
    assert entry._replace(run_id="s").run_id == "s"
    log.dispose()


def test_a_dagster_without_them_gets_the_stock_log(monkeypatch, caplog):
    from dagster._core.storage.event_log import SqliteEventLogStorage

    from mg_assets.orchestration import event_log

    monkeypatch.setitem(sys.modules, "mg_assets.orchestration.pooled_sqlite", None)
    with caplog.at_level(logging.WARNING):
        fallback = importlib.reload(event_log)
    assert fallback.PooledSqliteEventLog is SqliteEventLogStorage
    (line,) = caplog.messages
    assert dg.__version__ in line
    monkeypatch.undo()
    importlib.reload(event_log)
    assert event_log.PooledSqliteEventLog is not SqliteEventLogStorage


def test_a_renamed_private_method_is_noticed_at_import(monkeypatch):
    from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

    monkeypatch.delattr(SqlEventLogStorage, "_event_to_row")
    monkeypatch.delitem(sys.modules, "mg_assets.orchestration.pooled_sqlite")
    with pytest.raises(ImportError, match="has no _event_to_row"):
        importlib.import_module("mg_assets.orchestration.pooled_sqlite")
