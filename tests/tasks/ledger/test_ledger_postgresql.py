"""The ledger on PostgreSQL."""

import sys

import psycopg
import pytest
from tests.tasks.ledger.contract import LedgerContract
from tests.tasks.ledger.ledgertools import new

from dewar.tasks.errors import LedgerError, MissingExtra, TaskSetupError
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.opening import open_ledger


class TestPostgreSQLLedger(LedgerContract):
    @pytest.fixture
    def where(self, postgresql_url: str) -> str:
        return postgresql_url

    def test_a_connection_that_broke_is_replaced(self, ledger: Ledger, where: str) -> None:
        """After the server was away, the next call finds it again."""
        ledger.write([new()])
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        ledger.write([new()])
        assert len(ledger.list()) == 2

    def test_a_server_that_is_gone_is_noticed_before_the_lease_is_over(self, where: str) -> None:
        """A connection has limits for silence, unless the URL says otherwise."""
        for query, expected in (("", "15000"), ("?tcp_user_timeout=7000", "7000")):
            ledger = open_ledger(f"{where}{query}")
            with ledger.database.reading() as connection:
                driver = connection.connection.driver_connection
                parameters = driver.info.get_parameters()  # type: ignore[union-attr]
            assert parameters["tcp_user_timeout"] == expected
            assert parameters["keepalives_idle"] == "5"
            ledger.close()

    def test_a_server_that_is_not_there_is_named_without_the_password(self) -> None:
        """The error has the database's reason and no secret."""
        with pytest.raises(TaskSetupError, match=r"postgresql://me:\*\*\*@127.0.0.1:1/x") as caught:
            open_ledger("postgresql://me:secret@127.0.0.1:1/x")
        assert isinstance(caught.value.__cause__, LedgerError)
        assert "secret" not in str(caught.value)

    def test_a_missing_driver_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error shows what to install."""
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(MissingExtra, match=r"dewar-web\[postgresql\]"):
            open_ledger("postgresql://127.0.0.1/x")
