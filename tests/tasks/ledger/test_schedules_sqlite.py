"""Schedules in a file."""

from pathlib import Path

import pytest
from tests.tasks.ledger.schedulecontract import ScheduleContract


class TestSQLiteSchedules(ScheduleContract):
    ROUNDS = 100

    @pytest.fixture
    def where(self, tmp_path: Path) -> str:
        return str(tmp_path / "jobs.sqlite")
