"""`PostgreSQLDatabase`: a ledger that several hosts share."""

import re
from contextlib import AbstractContextManager
from functools import partial
from types import MappingProxyType

from sqlalchemy import (
    URL,
    Connection,
    TwoPhaseTransaction,
    bindparam,
    create_engine,
    event,
    func,
    select,
    text,
)
from sqlalchemy.engine.interfaces import DBAPIConnection

from dewar.tasks.errors import MissingExtra, TaskSetupError
from dewar.tasks.ledger.database import BUSY_TIMEOUT, Connections, Database
from dewar.tasks.ledger.notifications import Notice, Notifications, Tell
from dewar.tasks.ledger.postgresql_exchange import NOTIFY, send
from dewar.tasks.ledger.postgresql_joining import join_postgresql
from dewar.tasks.ledger.postgresql_notifications import PostgreSQLNotifications

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
_FIND_SCHEMA = select(func.to_regnamespace(bindparam("name")))
#: A name that needs no quotes; with it, the names of channels have less than 64 bytes.
_SCHEMA = re.compile("[a-z_][a-z0-9_]{0,39}")
#: It has the numbers of all transactions that are under way, and of the newest that ended, so each
#: commit changes it. The query uses no transaction number.
_SNAPSHOT = text("SELECT CAST(pg_current_snapshot() AS text)")


class PostgreSQLDatabase(Database):
    """A database of a PostgreSQL server, version 13 or newer, through psycopg 3.

    The settings of the server decide whether commits survive a loss of power.

    Locks and notices are those of the whole database, so ledgers in several schemas have names with
    the schema for them.

    Args:
        url: The URL.
        schema: The schema of the tables; by default the first one of the search path.

    Raises:
        MissingExtra: If psycopg is not installed.
        TaskSetupError: If the name of the schema is not possible.
    """

    def __init__(self, url: URL, schema: str | None = None) -> None:
        if schema is not None and not _SCHEMA.fullmatch(schema):
            raise TaskSetupError(
                f"schema={schema!r} should be a name of at most 40 small letters, digits and"
                " underscores: TASKS_SCHEMA = 'shop_jobs'."
            )
        self._schema = schema
        self._suffix = "" if schema is None else f" {schema}"
        make = partial(_connections_of, url.set(drivername="postgresql+psycopg"), schema)
        super().__init__(f"{url.render_as_string(hide_password=True)}{self._suffix}", make)
        # If psycopg is missing, this fails here and not at the first use.
        self.connections()

    def advisory_lock(self, connection: Connection, name: str) -> None:
        """Take a lock of the database, which is released at the end of the transaction."""
        connection.execute(_EXCLUDE, {"name": f"dewar{self._suffix} {name}"})

    def create_schema(self, connection: Connection) -> None:
        """See `Database.create_schema`."""
        if self._schema is None:
            return
        # Not IF NOT EXISTS alone: that needs the right to create one, also if it is there.
        if connection.execute(_FIND_SCHEMA, {"name": self._schema}).scalar_one() is None:
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")

    def joining(self, connection: Connection) -> AbstractContextManager[None]:
        """See `Database.joining`."""
        return join_postgresql(connection, self)

    def tell_at_commit(self, connection: Connection, notice: Notice, tell: Tell) -> None:  # noqa: ARG002  # as the others
        """See `Database.tell_at_commit`. The server sends the notice with the commit.

        It refuses to prepare a transaction with a notice, whose jobs are found by the next poll.
        """
        if isinstance(connection.get_transaction(), TwoPhaseTransaction):
            return
        send(connection, notice, self._schema, NOTIFY)

    def notifications(self) -> Notifications:
        """See `Database.notifications`."""
        return PostgreSQLNotifications(self, self._schema)

    def changes(self) -> int:
        """Return a number made from the transactions that are under way and that have ended."""
        with self.reading() as connection:
            return hash(connection.execute(_SNAPSHOT).scalar_one())


def _connections_of(url: URL, schema: str | None) -> Connections:
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
    event.listen(writer, "connect", partial(_configure, schema))
    return Connections(writer.execution_options(isolation_level="AUTOCOMMIT"), writer)


def _configure(schema: str | None, connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    if schema is not None:
        cursor.execute(f"SET search_path = {schema}")
    cursor.execute(f"SET lock_timeout = {int(BUSY_TIMEOUT * 1000)}")
    # PERF: it would compile the look for waiting jobs for a second, which takes 1 ms.
    cursor.execute("SET jit = off")
    cursor.close()
    connection.commit()
