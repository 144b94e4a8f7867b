"""A PostgreSQL server with a database of the session's own, where there is one."""

import os
import shutil
import subprocess
from collections.abc import Iterator

import psycopg
import pytest

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
        yield f"{postgresql_server}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgresql_url(postgresql_database: str) -> str:
    """The URL of a database whose tables are gone."""
    with psycopg.connect(postgresql_database, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return postgresql_database
