"""`open_ledger`: a ledger, by the path of its file or the URL of its database.

To import this module raises `MissingExtra` where SQLAlchemy is not installed.
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
    """Return the ledger that is there; what is missing of it is made.

    Any number of processes may open it at once. It has no connection until it is used, so it may
    be opened before a fork.

    Args:
        where: The path of an SQLite file, for the processes of one host, or a ``postgresql://``
            URL, for several hosts.
        durable: For SQLite, whether what is written survives a loss of power, for one fsync per
            write. It survives the end of any process without. PostgreSQL decides by itself.

    Raises:
        TaskSetupError: If there can be no ledger, or there is one of a later Dewar.
        MissingExtra: If psycopg is missing for a PostgreSQL URL.
    """
    database = _database(where, durable=durable)
    try:
        _create_tables(database)
    except LedgerError as error:
        raise TaskSetupError(
            f"There can be no ledger in {database.name}: {error.reason}"
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
        raise TaskSetupError(f"A ledger cannot be kept in memory: it outlives the process.{_WHERE}")
    return SQLiteDatabase(Path(path), durable=durable)


def _url(text: str) -> URL:
    try:
        return make_url(text)
    except (ArgumentError, ValueError) as error:
        # The text may hold a password.
        raise TaskSetupError(f"The URL of the ledger cannot be read.{_WHERE}") from error


def _create_tables(database: Database) -> None:
    """Make the tables, or find that they are ours."""
    with database.writing() as connection:
        database.advisory_lock(connection, "schema")
        meta.create(connection, checkfirst=True)
        version = connection.execute(meta.select().where(meta.c.name == "version")).one_or_none()
        if version is None:
            metadata.create_all(connection)
            connection.execute(meta.insert(), {"name": "version", "value": str(VERSION)})
        elif int(version.value) > VERSION:
            raise TaskSetupError(
                f"The ledger {database.name} was made by a later Dewar (its version is"
                f" {version.value}, the one known here {VERSION}). Upgrade this one, or give it"
                " a ledger of its own."
            )
