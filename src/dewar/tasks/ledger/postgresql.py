"""`PostgreSQLDatabase`: a ledger that several hosts share."""

from sqlalchemy import URL, Connection, bindparam, create_engine, event, func, select, text
from sqlalchemy.engine.interfaces import DBAPIConnection

from dewar.tasks.errors import MissingExtra
from dewar.tasks.ledger.database import BUSY_TIMEOUT, Connections, Database

#: To answer the first time, in seconds.
_CONNECT_TIMEOUT = 10
_EXCLUDE = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name"), 0)))
#: It names every transaction that is under way and the newest that ended, so whatever commits
#: changes it. To ask costs no transaction number.
_SNAPSHOT = text("SELECT CAST(pg_current_snapshot() AS text)")


class PostgreSQLDatabase(Database):
    """A database of a PostgreSQL server, version 13 or newer, by psycopg 3.

    What is written survives whatever the server survives: that is the server's own setting.

    Raises:
        MissingExtra: If psycopg is not installed.
    """

    def __init__(self, url: URL) -> None:
        super().__init__(url.render_as_string(hide_password=True))
        self._url = url.set(drivername="postgresql+psycopg")
        # Fails here rather than at the first use, where psycopg is missing.
        self.connections()

    def advisory_lock(self, connection: Connection, name: str) -> None:
        """Take a lock of the database that ends with the transaction."""
        connection.execute(_EXCLUDE, {"name": f"dewar {name}"})

    def changes(self) -> int:
        """Return a number made from which transactions are under way, and which have ended."""
        with self.reading() as connection:
            return hash(connection.execute(_SNAPSHOT).scalar_one())

    def _make(self) -> Connections:
        try:
            writer = create_engine(
                self._url,
                pool_pre_ping=True,
                pool_timeout=BUSY_TIMEOUT,
                hide_parameters=True,
                connect_args={"connect_timeout": _CONNECT_TIMEOUT},
            )
        except ImportError as error:
            raise MissingExtra("A ledger in PostgreSQL", "postgresql") from error
        event.listen(writer, "connect", _configure)
        return Connections(writer.execution_options(isolation_level="AUTOCOMMIT"), writer)


def _configure(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"SET lock_timeout = {int(BUSY_TIMEOUT * 1000)}")
    cursor.close()
    connection.commit()
