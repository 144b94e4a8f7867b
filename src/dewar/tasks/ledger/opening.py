"""`open_ledger`: a ledger, by the path of its file or the URL of its database.

Importing this module raises `MissingExtra` if SQLAlchemy is not installed.
"""

from os import PathLike, fspath
from pathlib import Path

from dewar.tasks.errors import LedgerError, MissingExtra, TaskSetupError

try:
    from sqlalchemy import URL, Connection, make_url
    from sqlalchemy.exc import ArgumentError
except ModuleNotFoundError as error:
    raise MissingExtra("The ledger", "tasks") from error

from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.marks import MOVED, check_marks, marks_of, set_mark
from dewar.tasks.ledger.memory import MemoryDatabase
from dewar.tasks.ledger.migrations import FIRST, LATEST, missing_steps
from dewar.tasks.ledger.notifying_ledger import NotifyingLedger
from dewar.tasks.ledger.postgresql import PostgreSQLDatabase
from dewar.tasks.ledger.schema import VERSION, meta, metadata
from dewar.tasks.ledger.sqlite import SQLiteDatabase

_WHERE = (
    " Give the path of a file, as in 'instance/jobs.sqlite', or the URL of a database, as in"
    " 'postgresql://user:password@host/name'."
)


def open_ledger(
    where: str | PathLike[str], *, durable: bool = False, schema: str | None = None
) -> NotifyingLedger:
    """Return the ledger at a path or URL; create it if it does not exist.

    Any number of processes may open it at once. It has no connection until it is used, so it may
    be opened before a fork.

    Args:
        where: The path of an SQLite file, for the processes of one host, or a ``postgresql://``
            URL, for several hosts.
        durable: For SQLite, whether commits survive a loss of power, at the cost of one fsync per
            transaction. They always survive the end of a process. The settings of a PostgreSQL
            server decide it there.
        schema: For PostgreSQL, the schema of the tables, which is created if it does not exist. By
            default it is the first one of the search path. Each schema has a ledger of its own.

    Raises:
        TaskSetupError: If the ledger cannot be created, or a newer Dewar has made it.
        MissingExtra: If psycopg is missing for a PostgreSQL URL.
    """
    database = open_database(where, durable=durable, schema=schema)
    return NotifyingLedger(database, database.notifications())


def open_database(
    where: str | PathLike[str],
    *,
    durable: bool = False,
    schema: str | None = None,
    is_moving: bool = False,
) -> Database:
    """Return the database of a ledger, with the tables; the arguments are as in `open_ledger`.

    Args:
        where: Its path or URL.
        durable: Whether commits survive a loss of power.
        schema: The schema of the tables.
        is_moving: Whether to open it although it is moved, or incomplete because of that.
    """
    database = _database(where, durable=durable, schema=schema)
    try:
        with database.writing() as connection:
            prepare_tables(database, connection, is_moving=is_moving)
    except LedgerError as error:
        raise TaskSetupError(
            f"The ledger cannot be created in {database.name}: {error.reason}"
        ) from error
    finally:
        database.close()
    return database


def open_memory_ledger() -> NotifyingLedger:
    """Return a new ledger in memory, for tests. Close it at the end: it is lost then."""
    database = MemoryDatabase()
    with database.writing() as connection:
        prepare_tables(database, connection)
    return NotifyingLedger(database, database.notifications())


def maybe_path(where: str) -> Path | None:
    """Return the path of a ledger's file, by its path or URL; None for a server's database."""
    if "://" not in where:
        return Path(where)
    url = _url(where)
    return Path(url.database or ":memory:") if url.get_backend_name() == "sqlite" else None


def _database(where: str | PathLike[str], *, durable: bool, schema: str | None = None) -> Database:
    path = maybe_path(fspath(where))
    if path is not None:
        if schema is not None:
            raise TaskSetupError(
                f"The ledger {path} is a file, and SQLite has no schemas (schema={schema!r}). Give"
                " each app a file of its own, or use PostgreSQL."
            )
        return _sqlite(str(path), durable=durable)
    url = _url(fspath(where))
    backend = url.get_backend_name()
    if backend in {"postgresql", "postgres"}:
        return PostgreSQLDatabase(url, schema)
    raise TaskSetupError(f"A ledger cannot be kept in {backend}.{_WHERE}")


def _sqlite(path: str, *, durable: bool) -> Database:
    if path in {".", ":memory:"}:
        raise TaskSetupError(f"A ledger outlives the process: it cannot be in memory.{_WHERE}")
    return SQLiteDatabase(Path(path), durable=durable)


def _url(text: str) -> URL:
    try:
        return make_url(text)
    except (ArgumentError, ValueError) as error:
        # Do not show the text: it may have a password in it.
        raise TaskSetupError(f"The URL of the ledger cannot be read.{_WHERE}") from error


def prepare_tables(database: Database, connection: Connection, *, is_moving: bool = False) -> None:
    """Create the tables in the transaction of a connection, or do the steps that they lack.

    Args:
        database: The database of the ledger.
        connection: The connection.
        is_moving: As for `open_database`.

    Raises:
        TaskSetupError: If a newer Dewar has made them, and this one cannot use them; or if they
            are moved.
    """
    database.advisory_lock(connection, "schema")
    database.create_schema(connection)
    meta.create(connection, checkfirst=True)
    known = marks_of(connection)
    if not is_moving:
        check_marks(database.name, known)
    version = VERSION if MOVED in known else known.get("version")
    if version is None:
        metadata.create_all(connection)
        set_mark(connection, "version", VERSION)
        set_mark(connection, "schema", LATEST)
    elif version > VERSION:
        raise TaskSetupError(
            f"The ledger {database.name} was made by a newer Dewar (its version is"
            f" {version}, and this Dewar knows {VERSION}). Upgrade this Dewar, or use"
            " another ledger."
        )
    else:
        _migrate(connection, known.get("schema", FIRST))


def _migrate(connection: Connection, schema: int) -> None:
    """Do the steps that tables with a number of the schema lack."""
    steps = missing_steps(schema)
    if not steps:
        return
    for step in steps:
        for statement in step.statements:
            connection.exec_driver_sql(statement)
    set_mark(connection, "schema", LATEST)
