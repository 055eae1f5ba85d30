"""A connection to PostgreSQL that its server has closed is opened again before the web server uses it."""

from types import SimpleNamespace

import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool, QueuePool

from mg_assets.web import connections


class ClosedError(Exception):
    """What psycopg2 raises of a connection that is closed."""


class Cursor:
    def __init__(self, connection):
        self.connection = connection

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def execute(self, text):
        self.connection.asked.append(text)
        if self.connection.closed_by_server:
            raise ClosedError("server closed the connection unexpectedly")


class Connection:
    Error = ClosedError

    def __init__(self):
        self.closed_by_server, self.asked = False, []

    def cursor(self):
        return Cursor(self)

    def close(self):
        pass


@pytest.fixture
def pool():
    """A pool of one connection in a process that opens them again."""
    connections.open_again()
    connections.open_again()  # once is enough
    made = []
    pool = QueuePool(lambda: made.append(Connection()) or made[-1], pool_size=1, reset_on_return=None)
    yield SimpleNamespace(made=made, take=pool.connect)
    event.remove(Pool, "checkout", connections._ping)


def test_a_closed_connection_is_opened_again(pool, monkeypatch):
    monkeypatch.setattr(Connection, "__module__", "psycopg2.extensions")
    pool.take().close()
    pool.take().close()
    assert len(pool.made) == 1
    pool.made[0].closed_by_server = True
    taken = pool.take()
    assert taken.dbapi_connection is pool.made[1]
    assert pool.made[1].asked == ["SELECT 1"]


def test_connections_of_other_databases_are_not_asked(pool):
    pool.take().close()
    assert pool.made[0].asked == []
