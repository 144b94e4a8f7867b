"""Queues, priorities, limits and unique jobs on PostgreSQL."""

import pytest
from tests.tasks.ledger.placementcontract import PlacementContract


class TestPostgreSQLPlacement(PlacementContract):
    ROUNDS = 30

    @pytest.fixture
    def where(self, postgresql_url: str) -> str:
        return postgresql_url
