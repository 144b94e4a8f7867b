"""What jobs in a transaction of the program do, wherever the ledger is kept."""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, func, select, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from dewar import chain
from dewar.tasks.errors import (
    Duplicate,
    LedgerError,
    QueueFull,
    TaskSetupError,
    UnknownJob,
)
from dewar.tasks.ledger.records import JobState
from dewar.tasks.stored_job import StoredJob
from dewar.tasks.tasks import Tasks
from polling import eventually

SOON = 30.0
#: Nothing in a test may wait for a poll.
NEVER = 3600.0
metadata = MetaData()
orders = Table("orders", metadata, Column("id", Integer, primary_key=True))

_KILLED = """
import os, sys
from sqlalchemy import create_engine, text
from dewar import Tasks
url, when = sys.argv[1:]
tasks = Tasks(ledger=url, run_jobs=False)

@tasks.task()
def ship(order):
    pass

tasks.start()
with create_engine(url).connect() as connection:
    connection.execute(text("INSERT INTO orders VALUES (7)"))
    ship.submit(7, connection=connection)
    if when == "after":
        connection.commit()
    os.kill(os.getpid(), 9)
"""


class Shop:
    """Tasks that send orders, with an engine to the database that has both."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.url = url
        self.engine: Engine = create_engine(url)
        metadata.create_all(self.engine)
        self.tasks = Tasks(ledger=url, **{"poll": NEVER, "threads": 2, **settings})
        self.shipped: list[int] = []
        self.lock = threading.Lock()
        self.ship = self.tasks.task("ship")(self._ship)

    def _ship(self, order: int) -> int:
        with self.lock:
            self.shipped.append(order)
        return order

    def order(self, connection: Any, number: int) -> None:
        connection.execute(orders.insert().values(id=number))

    def ordered(self) -> list[int]:
        with self.engine.connect() as connection:
            return list(connection.execute(select(orders.c.id).order_by(orders.c.id)).scalars())

    def jobs(self) -> list[JobState]:
        return [job.state for job in self.tasks.ledger.list()]

    def close(self) -> None:
        self.tasks.stop(SOON)
        self.engine.dispose()


class TransactionContract:
    """Inherited by the tests of each database, which say where it is."""

    ROUNDS = 40

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def make_shop(self, url: str) -> Iterator[Callable[..., Shop]]:
        """Makes shops at one database, as several processes have them."""
        made: list[Shop] = []

        def make(**settings: Any) -> Shop:
            made.append(Shop(url, **settings))
            made[-1].tasks.start()
            return made[-1]

        yield make
        for shop in made:
            shop.close()

    @pytest.fixture
    def shop(self, make_shop: Callable[..., Shop]) -> Shop:
        return make_shop()

    @pytest.fixture
    def seller(self, make_shop: Callable[..., Shop]) -> Shop:
        """One that runs no jobs."""
        return make_shop(run_jobs=False)

    def test_a_job_is_there_with_the_commit(self, shop: Shop) -> None:
        """Nobody knows it before; then it runs at once, and its result is there."""
        with shop.engine.connect() as connection:
            shop.order(connection, 1)
            job = shop.ship.submit(1, connection=connection)
            with pytest.raises(UnknownJob):
                job.status()
            assert not shop.jobs()
            assert not shop.shipped
            connection.commit()
            assert job.result(SOON) == 1
        assert shop.ordered() == [1]

    def test_a_rollback_leaves_nothing(self, seller: Shop) -> None:
        """Neither the order nor the job."""
        with seller.engine.connect() as connection:
            seller.order(connection, 1)
            job = seller.ship.submit(1, connection=connection)
            connection.rollback()
        assert (seller.ordered(), seller.jobs()) == ([], [])
        with pytest.raises(UnknownJob):
            job.status()

    def test_the_job_may_come_first(self, shop: Shop) -> None:
        """It begins the transaction, and neither commits it nor outlives its rollback."""
        with shop.engine.connect() as connection:
            shop.ship.submit(1, connection=connection)
            shop.order(connection, 1)
            connection.rollback()
            assert not shop.jobs()
            job = shop.ship.submit(2, connection=connection)
            shop.order(connection, 2)
            connection.commit()
        assert job.result(SOON) == 2
        assert (shop.ordered(), shop.shipped) == ([2], [2])

    def test_a_savepoint_takes_its_jobs_with_it(self, shop: Shop) -> None:
        """What was submitted within it is gone, and the rest goes on."""
        with shop.engine.begin() as connection:
            shop.order(connection, 1)
            kept = shop.ship.submit(1, connection=connection)
            with connection.begin_nested() as savepoint:
                shop.order(connection, 2)
                shop.ship.submit(2, connection=connection)
                savepoint.rollback()
        assert kept.result(SOON) == 1
        assert (shop.ordered(), shop.jobs(), shop.shipped) == ([1], [JobState.DONE], [1])

    def test_a_process_that_runs_jobs_is_woken(self, make_shop: Callable[..., Shop]) -> None:
        """Nobody polls, and the process that submits runs no jobs."""
        seller, sender = make_shop(run_jobs=False), make_shop()
        for number in range(5):
            with seller.engine.begin() as connection:
                seller.order(connection, number)
                job = seller.ship.submit(number, connection=connection)
            assert job.result(SOON) == number
        assert sender.shipped == list(range(5))

    def test_a_session_is_taken_as_well(self, shop: Shop) -> None:
        """Its own, a scoped one, and the connection of one."""
        sessions = scoped_session(sessionmaker(shop.engine))
        jobs: list[StoredJob] = []
        with Session(shop.engine) as session:
            shop.order(session, 1)
            jobs.append(shop.ship.submit(1, connection=session))
            shop.order(session, 2)
            jobs.append(shop.ship.submit(2, connection=session.connection()))
            session.commit()
        shop.order(sessions, 3)
        jobs.append(shop.ship.submit(3, connection=sessions))
        sessions.commit()
        sessions.remove()
        assert [job.result(SOON) for job in jobs] == [1, 2, 3]

    def test_other_options_are_for_it_too(self, seller: Shop) -> None:
        """A time, a queue, a priority, a callback."""
        with seller.engine.begin() as connection:
            job = seller.ship.options_for(
                delay=60, queue="mail", priority=5, connection=connection
            ).submit(1)
        (record,) = seller.tasks.ledger.list()
        assert (record.id, record.queue, record.priority) == (job.id, "mail", 5)
        assert record.due >= record.created + 59

    def test_a_job_among_the_arguments_is_waited_for(self, shop: Shop) -> None:
        """With `after` as well, and without."""
        options = shop.ship.options_for
        with shop.engine.begin() as connection:
            shop.order(connection, 1)
            first = shop.ship.submit(1, connection=connection)
            second = options(connection=connection).submit(first)
            third = options(connection=connection, after=[second]).submit(3)
        assert [job.result(SOON) for job in (first, second, third)] == [1, 1, 3]

    def test_a_job_that_is_refused_spoils_nothing(self, seller: Shop) -> None:
        """Neither a duplicate nor a full queue ends the transaction."""
        unique = seller.tasks.task("once", unique=True, on_duplicate="refuse")(seller._ship)
        short = seller.tasks.task("short", max_queue=2)(seller._ship)
        with seller.engine.begin() as connection:
            seller.order(connection, 1)
            first = unique.submit(1, connection=connection)
            with pytest.raises(Duplicate) as duplicate:
                unique.submit(1, connection=connection)
            assert duplicate.value.id == first.id
            short.submit(1, connection=connection)
            short.submit(2, connection=connection)
            with pytest.raises(QueueFull):
                short.submit(3, connection=connection)
        assert (seller.ordered(), len(seller.jobs())) == ([1], 3)

    def test_the_job_with_the_key_is_returned(self, shop: Shop, seller: Shop) -> None:
        """Whether it was accepted in this transaction or before."""
        once = seller.tasks.task("once", unique=True)(seller._ship)
        with seller.engine.begin() as connection:
            first = once.submit(1, connection=connection)
            assert once.submit(1, connection=connection) is first
        with seller.engine.begin() as connection:
            assert once.submit(1, connection=connection) is first
        assert seller.jobs() == [JobState.QUEUED]
        shop.tasks.task("once", unique=True)(shop._ship)
        shop.tasks.stop(SOON)
        shop.tasks.start()
        assert first.result(SOON) == 1

    def test_the_job_with_the_key_is_replaced(self, seller: Shop) -> None:
        """With the commit, and not without it."""
        latest = seller.tasks.task("latest", unique=lambda order: "all", on_duplicate="replace")(
            seller._ship
        )
        first = latest.submit(1)
        with seller.engine.connect() as connection:
            latest.submit(2, connection=connection)
            connection.rollback()
            assert seller.jobs() == [JobState.QUEUED]
            second = latest.submit(3, connection=connection)
            connection.commit()
        eventually(first.cancelled)
        assert second.status().state is JobState.QUEUED

    def test_what_waits_for_a_job_that_is_replaced_ends(self, seller: Shop) -> None:
        """With the commit, and its Future too."""
        latest = seller.tasks.task("latest", unique=lambda order: "all", on_duplicate="replace")(
            seller._ship
        )
        first = latest.submit(1)
        after = seller.ship.options_for(after=first).submit(2)
        with seller.engine.begin() as connection:
            latest.submit(3, connection=connection)
        assert after.status().state is JobState.CANCELLED
        eventually(after.cancelled)

    def test_a_job_waits_for_one_of_the_same_transaction(self, shop: Shop) -> None:
        """And for one that has ended before; not for one that is nowhere."""
        done = shop.ship.submit(1)
        assert done.result(SOON) == 1
        with shop.engine.begin() as connection:
            shop.order(connection, 2)
            first = shop.ship.submit(2, connection=connection)
            prepared = shop.ship.options_for(after=[first, done], connection=connection)
            second = prepared.submit(first)
            with pytest.raises(UnknownJob):
                shop.ship.options_for(after="nowhere", connection=connection).submit(3)
        assert second.result(SOON) == 2
        assert (shop.shipped, shop.ordered()) == ([1, 2, 2], [2])

    def test_a_key_is_taken_once(self, make_shop: Callable[..., Shop]) -> None:
        """Many transactions at once submit it: one job is there, and each has its order."""
        shops = [make_shop(run_jobs=False) for _ in range(2)]
        for shop in shops:
            shop.once = shop.tasks.task("once", unique=True)(shop._ship)  # type: ignore[attr-defined]
        barrier = threading.Barrier(4)

        def sell(number: int) -> str:
            shop: Any = shops[number % 2]
            barrier.wait(SOON)
            with shop.engine.begin() as connection:
                job: StoredJob = shop.once.submit(1, connection=connection)
                shop.order(connection, number)
            return job.id

        with ThreadPoolExecutor(4) as threads:
            ids = set(threads.map(sell, range(4)))
        assert len(ids) == len(shops[0].jobs()) == 1
        assert shops[0].ordered() == [0, 1, 2, 3]

    def test_each_committed_order_is_sent_once(self, make_shop: Callable[..., Shop]) -> None:
        """While other transactions are rolled back, and other jobs come the usual way."""
        shops = [make_shop(), make_shop()]
        chance = random.Random(5)
        committed = [chance.random() < 0.6 for _ in range(self.ROUNDS)]
        plain: list[StoredJob] = []

        def sell(number: int) -> StoredJob | None:
            shop = shops[number % 2]
            with shop.engine.connect() as connection:
                shop.order(connection, number)
                job = shop.ship.submit(number, connection=connection)
                if committed[number]:
                    connection.commit()
            plain.append(shop.ship.submit(-1))
            return job if committed[number] else None

        with ThreadPoolExecutor(4) as threads:
            jobs = list(threads.map(sell, range(self.ROUNDS)))
        expected = [number for number, is_there in enumerate(committed) if is_there]
        assert [job.result(SOON) for job in jobs if job is not None] == expected
        assert {job.result(SOON) for job in plain} == {-1}
        shipped = sorted(shops[0].shipped + shops[1].shipped)
        assert shipped == [-1] * self.ROUNDS + expected
        assert shops[0].ordered() == expected

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_process_that_is_killed_leaves_both_or_nothing(self, shop: Shop, when: str) -> None:
        """With SIGKILL, before or after the commit."""
        run = subprocess.run(
            [sys.executable, "-c", _KILLED, shop.url, when], capture_output=True, check=False
        )
        assert run.returncode == -9, run.stderr
        expected = [7] if when == "after" else []
        if expected:
            shop.tasks.stop(SOON)
            shop.tasks.start()
            eventually(lambda: shop.shipped)
        assert shop.ordered() == shop.shipped == expected
        assert len(shop.jobs()) == len(expected)

    def test_an_error_of_the_database_spoils_nothing(self, seller: Shop) -> None:
        """The job cannot be written, and the order can."""
        with seller.engine.begin() as connection:
            connection.execute(text("ALTER TABLE dewar_jobs RENAME TO away"))
        with seller.engine.begin() as connection:
            seller.order(connection, 1)
            with pytest.raises(LedgerError):
                seller.ship.submit(1, connection=connection)
            seller.order(connection, 2)
        with seller.engine.begin() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO dewar_jobs"))
        assert (seller.ordered(), seller.jobs()) == ([1, 2], [])

    def test_a_connection_that_commits_each_statement_is_refused(self, seller: Shop) -> None:
        """There is no transaction for the job."""
        engine = seller.engine.execution_options(isolation_level="AUTOCOMMIT")
        with (
            engine.connect() as connection,
            pytest.raises(TaskSetupError, match="AUTOCOMMIT"),
        ):
            seller.ship.submit(1, connection=connection)
        assert not seller.jobs()

    def test_another_database_is_refused(self, seller: Shop) -> None:
        """Both are named, and the setting."""
        engine = create_engine("sqlite://")
        with (
            engine.connect() as connection,
            pytest.raises(TaskSetupError, match=r"sqlite://.*TASKS_LEDGER"),
        ):
            seller.ship.submit(1, connection=connection)
        engine.dispose()

    @pytest.mark.parametrize("given", ["session", 5, object()])
    def test_anything_else_is_refused(self, seller: Shop, given: object) -> None:
        """With the right call."""
        with pytest.raises(TaskSetupError, match=r"db\.session\.connection\(\)"):
            seller.ship.submit(1, connection=given)

    def test_a_connection_of_the_driver_is_refused(self, seller: Shop) -> None:
        """Also as SQLAlchemy's pool gives it."""
        pooled = seller.engine.raw_connection()
        for given in (pooled, pooled.driver_connection):
            with pytest.raises(TaskSetupError, match=r"db\.session\.connection\(\)"):
                seller.ship.submit(1, connection=given)
        pooled.close()

    def test_two_jobs_of_a_transaction_are_there_or_neither(self, shop: Shop) -> None:
        """It gets its result, and both are there after the commit, or neither."""
        with shop.engine.connect() as connection:
            options = {"connection": connection}
            first = shop.ship.submit(1, connection=connection)
            gone = shop.ship.options_for(after=first, **options).submit(first)
            connection.rollback()
            with pytest.raises(UnknownJob):
                shop.ship.options_for(after=first, **options).submit(2)
            second = shop.ship.submit(2, connection=connection)
            third = shop.ship.options_for(after=second, **options).submit(second)
            assert not second.done()
            connection.commit()
        assert third.result(SOON) == 2
        assert not gone.done()
        assert shop.shipped == [2, 2]

    def test_a_job_waits_for_one_that_has_ended(self, seller: Shop) -> None:
        """It runs at once, or not at all, and no other process has to notice it first."""
        ended = seller.ship.submit(1)
        assert ended.cancel()
        with seller.engine.begin() as connection:
            stopped, _other = (
                seller.ship.options_for(
                    after=ended, on_failure=on_failure, connection=connection
                ).submit(2)
                for on_failure in ("stop", "continue")
            )
        assert stopped.status().state is JobState.CANCELLED
        assert seller.tasks.ledger.outlook(["ship"]).next_due <= time.time()

    def test_a_workflow_is_no_part_of_a_transaction(self, seller: Shop) -> None:
        """Its jobs would run although the orders are rolled back, so it is refused."""
        with seller.engine.connect() as connection:
            step = seller.ship.options_for(connection=connection).s(1)
            with pytest.raises(TaskSetupError, match=r"after=first, connection="):
                chain(step, seller.ship.s()).submit()
        assert seller.jobs() == []

    def test_many_jobs_are_accepted_with_the_orders(self, shop: Shop) -> None:
        """All of them after the commit, and none after a rollback."""
        with shop.engine.connect() as connection:
            many = shop.ship.options_for(connection=connection)
            many.map([1, 2])
            connection.rollback()
            jobs = many.map([3, 4, 5])
            connection.commit()
        assert [job.result(SOON) for job in jobs] == [3, 4, 5]
        assert sorted(shop.shipped) == [3, 4, 5]

    def test_nothing_is_left_of_a_transaction(self, shop: Shop) -> None:
        """A connection that lives long has had a thousand jobs, and keeps nothing of them."""
        with shop.engine.connect() as connection:
            for number in range(20):
                job = shop.ship.submit(number, connection=connection)
                if number % 2:
                    connection.commit()
                    assert job.result(SOON) == number
                else:
                    connection.rollback()
            listeners = connection.dispatch.commit
            assert len(list(listeners)) <= 1
        assert len(shop.shipped) == 10

    def test_a_function_may_have_a_parameter_of_this_name(self, seller: Shop) -> None:
        """It gets what is given, and options_for takes the connection."""

        def call(connection: str | None) -> str | None:
            return connection

        task = seller.tasks.task("call")(call)
        task.submit(connection="tcp")
        task.submit(connection=None)
        with seller.engine.connect() as connection:
            task.options_for(connection=connection).submit(connection="udp")
            connection.rollback()
        found = [json.loads(record.arguments)[1] for record in seller.tasks.ledger.list()]
        assert found == [{"connection": None}, {"connection": "tcp"}]

    def test_a_count_of_the_queue_locks_nobody_out(self, seller: Shop) -> None:
        """Another process may submit near the limit while the transaction is open."""
        short = seller.tasks.task("short", max_queue=3)(seller._ship)
        with seller.engine.connect() as connection:
            short.submit(1, connection=connection)
            count = select(func.count()).select_from(text("dewar_jobs"))
            assert connection.execute(count).scalar_one() == 1
            connection.commit()
        short.submit(2)
        assert len(seller.jobs()) == 2
