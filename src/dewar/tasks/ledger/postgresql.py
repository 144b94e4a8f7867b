"""`PostgreSQLDatabase`: a ledger that several hosts share."""

from functools import partial
from types import MappingProxyType

from sqlalchemy import URL, Connection, bindparam, create_engine, event, func, select, text
from sqlalchemy.engine.interfaces import DBAPIConnection

from dewar.tasks.errors import MissingExtra
from dewar.tasks.ledger.database import BUSY_TIMEOUT, Connections, Database

#: For each new connection, unless the URL has another value (libpq, "Parameter Key Words"). They
#: notice within some 15 seconds that a server is gone, as after a failover. The kernel alone would
#: try for a quarter of an hour, while others take this process for dead.
_CONNECTING = MappingProxyType(
    {
        "connect_timeout": 10,
        "keepalives_idle": 5,
        "keepalives_interval": 3,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,  # milliseconds
    }
)
_EXCLUDE = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name"), 0)))
#: It has the numbers of all transactions that are under way, and of the newest that ended, so each
#: commit changes it. The query uses no transaction number.
_SNAPSHOT = text("SELECT CAST(pg_current_snapshot() AS text)")


class PostgreSQLDatabase(Database):
    """A database of a PostgreSQL server, version 13 or newer, through psycopg 3.

    The settings of the server decide whether commits survive a loss of power.

    Raises:
        MissingExtra: If psycopg is not installed.
    """

    def __init__(self, url: URL) -> None:
        make = partial(_connections_of, url.set(drivername="postgresql+psycopg"))
        super().__init__(url.render_as_string(hide_password=True), make)
        # If psycopg is missing, this fails here and not at the first use.
        self.connections()

    def advisory_lock(self, connection: Connection, name: str) -> None:
        """Take a lock of the database, which is released at the end of the transaction."""
        connection.execute(_EXCLUDE, {"name": f"dewar {name}"})

    def changes(self) -> int:
        """Return a number made from the transactions that are under way and that have ended."""
        with self.reading() as connection:
            return hash(connection.execute(_SNAPSHOT).scalar_one())


def _connections_of(url: URL) -> Connections:
    try:
        writer = create_engine(
            url,
            pool_pre_ping=True,
            pool_timeout=BUSY_TIMEOUT,
            hide_parameters=True,
            connect_args={key: to for key, to in _CONNECTING.items() if key not in url.query},
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
