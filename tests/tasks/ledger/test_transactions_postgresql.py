"""Jobs in a transaction of the program on the PostgreSQL database that has the ledger."""

from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import create_engine, text
from tests.tasks.ledger.transactioncontract import SOON, Shop, TransactionContract

from dewar.tasks.errors import TaskSetupError


class TestPostgreSQLTransactions(TransactionContract):
    @pytest.fixture
    def url(self, postgresql_url: str) -> str:
        return postgresql_url.replace("postgresql://", "postgresql+psycopg://")

    def test_the_tables_are_found_in_their_schema(self, url: str) -> None:
        """Whatever the search path of the program's connection is, which stays as it was."""
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as admin:
            admin.execute("CREATE SCHEMA jobs")
        shop = Shop(f"{url}?options=-csearch_path%3Djobs")
        engine = create_engine(url)
        with engine.connect() as connection:
            connection.execute(text("SET LOCAL search_path = 'pg_temp', \"$user\", public"))
            path = connection.execute(text("SHOW search_path")).scalar_one()
            job = shop.ship.submit(1, connection=connection)
            assert connection.execute(text("SHOW search_path")).scalar_one() == path
            connection.commit()
        assert job.result(SOON) == 1
        engine.dispose()
        shop.close()

    def test_another_database_of_the_server_is_refused(
        self, make_shop: Callable[..., Shop], postgresql_server: str
    ) -> None:
        """Even if it has the same tables."""
        shop = make_shop()
        engine = create_engine(f"{postgresql_server}/postgres".replace("://", "+psycopg://"))
        with engine.connect() as connection, pytest.raises(TaskSetupError, match="TASKS_LEDGER"):
            shop.ship.submit(1, connection=connection)
        engine.dispose()

    def test_two_phases_are_a_transaction_too(self, make_shop: Callable[..., Shop]) -> None:
        """The server has to be set up for them, which is seldom. The job is found by a poll."""
        shop = make_shop(poll=0.05)
        with shop.engine.connect() as connection:
            if connection.execute(text("SHOW max_prepared_transactions")).scalar_one() == "0":
                pytest.skip("the server has max_prepared_transactions = 0")
            connection.rollback()
            two_phases = connection.begin_twophase()
            job = shop.ship.submit(1, connection=connection)
            two_phases.prepare()
            two_phases.commit()
        assert job.result(SOON) == 1
