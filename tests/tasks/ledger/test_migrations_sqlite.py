"""The migration of a ledger in a file."""

import os
import signal
import sqlite3
from pathlib import Path

import pytest
from tests.tasks.ledger.ledgertools import in_child
from tests.tasks.ledger.migrationcontract import STATES, MigrationContract, meta
from tests.tasks.ledger.older import OlderProcess, make_older_ledger

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.ledger import opening
from dewar.tasks.ledger.migrations import LATEST, STEPS, Step
from dewar.tasks.ledger.opening import open_ledger


class TestSQLiteMigration(MigrationContract):
    @pytest.fixture
    def where(self, tmp_path: Path) -> str:
        return str(tmp_path / "jobs.sqlite")

    @pytest.fixture
    def other_where(self, tmp_path: Path) -> str:
        return str(tmp_path / "other.sqlite")

    def test_the_dump_is_what_that_version_made(self, where: str) -> None:
        """It has the tables and indexes that its statements need."""
        make_older_ledger(where)
        older = OlderProcess(where)
        assert older.claim(9.0) == {"job-waiting", "job-again", "job-other-task"}
        older.close()

    @pytest.mark.parametrize("number", range(len(STEPS[0].statements)))
    def test_a_process_that_is_killed_leaves_the_ledger_as_it_was(
        self, where: str, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        """At any statement; the next start does all of them."""
        make_older_ledger(where)
        statements = STEPS[0].statements[:number]

        def steps_then_kill(schema: int) -> list[Step]:
            return [Step(2, statements), Dying()]  # type: ignore[list-item]

        class Dying:
            @property
            def statements(self) -> tuple[str, ...]:
                os.kill(os.getpid(), signal.SIGKILL)
                return ()

        with monkeypatch.context() as patched:
            patched.setattr(opening, "missing_steps", steps_then_kill)
            assert in_child(lambda: open_ledger(where) and 0) == -signal.SIGKILL
        older = OlderProcess(where)
        assert older.run("SELECT name FROM dewar_meta") == [("version",)]
        with pytest.raises(sqlite3.OperationalError, match="queue"):
            older.run("SELECT queue FROM dewar_jobs")
        older.close()
        ledger = open_ledger(where)
        assert len(ledger.get_many(list(STATES))) == len(STATES)
        assert meta(ledger)["schema"] == str(LATEST)
        ledger.close()

    @pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
    def test_a_file_that_may_only_be_read_is_refused(self, where: str, tmp_path: Path) -> None:
        """The error names the file, and the file stays as it was."""
        make_older_ledger(where)
        content = Path(where).read_bytes()

        def open_as_nobody() -> int:
            tmp_path.parent.chmod(0o755)
            if os.geteuid() == 0:
                os.seteuid(65534)
            try:
                open_ledger(where)
            except TaskSetupError as error:
                return 0 if where in str(error) else 1
            return 2

        Path(where).chmod(0o444)
        assert in_child(open_as_nobody) == 0
        assert Path(where).read_bytes() == content
