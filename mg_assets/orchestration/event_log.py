"""The event log that ``dagster.yaml`` names: pooled SQLite, or Dagster's own where this Dagster does not allow it.

The pooled log is built on private parts of Dagster, which any release may change. An upgrade must not break a lake:
both logs read and write the same files, and the stock one costs only time (13 times the bookkeeping a partition).
"""

import logging

try:
    from mg_assets.orchestration.pooled_sqlite import PooledSqliteEventLog
except ImportError as error:
    from dagster import __version__
    from dagster._core.storage.event_log import SqliteEventLogStorage as PooledSqliteEventLog  # type: ignore

    logging.getLogger(__name__).warning(
        "Dagster %s: its own SQLite event log is used, backfills take longer to record (%s)", __version__, error
    )

__all__ = ["PooledSqliteEventLog"]
