"""A PostgreSQL server with a database of the session's own, where there is one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any, TypeAlias

import psycopg
import pytest

from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.schema import metadata

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_SCHEMAS = """
SELECT quote_ident(nspname) FROM pg_namespace
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
"""
_TABLES = """
SELECT table_name, column_name, data_type || coalesce(column_default, '') FROM
  information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT 'schema', nspname, '' FROM pg_namespace WHERE nspname !~ '^pg_'
UNION ALL
SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname <> 'pg_catalog'
UNION ALL
SELECT 'dewar_meta', name, value FROM public.dewar_meta
ORDER BY 1, 2, 3
"""
_SERVER = "postgresql://postgres@127.0.0.1:5432"


def _answers() -> bool:
    try:
        psycopg.connect(f"{_SERVER}/postgres", connect_timeout=3).close()
    except psycopg.OperationalError:
        return False
    return True


def _start_debians() -> None:
    """Start what Debian's package has set up."""
    if shutil.which("pg_lsclusters") is None:
        return
    listed = subprocess.run(
        ["pg_lsclusters", "--no-header"], capture_output=True, text=True, check=False
    )
    for line in listed.stdout.splitlines():
        version, name = line.split()[:2]
        subprocess.run(["pg_ctlcluster", version, name, "start"], capture_output=True, check=False)


@pytest.fixture(scope="session")
def postgresql_server() -> str:
    """The URL of a server, without a database."""
    if not _answers():
        _start_debians()
    if not _answers():
        pytest.skip(f"no PostgreSQL answers at {_SERVER}: its ledger was NOT tested")
    return _SERVER


@pytest.fixture(scope="session")
def postgresql_database(postgresql_server: str) -> Iterator[str]:
    """The URL of an empty database, which is dropped in the end."""
    name = f"dewar_test_ledger_{os.getpid()}"
    with psycopg.connect(f"{postgresql_server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        yield f"{postgresql_server}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_postgresql_url(postgresql_database: str) -> str:
    """The URL of a database whose tables are gone."""
    with psycopg.connect(postgresql_database, autocommit=True) as connection:
        _make_empty(connection)
    return postgresql_database


@pytest.fixture(scope="session")
def new_tables(postgresql_database: str) -> list[Any]:
    """What the system says of the tables of a new ledger."""
    with psycopg.connect(postgresql_database, autocommit=True) as connection:
        _make_empty(connection)
        open_ledger(postgresql_database).close()
        return _tables(connection)


@pytest.fixture
def postgresql_url(postgresql_database: str, new_tables: list[Any]) -> str:
    """The URL of a database in which the tables are empty, or gone if a test has changed them.

    To make the tables takes longer than most tests.
    """
    with psycopg.connect(postgresql_database, autocommit=True) as connection:
        if _tables(connection) != new_tables:
            _make_empty(connection)
            return postgresql_database
        with connection.transaction():
            for table in metadata.sorted_tables:
                if table.name != "dewar_meta":
                    connection.execute(f"DELETE FROM {table.name}")
    return postgresql_database


def _make_empty(connection: Connection) -> None:
    for (name,) in connection.execute(_SCHEMAS).fetchall():
        connection.execute(f"DROP SCHEMA {name} CASCADE")
    connection.execute("CREATE SCHEMA public")


def _tables(connection: Connection) -> list[Any]:
    """Return the tables with their columns and indexes, and what else there is."""
    if connection.execute("SELECT to_regclass('public.dewar_meta')").fetchone() == (None,):
        return []
    return connection.execute(_TABLES).fetchall()
