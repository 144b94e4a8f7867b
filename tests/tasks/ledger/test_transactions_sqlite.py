"""Jobs in a transaction of the program on the file that has the ledger."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from tests.tasks.ledger.transactioncontract import SOON, Shop, TransactionContract

from dewar.tasks.errors import TaskSetupError


class TestSQLiteTransactions(TransactionContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'shop.sqlite3'}"

    def test_the_tasks_begin_before_the_transaction(self, url: str) -> None:
        """A transaction that has written would wait for itself, which is said at once."""
        shop = Shop(url)
        with shop.engine.connect() as connection:
            # The file is a ledger already: otherwise it is another one.
            shop.tasks.open_ledger().close()
            shop.order(connection, 1)
            with pytest.raises(TaskSetupError, match=r"tasks\.start\(\)"):
                shop.ship.submit(1, connection=connection)
            connection.rollback()
            job = shop.ship.submit(2, connection=connection)
            connection.commit()
        assert job.result(SOON) == 2
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
