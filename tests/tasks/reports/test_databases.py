"""Reports of a broker or a database that was locked, restarted or away."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from dewar import Dewar
from dewar.tasks.errors import LedgerError, TasksError, TaskSetupError
from dewar.tasks.ledger.records import JobState
from dewar.tasks.tasks import Tasks
from polling import eventually
from reporttools import SOON


def _add(a: int, b: int) -> int:
    return a + b


@pytest.fixture
def postgresql_tasks(postgresql_database: str) -> Iterator[Tasks]:
    """Run jobs of a ledger in PostgreSQL."""
    made = Tasks(ledger=postgresql_database, threads=1, poll=0.02)
    made.task("add")(_add)
    yield made
    assert made.stop(SOON)


def test_work_goes_on_after_the_connections_are_cut(
    postgresql_tasks: Tasks, postgresql_database: str
) -> None:
    """As by a restart of the server, also while a job runs, whose outcome is written later.

    There the workers were connected again, and took no more jobs:
    https://github.com/celery/celery/issues/8091, https://github.com/celery/celery/issues/4453,
    https://github.com/celery/celery/issues/9054
    """
    tasks, began, go_on = postgresql_tasks, threading.Event(), threading.Event()

    @tasks.task()
    def hold() -> str:
        began.set()
        assert go_on.wait(SOON)
        return "through"

    held = hold.submit()
    assert began.wait(SOON)
    for _ in range(2):
        with psycopg.connect(postgresql_database, autocommit=True) as admin:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where pid <> pg_backend_pid() and datname = current_database()"
            )
        go_on.set()
        assert held.result(SOON) == "through"
        eventually(lambda: _maybe_submit(tasks) == 3)
    assert held.status().state is JobState.DONE


def _maybe_submit(tasks: Tasks) -> int | None:
    try:
        result: int = tasks.find("add").submit(1, 2).result(SOON)
    except TasksError:  # the submission met a cut connection, and was refused
        return None
    return result


def test_a_job_does_not_run_before_the_rows_that_it_is_about(
    postgresql_tasks: Tasks, postgresql_database: str
) -> None:
    """It begins after their commit, however early in the transaction it was submitted.

    There it ran at once, and a foreign key failed, because the user was not there yet:
    https://github.com/openwisp/openwisp-notifications/issues/165,
    https://github.com/openwisp/openwisp-notifications/issues/178
    """
    engine = create_engine(postgresql_database.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE users (id int PRIMARY KEY)"))
        connection.execute(text("CREATE TABLE settings (id int REFERENCES users)"))

    @postgresql_tasks.task()
    def add_settings(user: int) -> None:
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO settings VALUES (:user)"), {"user": user})

    jobs = []
    for user in range(20):
        with engine.begin() as connection:
            jobs.append(add_settings.submit(user, connection=connection))
            connection.execute(text("INSERT INTO users VALUES (:user)"), {"user": user})
    for job in jobs:
        job.result(SOON)
    engine.dispose()


def test_a_submission_to_a_database_that_is_away_is_refused() -> None:
    """At once, with its address; it does not wait until the database is back.

    There the request of a user hung for ever: https://github.com/celery/celery/issues/4296,
    https://github.com/celery/celery/issues/6911
    """
    tasks = Tasks(ledger="postgresql://postgres@127.0.0.1:1/away", run_jobs=False)
    task = tasks.task("add")(_add)
    began = time.monotonic()
    with pytest.raises((LedgerError, TaskSetupError), match=r"127\.0\.0\.1:1/away"):
        task.submit(1, 2)
    assert time.monotonic() - began < SOON / 2
    assert tasks.stop(SOON)


def test_a_locked_file_is_waited_for(tmp_path: Path) -> None:
    """While another program holds the lock of the ledger, jobs wait; none fails, none is lost.

    There the consumer failed with "database is locked", and a task that it had taken was gone:
    https://github.com/coleifer/huey/issues/445, https://github.com/meeb/tubesync/issues/1162
    """
    ledger = tmp_path / "jobs.sqlite3"
    tasks = Tasks(Dewar("report"), ledger=ledger, threads=2, poll=0.02)
    add, results = tasks.task("add")(_add), []
    assert add.submit(1, 2).result(SOON) == 3

    def submit() -> None:
        results.append([add.submit(number, 1).result(SOON) for number in range(5)])

    threads = [threading.Thread(target=submit) for _ in range(2)]
    with closing(sqlite3.connect(ledger, timeout=SOON, isolation_level=None)) as other:
        other.execute("begin exclusive")
        for thread in threads:
            thread.start()
        began = time.monotonic()
        eventually(lambda: time.monotonic() - began > 0.5)
        assert results == []
        other.execute("rollback")
    for thread in threads:
        thread.join(SOON)
    assert results == [[1, 2, 3, 4, 5]] * 2
    assert tasks.stop(SOON)
