"""Jobs that wait for others on PostgreSQL."""

import pytest
from tests.tasks.ledger.dependencycontract import DependencyContract


class TestPostgreSQLDependencies(DependencyContract):
    ROUNDS = 30

    @pytest.fixture
    def where(self, postgresql_url: str) -> str:
        return postgresql_url
