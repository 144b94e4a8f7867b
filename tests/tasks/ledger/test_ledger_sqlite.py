"""The ledger in a file."""

import gc
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.event.registry import _key_to_collection
from tests.tasks.ledger.contract import NOTHING, LedgerContract
from tests.tasks.ledger.ledgertools import ids, in_child, new

from dewar.tasks.errors import LedgerError, TaskSetupError
from dewar.tasks.ledger import sqlite, sqlite_connections
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.records import JobState
from openfiles import open_files


def files_open(where: str) -> list[str]:
    """Return the files of a ledger that this process has open."""
    return [name for name in open_files().elements() if name.startswith(where)]


def delete(file: Path) -> None:
    """Delete the files of a ledger."""
    for part in file.parent.glob(f"{file.name}*"):
        if part.suffix != ".other":
            part.unlink()


def move_away(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))


def replace(file: Path) -> None:
    """Put something else in its place."""
    delete(file)
    file.write_text("This is not a ledger, and long enough to be no empty file. " * 99)


def empty(file: Path) -> None:
    """Let the file stay, without what was in it."""
    os.truncate(file, 0)


def can_be_written(ledger: Ledger) -> bool:
    """Return whether another thread can write; this one would hang where it cannot."""
    written: list[object] = []
    thread = threading.Thread(target=lambda: written.append(ledger.write([new()])), daemon=True)
    thread.start()
    thread.join(10)
    return written == [NOTHING]


