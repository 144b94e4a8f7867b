"""Workflows on PostgreSQL, whose processes are killed."""

import pytest
from tests.tasks.workflows.crashcontract import CrashContract


class TestPostgreSQLCrashes(CrashContract):
    @pytest.fixture
    def where(self, postgresql_url: str) -> str:
        return postgresql_url
