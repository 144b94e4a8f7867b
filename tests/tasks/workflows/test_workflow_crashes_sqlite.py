"""Workflows in a file, whose processes are killed."""

from pathlib import Path

import pytest
from tests.tasks.workflows.crashcontract import CrashContract


class TestSQLiteCrashes(CrashContract):
    @pytest.fixture
    def where(self, tmp_path: Path) -> str:
        return str(tmp_path / "jobs.sqlite")
