"""The pooled PostgreSQL event log: what Dagster's own stores, in fewer connections and rows, on a real server.

Needs ``pip install -e '.[scale]'`` and a PostgreSQL server (Debian's: ``apt-get install postgresql``); each test says
which of them it lacks. The private API of Dagster is held without either.
"""

import inspect
import logging
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from postgres_server import postgres_server
from recorded_apart import ONE_EACH, record_apart
from sqlalchemy import event, text

from mg_assets.assets import ASSETS
from mg_assets.orchestration import event_log
from mg_assets.orchestration.checks import build_checks
from mg_assets.orchestration.resources import ComputeResource, LakeResource, SourceResource

DAYS = dg.DailyPartitionsDefinition("2023-01-01", end_date="2023-02-01")
MARKET = {"stocks": 12, "tick_start": "2023-01-03"}
TABLES = ("planted_signal", "reference", "daily_bars")
BUILT = ("2022-02-07", "2022-02-08", "2022-02-09", "2022-02-10")


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("dagster_postgres", reason="dagster-postgres is absent: pip install -e '.[scale]'")
    with postgres_server() as running:
        yield running


def home(folder: Path, url: str, log: str = "PooledPostgresEventLog") -> dg.DagsterInstance:
    """An instance whose whole storage is in PostgreSQL."""
    ours, theirs = "mg_assets.orchestration.event_log", "dagster_postgres"
    storage = {"event_log": (log, ours if log.startswith("Pooled") else theirs)}
    storage |= {kind: (f"Postgres{kind.title()}Storage", theirs) for kind in ("run", "schedule")}
    lines = ["telemetry: {enabled: false}"]
    for kind, (name, module) in storage.items():
        config = f"{{postgres_url: '{url}'}}"
        lines.append(f"{kind}_storage: {{module: {module}, class: {name}, config: {config}}}")
    folder.mkdir(exist_ok=True)
    (folder / "dagster.yaml").write_text("\n".join(lines))
    return dg.DagsterInstance.from_config(str(folder))


@pytest.fixture
def instance(server, tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "7")
    with home(tmp_path / "home", server.url) as found:
        found.event_log_storage.wipe()
        yield found


def sqlite(folder: Path) -> dg.DagsterInstance:
    """An instance on the pooled SQLite log."""
    folder.mkdir()
    (folder / "dagster.yaml").write_text(
        "event_log_storage: {module: mg_assets.orchestration.event_log, class: PooledSqliteEventLog, "
        f"config: {{base_dir: '{folder}/events'}}}}"
    )
    return dg.DagsterInstance.from_config(str(folder))


def query(instance: dg.DagsterInstance, statement: str) -> list[tuple]:
    with instance.event_log_storage.index_connection() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def asset_rows(instance: dg.DagsterInstance) -> list[tuple]:
    return query(instance, "select asset_key, last_materialization is not null from asset_keys order by 1")


@dg.multi_asset(
    specs=[dg.AssetSpec("first", partitions_def=DAYS), dg.AssetSpec("second", partitions_def=DAYS)],
    backfill_policy=dg.BackfillPolicy.multi_run(100),
)
def pair(context: dg.AssetExecutionContext):
    for key in context.partition_keys:
        for name in ("first", "second"):
            context.add_asset_metadata({"rows": int(key[-2:])}, asset_key=name, partition_key=key)


@dg.asset_check(asset="first")
def checked():
    return dg.AssetCheckResult(passed=True)


def record(instance: dg.DagsterInstance, definitions=(pair, checked), first="2023-01-03", last="2023-01-22", **more):
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    result = dg.materialize(list(definitions), instance=instance, tags=tags, **more)
    assert result.success
    return result


def shown(instance: dg.DagsterInstance) -> dict:
    """What a user reads of the assets."""
    log, found = instance.event_log_storage, {}
    for name in ("first", "second"):
        key = dg.AssetKey(name)
        records = instance.fetch_materializations(key, limit=100).records
        found[name] = {
            "partitions": instance.get_materialized_partitions(key),
            "rows": sorted((r.partition_key, r.asset_materialization.metadata["rows"].value) for r in records),
            "latest": instance.get_latest_materialization_event(key).asset_materialization.partition,
            "each": {k: r > 0 for k, r in log.get_latest_storage_id_by_partition(
                key, dg.DagsterEventType.ASSET_MATERIALIZATION).items()},
        }  # fmt: skip
    check = dg.AssetCheckKey(dg.AssetKey("first"), "checked")
    found["check"] = log.get_latest_asset_check_execution_by_key([check])[check].status.value
    return found


def test_it_records_what_the_sqlite_log_records(instance, tmp_path, monkeypatch):
    record(instance)
    with sqlite(tmp_path / "sqlite") as local:
        record(local)
        expected = shown(local)
    assert shown(instance) == expected
    assert len(expected["first"]["partitions"]) == len(expected["second"]["partitions"]) == 20
    assert asset_rows(instance) == [('["first"]', True), ('["second"]', True)]


