"""A PostgreSQL event log for backfills of thousands of partitions on several machines.

Dagster's own opens a connection for every event, asks whether its tables exist each time, and keeps a row for each
partition of a planned check. Here, as in :mod:`mg_assets.orchestration.pooled_sqlite`:

- one connection a process stays open, and up to four more while they are needed; it is tested before each use and
  opened again after a restart of the server;
- the materialisations of a range run are stored in one transaction (``DAGSTER_EVENT_BATCH_SIZE``);
- an event whose connection breaks while it is stored is stored again once the server is back;
- a planned check is one row of its run;
- a partition that a step of many records itself has one materialisation, not Dagster's besides;
- a table that was seen once is not looked for again.

The schema is Dagster's own, so that its PostgreSQL log reads these tables too. What this module takes from Dagster's
private parts is held by ``tests/mg_assets/orchestration/test_postgres_event_log.py``; a release without one of them
gets the stock log (:mod:`mg_assets.orchestration.event_log`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as db
from dagster._core.events import ASSET_EVENTS
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.utils import (
    create_pg_engine,
    get_token_provider_from_config,
    pg_url_from_config,
    set_pg_statement_timeout,
)
from sqlalchemy.engine import Engine

from mg_assets.orchestration.stored_events import of_whole_run, recorded_apart

POOL_SIZE = 1
MAX_OVERFLOW = 4
RECYCLE_AFTER = 1800
"""Seconds after which a connection is opened again: proxies and firewalls cut idle ones."""
ATTEMPTS = 4
"""How often an event is stored whose connections break; each new one is asked for six times, over about six seconds."""
INHERITED = ("_event_to_row", "_store_asset_event", "_store_asset_event_tags", "index_transaction")
"""What is called of Dagster's class."""
OVERRIDDEN = (
    *("dispose", "from_config_value", "has_table", "optimize_for_webserver", "store_event", "store_event_batch"),
)
"""What Dagster calls of this one."""

_absent = [name for name in (*INHERITED, *OVERRIDDEN) if not hasattr(PostgresEventLogStorage, name)]
if _absent:
    raise ImportError(f"PostgresEventLogStorage of this Dagster has no {', '.join(_absent)}")


class PooledPostgresEventLog(PostgresEventLogStorage):
    """Dagster's PostgreSQL event log with a small pool of connections and batched writes."""

    def __init__(self, *args: Any, **kwargs: Any):
        self._tables_seen: set[str] = set()
        super().__init__(*args, **kwargs)
        self._engine = self._pooled(RECYCLE_AFTER, MAX_OVERFLOW)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> "PooledPostgresEventLog":
        """Build from dagster.yaml (Dagster's own would build its own class)."""
        return cls(
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
            token_provider=get_token_provider_from_config(config_value),
        )

    def _pooled(self, recycle_after: int, max_overflow: int) -> Engine:
        return create_pg_engine(
            self.postgres_url,
            self._token_provider,
            isolation_level="AUTOCOMMIT",
            pool_size=POOL_SIZE,
            max_overflow=max_overflow,
            pool_recycle=recycle_after,
            pool_pre_ping=True,
        )

    def optimize_for_webserver(self, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:
        """Take the web server's own limits for the pool, and end its statements after a time in milliseconds."""
        self._engine.dispose()
        self._engine = self._pooled(pool_recycle, max_overflow)
        db.event.listen(self._engine, "connect", lambda conn, _: set_pg_statement_timeout(conn, statement_timeout))

    def has_table(self, table_name: str) -> bool:
        """Whether the database has the table; a table that was seen once stays."""
        if table_name not in self._tables_seen and super().has_table(table_name):
            self._tables_seen.add(table_name)
        return table_name in self._tables_seen

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event; a planned check without the partitions of its run."""
        if recorded_apart(event):
            return
        if event.is_dagster_event and event.dagster_event_type in ASSET_EVENTS:
            _again(lambda: self._store_asset_events([event]))
        else:
            stored = super().store_event
            _again(lambda: stored(of_whole_run(event)))

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store asset events in one transaction."""
        batch = []
        for event in events:
            if recorded_apart(event):
                continue
            if event.is_dagster_event and event.dagster_event_type in ASSET_EVENTS:
                batch.append(event)
            else:
                self.store_event(event)
        if batch:
            _again(lambda: self._store_asset_events(batch))

    def _store_asset_events(self, batch: Sequence[EventLogEntry]) -> None:
        insert = SqlEventLogStorageTable.insert().returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
        with self.index_transaction() as conn:
            ids = list(conn.execute(insert, [self._event_to_row(e) for e in batch]).scalars())
            self._store_asset_event_tags(conn, batch, ids)
            last = {
                (e.get_dagster_event().asset_key.to_string(), str(e.dagster_event_type)): (e, i)  # type: ignore
                for e, i in zip(batch, ids, strict=True)
            }
            for _, (event, number) in sorted(last.items()):  # all processes lock the assets' rows in one order
                self._store_asset_event(conn, event, number)

    def dispose(self) -> None:
        """Close every connection."""
        super().dispose()
        self._engine.dispose()


def _again(store: Callable[[], None]) -> None:
    """Store, once more where the connection broke meanwhile; an answer that was lost leaves an event twice."""
    for left in reversed(range(ATTEMPTS)):
        try:
            return store()
        except db.exc.DBAPIError as error:
            if not (left and error.connection_invalidated):
                raise
