"""Jobs that wait for others in a file."""

from pathlib import Path

import pytest
from tests.tasks.ledger.dependencycontract import DependencyContract


class TestSQLiteDependencies(DependencyContract):
    ROUNDS = 200

    @pytest.fixture
    def where(self, tmp_path: Path) -> str:
        return str(tmp_path / "jobs.sqlite")