def test_the_stock_log_reads_and_continues_it(instance, server, tmp_path):
    record(instance)
    before = shown(instance)
    with home(tmp_path / "stock", server.url, "PostgresEventLogStorage") as stock:
        assert type(stock.event_log_storage).__name__ == "PostgresEventLogStorage"
        assert shown(stock) == before
        record(stock, first="2023-01-23", last="2023-01-24")
    assert len(shown(instance)["second"]["partitions"]) == 22


def test_a_planned_check_is_one_row_in_postgres(instance):
    record(instance)
    rows = query(instance, "select execution_status, partition from asset_check_executions")
    assert rows == [("SUCCEEDED", None)]  # Dagster's own log keeps 20 more, planned for ever


def test_a_partition_recorded_apart_has_one_row(instance):
    assert record_apart(instance) == ONE_EACH
    kinds = "select dagster_event_type, count(*) from event_logs where asset_key is not null group by 1 order by 1"
    assert query(instance, kinds) == [("ASSET_MATERIALIZATION", 20), ("ASSET_MATERIALIZATION_PLANNED", 20)]


def test_a_batch_is_stored_whole_or_not_at_all(instance, monkeypatch):
    events = [logged(dg.AssetMaterialization(name, partition="2023-01-03")) for name in ("first", "second")]
    log = instance.event_log_storage

    def cut(*_arguments) -> None:
        raise RuntimeError("cut")

    monkeypatch.setattr(log, "_store_asset_event", cut)
    with pytest.raises(RuntimeError, match="cut"):
        log.store_event_batch(events)
    assert query(instance, "select count(*) from event_logs") == [(0,)]
    monkeypatch.undo()
    log.store_event_batch(events)
    assert asset_rows(instance) == [('["first"]', True), ('["second"]', True)]


def test_few_connections_serve_a_run(instance):
    opened = []
    engine = instance.event_log_storage._engine
    event.listen(engine, "connect", lambda *_: opened.append(1))
    record(instance)
    assert len(opened) == 1  # Dagster's own opens one for every event
    assert (engine.pool.size(), engine.pool._max_overflow) == (1, 4)
    assert query(instance, "show synchronous_commit") == [("off",)]  # an option of the URL


def test_a_restart_of_the_server_is_survived(instance, server):
    (before,) = query(instance, "select pg_backend_pid()")
    record(instance, last="2023-01-04")
    server.stop()
    server.start()
    assert query(instance, "select pg_backend_pid()") != [before]
    record(instance, first="2023-01-05", last="2023-01-06")
    assert len(shown(instance)["first"]["partitions"]) == 4


@pytest.mark.parametrize("table", ["event_logs", "asset_keys"])
def test_an_event_is_stored_again_where_its_connection_breaks(instance, table):
    log, broken = instance.event_log_storage, []

    def cut(conn, cursor, statement, *_arguments) -> None:
        if statement.startswith(f"INSERT INTO {table}") and len(broken) < 2:
            (other,) = query(instance, "select pg_backend_pid()")
            broken.append(cursor.connection.get_backend_pid())
            assert other != (broken[-1],)
            query(instance, f"select pg_terminate_backend({broken[-1]}, 5000)")

    event.listen(log._engine, "before_cursor_execute", cut)
    log.store_event(logged(dg.AssetMaterialization("first", partition="2023-01-03")))
    assert len(set(broken)) == 2
    assert query(instance, "select partition from event_logs") == [("2023-01-03",)]
    assert asset_rows(instance) == [('["first"]', True)]


def test_tables_are_looked_for_once(instance, monkeypatch):
    log = instance.event_log_storage
    assert log.has_table("asset_check_executions")
    assert not log.has_table("absent")
    monkeypatch.setattr(log, "_connect", None)  # not asked again
    assert log.has_table("asset_check_executions")


def test_the_web_servers_limits_are_kept(instance):
    instance.optimize_for_webserver(statement_timeout=1234, pool_recycle=60, max_overflow=2)
    assert query(instance, "show statement_timeout") == [("1234ms",)]
    assert instance.event_log_storage._engine.pool._max_overflow == 2
    assert query(instance, "show synchronous_commit") == [("off",)]


@pytest.mark.slow
def test_a_backfill_on_postgres_makes_the_same_lake(instance, tmp_path):
    local = tmp_path / "local"
    with sqlite(tmp_path / "sqlite") as other:
        build(other, local)
        expected = {table: events(other, table) for table in TABLES}
    result = build(instance, tmp_path / "lake")
    files = {f.relative_to(local): f.read_bytes() for f in sorted(local.rglob("*.parquet"))}
    assert {f.relative_to(tmp_path / "lake") for f in (tmp_path / "lake").rglob("*.parquet")} == set(files)
    assert len(files) >= len(TABLES) * len(BUILT)
    for name, content in files.items():
        assert (tmp_path / "lake" / name).read_bytes() == content, name
    for table in TABLES:
        assert events(instance, table) == expected[table]
        assert {key for key, _ in expected[table]} == set(BUILT)
        one = dg.AssetRecordsFilter(dg.AssetKey(table), asset_partitions=[BUILT[1]])
        found = instance.fetch_materializations(one, limit=5).records
        assert {(r.partition_key, r.run_id) for r in found} == {(BUILT[1], result.run_id)}