class TestSQLiteLedger(LedgerContract):
    @pytest.fixture
    def where(self, tmp_path: Path) -> str:
        return str(tmp_path / "instance" / "jobs.sqlite")

    @pytest.mark.parametrize("is_durable", [False, True])
    def test_the_file_is_set_up_for_many_processes(self, where: str, is_durable: bool) -> None:
        """It has a write-ahead log, and survives a loss of power if that is asked for."""
        ledger = open_ledger(where, durable=is_durable)
        with ledger.database.reading() as connection:
            assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
            assert connection.execute(text("PRAGMA synchronous")).scalar() == 1 + is_durable
            assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 30_000
        ledger.close()

    def test_it_may_be_named_by_a_url(self, tmp_path: Path) -> None:
        """As in the configuration of other tools."""
        path = tmp_path / "a" / "jobs.sqlite"
        ledger = open_ledger(f"sqlite:///{path}")
        assert ledger.statistics().where == str(path)
        assert path.exists()

    def test_a_path_is_the_one_of_when_it_was_opened(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A change of the working directory does not lead to another ledger."""
        monkeypatch.chdir(tmp_path)
        ledger = open_ledger("jobs.sqlite")
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path / "other")
        assert ledger.write([new()]) == NOTHING
        ledger.close()
        assert not (tmp_path / "other" / "jobs.sqlite").exists()

    def test_nothing_is_open_after_opening(self, where: str) -> None:
        """So a process that forks afterwards gives its children no open connection."""
        ledger = open_ledger(where)
        assert files_open(where) == []
        ledger.get("x")
        assert files_open(where)
        ledger.close()
        assert files_open(where) == []

    def test_what_is_idle_is_closed_before_a_fork(self, ledger: Ledger, where: str) -> None:
        """SQLite in a child would believe in locks that only its parent has."""
        ledger.changes()
        ledger.write([new()])
        assert files_open(where)
        assert in_child(lambda: len(files_open(where))) == 0
        assert ledger.write([new()]) == NOTHING

    def test_nothing_stays_of_a_ledger_that_was_closed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The fork hooks belong to the process, however many ledgers come and go."""
        registered: list[object] = []
        monkeypatch.setattr(os, "register_at_fork", lambda **given: registered.append(given))
        gc.collect()
        before, listeners = repr(sqlite._fork_barrier), len(_key_to_collection)
        gone: list[weakref.ref[object]] = []
        for _ in range(100):
            ledger = open_ledger(tmp_path / "jobs.sqlite")
            ledger.write([new()])
            ledger.changes()
            ledger.close()
            gone += [weakref.ref(ledger), weakref.ref(ledger.database)]
            del ledger
        gc.collect()
        assert registered == []
        assert [one for one in gone if one() is not None] == []
        assert repr(sqlite._fork_barrier) == before
        assert len(_key_to_collection) == listeners

    def test_threads_that_fork_at_once_give_back_what_they_held(
        self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each releases its own locks, even after a wait that timed out."""
        monkeypatch.setattr(sqlite, "_FORK_WAIT", 0.01)
        ledger.write([new()])
        barrier = sqlite._ForkBarrier()
        barrier.add(ledger.database)  # type: ignore[arg-type]  # it is one of SQLite's
        waited, go = threading.Event(), threading.Event()

        def fork() -> None:
            barrier.close()
            waited.set()
            go.wait(20)
            barrier.open()

        barrier.close()
        other = threading.Thread(target=fork)
        other.start()
        assert waited.wait(20)
        barrier.open()
        assert can_be_written(ledger)
        go.set()
        other.join(20)
        assert can_be_written(ledger)
        assert barrier._held == {}

    def test_a_fork_whose_wait_fails_leaves_the_ledger_usable(
        self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All locks that it held are released."""
        ledger.write([new()])
        with monkeypatch.context() as patched:
            patched.setattr(Database, "close", lambda _database: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                ledger.database.pause(1.0)  # type: ignore[attr-defined]  # SQLite's has it
        assert can_be_written(ledger)

    def test_readers_do_not_wait_for_a_writer(self, ledger: Ledger) -> None:
        """They see the state before the transaction."""
        job = new()
        ledger.write([job])
        with ledger.database.writing() as connection:
            connection.execute(text("DELETE FROM dewar_jobs"))
            assert ledger.get(job.id) is not None
            assert ledger.counts()[JobState.QUEUED] == 1
            assert ledger.outlook(["resize"]).next_due == 1.0

    def test_a_lock_that_stays_is_an_error(
        self, where: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A writer waits for other processes until a timeout, and works afterwards."""
        monkeypatch.setattr(sqlite_connections, "BUSY_TIMEOUT", 0.05)
        ledger = open_ledger(where)
        other = sqlite3.connect(where, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="database is locked"):
            ledger.write([new()])
        other.execute("COMMIT")
        other.close()
        assert ledger.write([new()]) == NOTHING
        ledger.close()

    def test_a_writer_waits_for_other_processes(self, ledger: Ledger, where: str) -> None:
        """It continues as soon as the lock is free."""
        other = sqlite3.connect(where, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        thread = threading.Thread(target=ledger.write, args=([new()],))
        thread.start()
        assert ledger.list() == []
        other.execute("COMMIT")
        thread.join(20)
        assert len(ledger.list()) == 1
        other.close()

    def test_a_full_disk_leaves_it_usable(self, ledger: Ledger) -> None:
        """The failed write has no effect, the rest is there, and later writes succeed."""
        kept, large = new(), new(arguments="x" * 1_000_000)
        ledger.write([kept])
        with ledger.database.writing() as connection:
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
            connection.execute(text(f"PRAGMA max_page_count = {pages + 5}"))
        with pytest.raises(LedgerError, match=r"database or disk is full\. Free some space"):
            ledger.write([large])
        assert ledger.get(large.id) is None
        assert ledger.get(kept.id) is not None
        with ledger.database.writing() as connection:
            connection.execute(text("PRAGMA max_page_count = 1000000"))
        assert ledger.write([large]) == NOTHING

    @pytest.mark.parametrize("loss", [delete, move_away, replace, empty])
    def test_a_file_that_goes_while_it_is_open_is_told(
        self, ledger: Ledger, where: str, loss: Callable[[Path], None]
    ) -> None:
        """Nothing is accepted into what is gone, and no new file hides the loss."""
        known = new()
        ledger.write([known])
        ledger.changes()
        loss(Path(where))
        ledger.database.connections().check_due = 0.0  # as some milliseconds later
        with pytest.raises(LedgerError, match="Put the file back, or restart"):
            ledger.write([new()])
        with pytest.raises(LedgerError):
            ledger.write([new(), new()])
        with pytest.raises(LedgerError):
            ledger.get(known.id)
        assert Path(where).exists() == (loss in {replace, empty})

    def test_a_file_that_goes_is_told_to_who_only_looks(self, ledger: Ledger, where: str) -> None:
        """A process that waits for jobs of others notices it with its next look for changes."""
        ledger.changes()
        delete(Path(where))
        for _ in range(3):
            with pytest.raises(LedgerError, match="Put the file back, or restart"):
                ledger.changes()

    def test_a_file_that_is_put_back_is_used_again(self, ledger: Ledger, where: str) -> None:
        """With what was in it, and no restart."""
        known, later = new(), new()
        ledger.write([known])
        ledger.close()
        folder = Path(where).parent
        folder.rename(folder.with_name("away"))
        with pytest.raises(LedgerError):
            ledger.write([later])
        folder.with_name("away").rename(folder)
        assert ledger.write([later]) == NOTHING
        assert set(ledger.get_many([known.id, later.id])) == {known.id, later.id}

    def test_a_ledger_that_takes_its_place_is_used(self, ledger: Ledger, where: str) -> None:
        """After one error: what was written last is not in it."""
        other = open_ledger(f"{where}.other")
        known = new()
        other.write([known])
        other.close()
        ledger.write([new()])
        delete(Path(where))
        Path(f"{where}.other").rename(where)
        ledger.database.connections().check_due = 0.0
        with pytest.raises(LedgerError, match="replaced"):
            ledger.write([new()])
        assert ids(ledger.list()) == [known.id]
        assert ledger.write([new()]) == NOTHING

    @pytest.mark.parametrize("path", ["", ":memory:", "sqlite://", "sqlite:///:memory:"])
    def test_it_is_not_kept_in_memory(self, path: str) -> None:
        """A ledger has to outlive the process."""
        with pytest.raises(TaskSetupError, match="outlives the process"):
            open_ledger(path)

    @pytest.mark.parametrize("url", ["mysql://host/x", "postgresql://host:port/x", "://"])
    def test_other_databases_are_refused(self, url: str) -> None:
        """The error shows a valid location."""
        with pytest.raises(TaskSetupError, match=r"instance/jobs\.sqlite"):
            open_ledger(url)

    def test_a_file_that_is_none_is_refused(self, tmp_path: Path) -> None:
        """A folder, a file of something else, a folder that is a file."""
        (tmp_path / "text").write_text("This is not a database, but long enough to be one. " * 99)
        for path in (tmp_path, tmp_path / "text", tmp_path / "text" / "jobs.sqlite"):
            with pytest.raises(TaskSetupError, match=r"cannot be a ledger: .* may write"):
                open_ledger(path)

    def test_an_old_sqlite_is_refused(self, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error has the installed version."""
        monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 1))
        with pytest.raises(TaskSetupError, match=r"SQLite 3\.35 or newer"):
            open_ledger(where)
