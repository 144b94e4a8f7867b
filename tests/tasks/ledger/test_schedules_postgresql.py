"""Schedules on PostgreSQL."""

import pytest
from tests.tasks.ledger.schedulecontract import ScheduleContract


class TestPostgreSQLSchedules(ScheduleContract):
    ROUNDS = 30

    @pytest.fixture
    def where(self, postgresql_url: str) -> str:
        return postgresql_url
