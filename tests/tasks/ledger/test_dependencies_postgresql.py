"""Jobs that wait for others on PostgreSQL."""

import pytest
from tests.tasks.ledger.dependencycontract import DependencyContract
from tests.tasks.ledger.ledgertools import new

from dewar.tasks.ledger.dependency_statements import STOPPED_BY
from dewar.tasks.ledger.ledger import Ledger


class TestPostgreSQLDependencies(DependencyContract):
    ROUNDS = 30

    @pytest.fixture
    def where(self, postgresql_url: str) -> str:
        return postgresql_url

    def test_what_stops_what_is_looked_up_in_an_index(self, ledger: Ledger) -> None:
        """Also while the database knows nothing of the rows, as after many were written at once."""
        first = new()
        others = [new(after=[first.id]) for _ in range(1000)]
        last = [new(after=[one.id]) for one in others]
        ledger.write([first, *others, *last])
        with ledger.database.reading() as connection:
            statement = STOPPED_BY["postgresql"].bindparams(ids=[first.id])
            written = statement.compile(
                dialect=connection.dialect, compile_kwargs={"literal_binds": True}
            )
            plan = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {written}")]
        step = "\n".join(plan).partition("WorkTable Scan")[2]
        assert "Index Cond: (after_id = " in step, plan
