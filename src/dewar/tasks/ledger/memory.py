"""`MemoryDatabase`: a ledger in memory, for tests. It ends when it is closed."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from sqlalchemy import Connection, StaticPool, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from dewar.tasks.ledger.database import Connections, Database
from dewar.tasks.ledger.notifications import NoNotifications, Notifications


class MemoryDatabase(Database):
    """SQLite without a file. All threads share its only connection, one after the other."""

    def __init__(self) -> None:
        super().__init__("memory", _connections)
        self._lock = RLock()
        self._commits = itertools.count(1)
        self._changes = 0

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """See `Database.reading`."""
        with self._lock, super().reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """See `Database.writing`."""
        with self._lock:
            connection = self.connections().writer.connect()
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
                connection.exec_driver_sql("COMMIT")
                self._changes = next(self._commits)
            except SQLAlchemyError as error:
                raise self.translated(error) from error
            finally:
                connection.close()  # it rolls back what is not committed

    def advisory_lock(self, connection: Connection, name: str) -> None:
        """Do nothing: there is one connection."""

    def notifications(self) -> Notifications:
        """See `Database.notifications`. No other process can reach it."""
        return NoNotifications()

    def changes(self) -> int:
        """See `Database.changes`."""
        return self._changes


def _connections() -> Connections:
    engine = create_engine(
        "sqlite://",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # Python's sqlite3 must not begin transactions

    return Connections(engine, engine)
