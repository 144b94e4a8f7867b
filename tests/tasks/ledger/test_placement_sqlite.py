"""Queues, priorities, limits and unique jobs in a file."""

from pathlib import Path

import pytest
from tests.tasks.ledger.placementcontract import PlacementContract


class TestSQLitePlacement(PlacementContract):
    ROUNDS = 200

    @pytest.fixture
    def where(self, tmp_path: Path) -> str:
        return str(tmp_path / "jobs.sqlite")