def events(instance: dg.DagsterInstance, table: str) -> list[tuple]:
    """Partition and metadata of each materialisation, without paths."""
    records = instance.fetch_materializations(dg.AssetKey(table), limit=100).records
    metadata = [(r.partition_key, r.asset_materialization.metadata) for r in records]
    return sorted((key, sorted(k for k in shown if k != "path")) for key, shown in metadata)


def build(instance: dg.DagsterInstance, lake: Path) -> dg.ExecuteInProcessResult:
    """The range run that Dagster's daemon makes of a backfill of four days."""
    chosen = [a for a in ASSETS if {k.path[-1] for k in a.keys} & set(TABLES)]
    resources = {
        "lake": LakeResource(root=str(lake)),
        "source": SourceResource(kind="simulated", options=MARKET),
        "compute": ComputeResource(workers=1),
    }
    return record(instance, [*chosen, *build_checks(["daily_bars"])], BUILT[0], BUILT[-1], resources=resources)


def logged(materialization: dg.AssetMaterialization):
    """A materialisation as an entry of the log."""
    from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
    from dagster._core.events.log import EventLogEntry

    event = DagsterEvent(
        event_type_value=DagsterEventType.ASSET_MATERIALIZATION.value,
        job_name="j",
        event_specific_data=StepMaterializationData(materialization, []),
    )
    return EventLogEntry(
        error_info=None, level=10, user_message="", run_id="r", timestamp=time.time(), job_name="j", dagster_event=event
    )


SQL_API = {
    "_event_to_row": ["self", "event"],
    "_store_asset_event": ["self", "conn", "event", "event_id"],
    "_store_asset_event_tags": ["self", "conn", "events", "event_ids"],
    "has_table": ["self", "table_name"],
    "index_transaction": ["self"],
    "store_event": ["self", "event"],
    "store_event_batch": ["self", "events"],
}
"""Methods of Dagster's SQL event log that both pooled logs call or replace."""


@pytest.mark.parametrize("name", SQL_API)
def test_dagsters_sql_log_has_what_both_logs_use(name):
    assert list(inspect.signature(getattr(SqlEventLogStorage, name)).parameters) == SQL_API[name]


POSTGRES_API = {
    "PostgresEventLogStorage.__init__": [
        *("self", "postgres_url", "should_autocreate_tables", "inst_data", "token_provider"),
    ],
    "PostgresEventLogStorage._store_asset_event": ["self", "conn", "event", "event_id"],
    "PostgresEventLogStorage.optimize_for_webserver": ["self", "statement_timeout", "pool_recycle", "max_overflow"],
    "PostgresEventLogStorage.from_config_value": ["inst_data", "config_value"],
    "PostgresEventLogStorage.dispose": ["self"],
    "create_pg_engine": ["postgres_url", "token_provider", "engine_kwargs"],
    "get_token_provider_from_config": ["config_value"],
    "pg_url_from_config": ["config_value"],
    "set_pg_statement_timeout": ["conn", "millis"],
}


@pytest.mark.parametrize("name", POSTGRES_API)
def test_dagster_postgres_has_what_the_pooled_log_uses(name):
    found = pytest.importorskip(
        "dagster_postgres.event_log.event_log", reason="dagster-postgres is absent: pip install -e '.[scale]'"
    )
    for part in name.split("."):
        found = getattr(found, part)
    assert list(inspect.signature(found).parameters) == POSTGRES_API[name]


def test_the_attributes_of_the_stock_log_are_ours(instance):
    log = instance.event_log_storage
    assert type(log).__name__ == "PooledPostgresEventLog"  # dagster.yaml's own class, not its parent's
    assert {"_engine", "_token_provider", "postgres_url"} <= set(vars(log))


def test_a_renamed_private_method_gets_the_stock_log(monkeypatch, caplog):
    pytest.importorskip("dagster_postgres", reason="dagster-postgres is absent: pip install -e '.[scale]'")
    monkeypatch.delattr(SqlEventLogStorage, "_event_to_row")
    monkeypatch.delitem(sys.modules, "mg_assets.orchestration.pooled_postgres", raising=False)
    with caplog.at_level(logging.WARNING):
        assert event_log.PooledPostgresEventLog.__name__ == "PostgresEventLogStorage"
    (line,) = caplog.messages
    assert "has no _event_to_row" in line
    assert dg.__version__ in line


def test_without_dagster_postgres_one_line_names_the_remedy(monkeypatch):
    monkeypatch.setattr(event_log.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'mg\[scale\]'"):
        _ = event_log.PooledPostgresEventLog
    with pytest.raises(AttributeError, match="no attribute 'Other'"):
        _ = event_log.Other
