"""Jobs that a test submits in a transaction of its program: accepted at its commit, or never."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from dewar import Dewar, Tasks
from dewar.tasks.errors import Duplicate, JobNotRun
from dewar.testing.job_queue import hold_jobs

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture(params=["file", "memory"])
def engine(request, tmp_path):
    """A database of the program, which need not be that of a ledger."""
    if request.param == "file":
        engine = create_engine(f"sqlite:///{tmp_path / 'shop.sqlite3'}")
    else:
        engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id INTEGER)"))
    yield engine
    engine.dispose()


@pytest.fixture
def tasks():
    return Tasks(Dewar("shop"))


@pytest.fixture
def ship(tasks, engine):
    """A task that needs the row which was written in the transaction."""

    @tasks.task(unique=True, on_duplicate="refuse")
    def ship(order):
        with engine.connect() as connection:
            row = text("SELECT count(*) FROM orders WHERE id = :id")
            return connection.execute(row, {"id": order}).scalar_one()

    return ship


def add(connection, order):
    connection.execute(text("INSERT INTO orders VALUES (:id)"), {"id": order})


def test_a_job_waits_for_the_commit_and_sees_its_rows(tasks, ship, engine):
    """Before, it is nowhere: neither recorded nor run, and nobody can wait for it."""
    with hold_jobs(tasks) as queue:
        with engine.begin() as connection:
            add(connection, 7)
            job = ship.submit(7, connection=connection)
            assert queue.drain() == 0
            assert not queue.submitted
            with pytest.raises(JobNotRun):
                job.result()
        assert queue.submitted.assert_submitted(ship, 7).job is job
        assert queue.drain() == 1
        assert job.result() == 1


def test_nothing_is_left_of_a_transaction_that_is_rolled_back(tasks, ship, engine):
    """Also of one that is only closed; the next transaction of the connection is another one."""
    with hold_jobs(tasks) as queue, engine.connect() as connection:
        ship.submit(1, connection=connection)
        connection.rollback()
        add(connection, 2)
        ship.submit(2, connection=connection)
        connection.commit()
        with Session(engine) as session:
            ship.submit(3, connection=session)
        assert [one.args for one in queue.submitted] == [(2,)]
        assert queue.drain() == 1


def test_a_savepoint_takes_its_jobs_with_it(tasks, ship, engine):
    """Those before and after it, and those of one that is released, stay."""
    with hold_jobs(tasks) as queue, engine.begin() as connection:
        ship.submit(1, connection=connection)
        nested = connection.begin_nested()
        ship.options_for(connection=connection).submit(2)
        nested.rollback()
        with connection.begin_nested():
            ship.submit(3, connection=connection)
        connection.commit()
        assert [one.args for one in queue.submitted] == [(1,), (3,)]


def test_it_runs_at_once_after_the_commit(tasks, ship, engine):
    """When the program has given the connection back, so that the function sees the row."""
    with tasks.immediate():
        for order in (1, 2):
            with Session(engine) as session:
                add(session, order)
                job = ship.submit(order, connection=session)
                assert not job.done()
                session.commit()
                assert job.done()
            assert job.result() == 1


def test_a_duplicate_is_refused_at_the_commit(tasks, ship, engine):
    """The ledger of the test is no part of the transaction, so nobody knows it before."""
    with hold_jobs(tasks), engine.connect() as connection:
        ship.submit(1)
        ship.submit(1, connection=connection)
        with pytest.raises(Duplicate):
            connection.commit()
