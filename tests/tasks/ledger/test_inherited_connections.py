"""Engines of a program whose pools had connections when the process was forked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import StaticPool
from tests.tasks.ledger.ledgertools import in_child

import dewar.tasks.app_tasks  # noqa: F401  # what a program with Tasks has


def _number(engine: Engine, sql: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(sql)).scalar_one())


@pytest.fixture
def postgresql(postgresql_url: str) -> Iterator[Engine]:
    engine = create_engine(postgresql_url.replace("://", "+psycopg://"), pool_size=1)
    yield engine
    engine.dispose()


def test_a_child_has_sessions_of_its_own(postgresql: Engine) -> None:
    """And the parent's goes on, also after the child has ended."""
    backend = "SELECT pg_backend_pid()"
    own = _number(postgresql, backend)
    assert _number(postgresql, backend) == own, "it was not kept in the pool"

    def child() -> int:
        theirs = _number(postgresql, backend)
        return int(theirs == own or _number(postgresql, backend) != theirs)

    assert in_child(child) == 0
    assert _number(postgresql, backend) == own


def test_a_child_opens_the_file_anew(tmp_path: Path) -> None:
    """SQLite's locks belong to a process, so a child that goes on has none."""
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.sqlite3'}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id INTEGER)"))
        first = connection.connection.driver_connection

    def child() -> int:
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO orders VALUES (1)"))
            return int(connection.connection.driver_connection is first)

    assert in_child(child) == 0
    assert _number(engine, "SELECT count(*) FROM orders") == 1
    engine.dispose()


def test_a_database_in_memory_is_copied() -> None:
    """It is in its connection, so a new connection would be an empty database."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id INTEGER)"))
    assert in_child(lambda: _number(engine, "SELECT count(*) FROM orders")) == 0
    engine.dispose()
