"""Connections of the web server to PostgreSQL, tested before each use.

Dagster's web server keeps connections of its own storages open and does not test them: after a restart of the database
each would fail the first request that uses it.
"""

from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import Pool


def open_again() -> None:
    """Let every pool of this process open a connection to PostgreSQL again that the server has closed."""
    if not event.contains(Pool, "checkout", _ping):
        event.listen(Pool, "checkout", _ping)


def _ping(connection: Any, *_: Any) -> None:
    """Raise what makes the pool take a new connection where this one is closed."""
    if not type(connection).__module__.startswith("psycopg2"):
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except connection.Error as error:
        raise DisconnectionError(str(error)) from error
