"""Jobs in a transaction of the program on the PostgreSQL database that has the ledger, too."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, text

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.ledger.database import Database

#: Where a connection keeps the schemas of the ledgers that it was checked for, by their names.
_CHECKED = "dewar.ledgers"
#: What tells a running server, and a database of it, from all others.
_IDENTITY = text(
    "SELECT CAST(extract(epoch FROM pg_postmaster_start_time()) AS text), CAST(oid AS text)"
    " FROM pg_database WHERE datname = current_database()"
)
_SCHEMA = text(
    "SELECT quote_ident(n.nspname) FROM pg_class AS c"
    " JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('dewar_jobs')"
)
_SET_PATH = text(
    "SELECT current_setting('search_path'), set_config('search_path', CAST(:path AS text), true)"
)


@contextmanager
def join_postgresql(connection: Connection, database: Database) -> Iterator[None]:
    """Provide a SAVEPOINT in the transaction of a connection, in which the tables are found.

    Raises:
        TaskSetupError: If it is to another database, or commits each statement.
        LedgerError: If the ledger's own connection fails.
    """
    schema = _schema_for(connection, database)
    driver: Any = connection.connection.dbapi_connection
    if getattr(driver, "autocommit", False) is True:
        raise TaskSetupError(
            "The connection commits each statement (AUTOCOMMIT), so it has no transaction for the"
            " job. Leave out its isolation_level, or submit without connection=."
        )
    with connection.begin_nested():
        before = connection.execute(_SET_PATH, {"path": schema}).one()[0]
        yield
        # After an error the end of the SAVEPOINT sets it back.
        connection.execute(_SET_PATH, {"path": before})


def _schema_for(connection: Connection, database: Database) -> str:
    """Return the schema of the ledger's tables, after a check of the connection, once."""
    known: dict[str, str] = connection.info.setdefault(_CHECKED, {})
    found = known.get(database.name)
    if found is not None:
        return found
    is_same = connection.dialect.name == "postgresql"
    if is_same:
        with database.reading() as own:
            # Both now: a server that was started again since is another one.
            is_same = own.execute(_IDENTITY).one() == connection.execute(_IDENTITY).one()
            schema = str(own.execute(_SCHEMA).scalar_one())
    if not is_same:
        url = connection.engine.url.render_as_string(hide_password=True)
        raise TaskSetupError(
            f"The connection is to {url}, and the ledger is {database.name}. To write a job with"
            " other rows, both are one database: app.config['TASKS_LEDGER'] ="
            " app.config['SQLALCHEMY_DATABASE_URI']."
        )
    known[database.name] = schema
    return schema
