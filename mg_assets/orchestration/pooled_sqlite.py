"""A SQLite event log for backfills of thousands of partitions.

Dagster's own storage opens a connection for every event and commits each one twice, which costs more than
computing a small partition. Six changes, measured by ``benchmarks/backfill.py``:

- one connection per database and process stays open (write-ahead log, ``synchronous=NORMAL``: a power cut may lose
  the last moments of the *log*, never the lake);
- the materialisations of a range run are stored in one transaction (``DAGSTER_EVENT_BATCH_SIZE``);
- a planned check is one row of its run, not one for each partition;
- a partition that a step of many records itself has one materialisation, not Dagster's besides;
- pages are of 16 kB, since one of 4 kB holds a single materialisation of 2 to 3 kB;
- what is read and cannot change (tables that exist, indices built) is read once.

The schema is Dagster's own, so that its SQLite log reads these files too. What this module takes from Dagster's private
parts is proved by ``tests/mg_assets/orchestration/test_event_log.py``; a release without one of them gets the stock log
(:mod:`mg_assets.orchestration.event_log`).
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import sqlalchemy as db
from dagster._core.events import ASSET_EVENTS
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import StaticPool

from mg_assets.orchestration.stored_events import of_whole_run, recorded_apart

MAX_OPEN_RUNS = 8
INHERITED = (
    "_event_to_row",
    "_store_asset_event",
    "_store_asset_event_tags",
    "conn_string_for_shard",
    "index_transaction",
    "path_for_shard",
    "run_connection",
)
"""What is called of Dagster's class."""
OVERRIDDEN = ("_connect", "_initdb", "dispose", "from_config_value", "has_table", "store_event", "store_event_batch")
"""What Dagster calls of this one."""

_absent = [name for name in (*INHERITED, *OVERRIDDEN) if not hasattr(SqliteEventLogStorage, name)]
if _absent:
    raise ImportError(f"SqliteEventLogStorage of this Dagster has no {', '.join(_absent)}")


class PooledSqliteEventLog(SqliteEventLogStorage):
    """Dagster's run-sharded SQLite event log with open connections and batched writes."""

    def __init__(self, base_dir: str, inst_data: Any = None):
        self._engines: dict[str, Engine] = {}
        self._shard_locks: dict[str, threading.RLock] = {}
        self._guard = threading.Lock()
        super().__init__(base_dir, inst_data)

    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:
        """Make a database's tables; the index's come with Dagster's own connection, opened before there is ours."""
        if for_index_shard:
            with closing(sqlite3.connect(self.path_for_shard(INDEX_SHARD_NAME))) as connection:
                _set_pragmas(connection, None)
        super()._initdb(engine, for_index_shard)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "PooledSqliteEventLog":
        """Build from dagster.yaml (Dagster's own would build its own class)."""
        return cls(inst_data=inst_data, **config_value)

    def has_table(self, table_name: str) -> bool:
        """Whether the index database has the table; a table that was seen once stays."""
        seen: set[str] = self.__dict__.setdefault("_tables_seen", set())
        if table_name not in seen and super().has_table(table_name):
            seen.add(table_name)
        return table_name in seen

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        engine, lock = self._engine(shard)
        with lock, engine.connect() as conn, conn.begin():
            yield conn

    def _engine(self, shard: str) -> tuple[Engine, threading.RLock]:
        with self._guard:
            if shard in self._engines:
                return self._engines[shard], self._shard_locks[shard]
            self._close_oldest_run()
            engine = db.create_engine(
                self.conn_string_for_shard(shard),
                poolclass=StaticPool,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
            db.event.listen(engine, "connect", _set_pragmas)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            self._engines[shard] = engine
            self._shard_locks[shard] = threading.RLock()
            return engine, self._shard_locks[shard]

    def _close_oldest_run(self) -> None:
        """Close the run database opened first, so that a long-lived server does not collect files."""
        runs = [s for s in self._engines if s != INDEX_SHARD_NAME]
        if len(runs) >= MAX_OPEN_RUNS:
            with self._shard_locks.pop(runs[0]):
                self._engines.pop(runs[0]).dispose()

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store the asset events of each run in two transactions: its own database and the index."""
        batches: dict[str, list[EventLogEntry]] = {}
        for event in events:
            if recorded_apart(event):
                continue
            if event.is_dagster_event and event.dagster_event_type in ASSET_EVENTS:
                batches.setdefault(event.run_id, []).append(event)
            else:
                self.store_event(event)
        for run_id, batch in batches.items():
            rows = [self._event_to_row(e) for e in batch]
            with self.run_connection(run_id) as conn:
                conn.execute(SqlEventLogStorageTable.insert(), rows)
            with self.index_transaction() as conn:
                ids = [conn.execute(SqlEventLogStorageTable.insert().values(**r)).lastrowid for r in rows]
                self._store_asset_event_tags(conn, batch, ids)
                last = {
                    (e.dagster_event_type, e.get_dagster_event().asset_key): (e, i)
                    for e, i in zip(batch, ids, strict=True)
                }
                for event, number in last.values():
                    self._store_asset_event(conn, event, number)

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event; a planned check without the partitions of its run."""
        if not recorded_apart(event):
            super().store_event(of_whole_run(event))

    def dispose(self) -> None:
        """Close every connection."""
        super().dispose()
        with self._guard:
            for engine in self._engines.values():
                engine.dispose()
            self._engines.clear()
            self._shard_locks.clear()


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA page_size=16384")  # of a new file
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=250")  # pages: 4 MB, as with SQLite's own
    connection.execute("PRAGMA synchronous=NORMAL")
