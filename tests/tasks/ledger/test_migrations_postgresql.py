"""The migration of a ledger on PostgreSQL."""

import psycopg
import pytest
from tests.tasks.ledger.migrationcontract import MigrationContract


class TestPostgreSQLMigration(MigrationContract):
    @pytest.fixture
    def where(self, empty_postgresql_url: str) -> str:
        return empty_postgresql_url

    @pytest.fixture
    def other_where(self, empty_postgresql_url: str) -> str:
        """Another schema of the same database."""
        with psycopg.connect(empty_postgresql_url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS another CASCADE")
            connection.execute("CREATE SCHEMA another")
        return f"{empty_postgresql_url}?options=-csearch_path%3Danother"
