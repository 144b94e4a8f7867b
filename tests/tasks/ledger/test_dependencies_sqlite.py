"""Jobs that wait for others in a file."""

from pathlib import Path

import pytest
from tests.tasks.ledger.dependencycontract import DependencyContract
from tests.tasks.ledger.ledgertools import explained

from dewar.tasks.ledger.ledger import Ledger


class TestSQLiteDependencies(DependencyContract):
    ROUNDS = 200

    @pytest.fixture
    def where(self, tmp_path: Path) -> str:
        return str(tmp_path / "jobs.sqlite")

    def test_no_workflow_slows_a_purge_down(self, ledger: Ledger) -> None:
        """What belongs to a job that may be deleted is found in indexes."""
        plan = explained(ledger, lambda ledger: ledger.purge(1.0))[-1]
        assert "dewar_dependencies_after" in plan
        assert "dewar_jobs_workflow" in plan
