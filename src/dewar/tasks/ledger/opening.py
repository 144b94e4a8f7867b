"""`open_ledger`: a ledger, by the path of its file or the URL of its database.

Importing this module raises `MissingExtra` if SQLAlchemy is not installed.
"""

from os import PathLike, fspath
from pathlib import Path

from dewar.tasks.errors import LedgerError, MissingExtra, TaskSetupError

try:
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError
except ModuleNotFoundError as error:
    raise MissingExtra("The ledger", "tasks") from error

from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.postgresql import PostgreSQLDatabase
from dewar.tasks.ledger.schema import VERSION, meta, metadata
from dewar.tasks.ledger.sqlite import SQLiteDatabase

_WHERE = (
    " Give the path of a file, as in 'instance/jobs.sqlite', or the URL of a database, as in"
    " 'postgresql://user:password@host/name'."
)


def open_ledger(where: str | PathLike[str], *, durable: bool = False) -> Ledger:
    """Return the ledger at a path or URL; create it if it does not exist.

    Any number of processes may open it at once. It has no connection until it is used, so it may
    be opened before a fork.

    Args:
        where: The path of an SQLite file, for the processes of one host, or a ``postgresql://``
            URL, for several hosts.
        durable: For SQLite, whether commits survive a loss of power, at the cost of one fsync per
            transaction. They always survive the end of a process. The settings of a PostgreSQL
            server decide it there.

    Raises:
        TaskSetupError: If the ledger cannot be created, or a newer Dewar has made it.
        MissingExtra: If psycopg is missing for a PostgreSQL URL.
    """
    database = _database(where, durable=durable)
    try:
        _create_tables(database)
    except LedgerError as error:
        raise TaskSetupError(
            f"The ledger cannot be created in {database.name}: {error.reason}"
        ) from error
    finally:
        database.close()
    return Ledger(database)


def _database(where: str | PathLike[str], *, durable: bool) -> Database:
    text = fspath(where)
    if "://" not in text:
        return _sqlite(text, durable=durable)
    url = _url(text)
    backend = url.get_backend_name()
    if backend in {"postgresql", "postgres"}:
        return PostgreSQLDatabase(url)
    if backend == "sqlite":
        return _sqlite(url.database or "", durable=durable)
    raise TaskSetupError(f"A ledger cannot be kept in {backend}.{_WHERE}")


def _sqlite(path: str, *, durable: bool) -> Database:
    if path in {"", ":memory:"}:
        raise TaskSetupError(f"A ledger outlives the process: it cannot be in memory.{_WHERE}")
    return SQLiteDatabase(Path(path), durable=durable)


def _url(text: str) -> URL:
    try:
        return make_url(text)
    except (ArgumentError, ValueError) as error:
        # Do not show the text: it may have a password in it.
        raise TaskSetupError(f"The URL of the ledger cannot be read.{_WHERE}") from error


def _create_tables(database: Database) -> None:
    """Create the tables, or check the version of existing ones."""
    with database.writing() as connection:
        database.advisory_lock(connection, "schema")
        meta.create(connection, checkfirst=True)
        version = connection.execute(meta.select().where(meta.c.name == "version")).one_or_none()
        if version is None:
            metadata.create_all(connection)
            connection.execute(meta.insert(), {"name": "version", "value": str(VERSION)})
        elif int(version.value) > VERSION:
            raise TaskSetupError(
                f"The ledger {database.name} was made by a newer Dewar (its version is"
                f" {version.value}, and this Dewar knows {VERSION}). Upgrade this Dewar, or use"
                " another ledger."
            )
