"""Jobs in a transaction of the program on the file that has the ledger."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from tests.tasks.ledger.transactioncontract import SOON, Shop, TransactionContract

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.ledger.records import JobState


class TestSQLiteTransactions(TransactionContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'shop.sqlite3'}"

    @pytest.mark.parametrize("is_ledger", [False, True])
    def test_the_commit_begins_the_tasks(self, url: str, is_ledger: bool) -> None:
        """If they have not begun, and would wait for the transaction; also in a new file."""
        shop = Shop(url)
        if is_ledger:
            shop.tasks.open_ledger().close()
        with shop.engine.connect() as connection:
            shop.order(connection, 1)
            shop.ship.submit(1, connection=connection)
            connection.rollback()
            shop.order(connection, 2)
            jobs = [shop.ship.submit(2, connection=connection)]
            after = shop.ship.options_for(after=jobs[0], connection=connection)
            jobs.append(after.submit(3))
            ended: list[object] = []
            done = threading.Event()
            jobs[0].add_done_callback(lambda job: (ended.append(job.result()), done.set()))
            connection.commit()
        assert [job.result(SOON) for job in jobs] == [2, 3]
        assert done.wait(SOON)
        assert ended == [2]
        assert jobs[1].status().state is JobState.DONE
        assert (shop.ordered(), sorted(shop.shipped)) == ([2], [2, 3])
        shop.close()

    def test_a_callback_needs_tasks_that_have_begun(self, url: str) -> None:
        """Only they can check its URL."""
        shop = Shop(url)
        with shop.engine.connect() as connection:
            shop.order(connection, 1)
            with pytest.raises(TaskSetupError, match=r"tasks\.start\(\)"):
                shop.ship.submit(1, connection=connection, callback="https://example.org/hook")
            connection.rollback()
        shop.close()

    def test_an_engine_may_begin_transactions_itself(self, make_shop: Callable[..., Shop]) -> None:
        """As SQLAlchemy recommends for SAVEPOINTs: with isolation_level None, and BEGIN."""
        shop = make_shop()
        engine = create_engine(shop.url)

        @event.listens_for(engine, "connect")
        def no_begin(driver: DBAPIConnection, _record: object) -> None:
            driver.isolation_level = None

        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        with engine.connect() as connection:
            shop.ship.submit(1, connection=connection)
            shop.order(connection, 1)
            connection.rollback()
            shop.order(connection, 2)
            job = shop.ship.submit(2, connection=connection)
            connection.commit()
        assert job.result(SOON) == 2
        assert (shop.ordered(), shop.shipped) == ([2], [2])
        engine.dispose()

    def test_another_file_is_refused(self, make_shop: Callable[..., Shop], tmp_path: Path) -> None:
        """Also one whose name is the same in another folder; a link to the folder is the same."""
        shop = make_shop()
        (tmp_path / "other").mkdir()
        (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
        other = create_engine(f"sqlite:///{tmp_path / 'other' / 'shop.sqlite3'}")
        with other.begin() as connection, pytest.raises(TaskSetupError, match="TASKS_LEDGER"):
            shop.ship.submit(1, connection=connection)
        linked = create_engine(f"sqlite:///{tmp_path / 'link' / 'shop.sqlite3'}")
        with linked.begin() as connection:
            job = shop.ship.submit(2, connection=connection)
        assert job.result(SOON) == 2
        other.dispose()
        linked.dispose()
