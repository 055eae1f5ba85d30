"""The event logs that ``dagster.yaml`` names: pooled SQLite and pooled PostgreSQL, or Dagster's own of each.

The pooled logs are built on private parts of Dagster, which any release may change. An upgrade must not break a lake:
where this Dagster does not allow one, its own is used, which reads and writes the same tables and costs only time (13
times the bookkeeping a partition with SQLite).
"""

import importlib.util
import logging
from typing import Any

from mg_assets.orchestration.time_windows import speed_up

try:
    from mg_assets.orchestration.pooled_sqlite import PooledSqliteEventLog
except ImportError as error:
    from dagster import __version__
    from dagster._core.storage.event_log import SqliteEventLogStorage as PooledSqliteEventLog  # type: ignore

    logging.getLogger(__name__).warning(
        "Dagster %s: its own SQLite event log is used, backfills take longer to record (%s)", __version__, error
    )

__all__ = ["PooledSqliteEventLog"]

speed_up()


def __getattr__(name: str) -> Any:
    """``PooledPostgresEventLog``, imported where it is named: one machine has no ``dagster_postgres``."""
    if name != "PooledPostgresEventLog":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if importlib.util.find_spec("dagster_postgres") is None:
        raise ImportError("dagster.yaml keeps the event log in PostgreSQL: pip install 'mg[scale]' (dagster-postgres)")
    try:
        from mg_assets.orchestration.pooled_postgres import PooledPostgresEventLog
    except ImportError as error:
        from dagster import __version__
        from dagster_postgres.event_log import PostgresEventLogStorage as PooledPostgresEventLog  # type: ignore

        logging.getLogger(__name__).warning(
            "Dagster %s: its own PostgreSQL event log is used, backfills take longer to record (%s)", __version__, error
        )
    return PooledPostgresEventLog
