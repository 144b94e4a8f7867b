"""A ledger with the jobs of `reportapp`, and the processes that run them."""

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from reporttools import Workers, submitting

_SERVER = "postgresql://postgres@127.0.0.1:5432"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a new database, which is dropped in the end."""
    name = f"dewar_test_reports_{os.getpid()}"
    try:
        admin = psycopg.connect(f"{_SERVER}/postgres", autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        pytest.skip(f"no PostgreSQL answers at {_SERVER}: this was NOT tested")
    with admin:
        admin.execute(f"CREATE DATABASE {name}")
        yield f"{_SERVER}/{name}"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgresql_database(postgresql_server: str) -> str:
    """The URL of a database without tables."""
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return postgresql_server


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    """Over SQLite."""
    with submitting(tmp_path, str(tmp_path / "jobs.sqlite3")) as workers:
        yield workers


@pytest.fixture
def postgresql_workers(tmp_path: Path, postgresql_database: str) -> Iterator[Workers]:
    """Over PostgreSQL."""
    with submitting(tmp_path, postgresql_database) as workers:
        yield workers
