"""A ledger that is moved to another database."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.tasks.ledger.ledgertools import HERE, dead, in_child, new
from tests.tasks.ledger.older import make_older_ledger

from dewar.tasks.errors import LedgerError, TaskSetupError
from dewar.tasks.ledger import moving
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.marks import COMPLETE, set_mark
from dewar.tasks.ledger.moving import move_ledger
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.owners import this_owner
from dewar.tasks.ledger.records import JobState, NewJob
from dewar.tasks.ledger.schema import VERSION, metadata

Rows = dict[str, list[tuple[Any, ...]]]
#: What is not moved: the processes, and the marks.
_LEFT = {"dewar_meta", "dewar_owners"}


@contextlib.contextmanager
def opened(where: str, schema: str | None = None) -> Iterator[Ledger]:
    ledger = open_ledger(where, schema=schema)
    yield ledger
    ledger.close()


def rows(where: str, schema: str | None = None) -> Rows:
    """Return all rows of a ledger, by table."""
    with opened(where, schema) as ledger, ledger.database.reading() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(table.select())), key=repr)
            for table in metadata.sorted_tables
            if table.name not in _LEFT
        }


def fill(where: str) -> Rows:
    """Make a ledger of jobs in each state, with callbacks, limits, keys and rates."""
    make_older_ledger(where)
    jobs = [new(queue="mail", priority=3, unique_key=f"k{n}", limited=True) for n in range(25)]
    with opened(where) as ledger:
        ledger.write([replace(jobs[0], arguments='["ä\\u20ac", "\x7f"]', context="{}"), *jobs[1:]])
        with ledger.database.writing() as connection:
            connection.execute(text("INSERT INTO dewar_rates VALUES ('resize', 1.1e9, 0.1)"))
            connection.execute(text("INSERT INTO dewar_disabled_urls VALUES ('https://x', 0.3)"))
    return rows(where)


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "jobs.sqlite")


@pytest.fixture(params=["file", "database"])
def to(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the new ledger is to be."""
    if request.param == "file":
        return str(tmp_path / "new.sqlite")
    return str(request.getfixturevalue("empty_postgresql_url"))


def test_every_row_is_there_as_it_was(file: str, to: str) -> None:
    """Of each table, in each state."""
    before = fill(file)
    counts = move_ledger(file, to)
    assert rows(to) == before
    assert counts == {name: len(found) for name, found in before.items()}
    assert counts["dewar_jobs"] == 37


def test_it_goes_back_into_a_file_and_into_schemas(
    file: str, empty_postgresql_url: str, tmp_path: Path
) -> None:
    """From PostgreSQL to SQLite, and from one schema to another."""
    before, back = fill(file), str(tmp_path / "back.sqlite")
    move_ledger(file, empty_postgresql_url, to_schema="shop")
    move_ledger(empty_postgresql_url, empty_postgresql_url, schema="shop", to_schema="other")
    assert rows(empty_postgresql_url, "other") == before
    move_ledger(empty_postgresql_url, back, schema="other")
    assert rows(back) == before


def test_the_jobs_go_on(file: str, to: str) -> None:
    """In the order in which they would have run; what a dead process had is recovered."""
    make_older_ledger(file)
    move_ledger(file, to)
    with opened(to) as ledger:
        recovered = ledger.recover(8.0, dead)
        assert recovered.requeued == ("job-running",)
        claimed = [job.id for job in ledger.claim("new", 10, 9.0, ["resize", "other"])]
        assert claimed[-1] == "job-again"
        assert set(claimed[:-1]) == {"job-waiting", "job-other-task", "job-claimed", "job-running"}
        done = ledger.get("job-done")
        assert done is not None
        assert done.result == "7"


def test_the_old_ledger_is_closed_for_good(file: str, to: str) -> None:
    """Also to an older Dewar, which knows no marks but the version."""
    fill(file)
    move_ledger(file, to)
    with pytest.raises(TaskSetupError, match="moved to another database"):
        open_ledger(file)
    database = moving.open_database(file, is_moving=True)
    with database.reading() as connection:
        version = connection.execute(
            text("SELECT value FROM dewar_meta WHERE name = 'version'")
        ).scalar_one()
    database.close()
    assert int(version) > VERSION


def test_a_second_move_finds_it_done(file: str, to: str) -> None:
    """Whoever repeats the command gets the same answer, and nothing changes."""
    fill(file)
    counts = move_ledger(file, to)
    with opened(to) as ledger:
        ledger.write([new()])
    before = rows(to)
    assert move_ledger(file, to) == counts
    assert rows(to) == before
    with pytest.raises(TaskSetupError, match="moved to another database"):
        open_ledger(file)


@pytest.mark.parametrize("is_complete", [False, True])
def test_a_moved_ledger_goes_nowhere_else(
    file: str, to: str, tmp_path: Path, is_complete: bool
) -> None:
    """Whether the move was killed or has ended: a second copy would run all jobs twice.

    It stays closed. If the new ledger is lost, --force moves it to a third.
    """
    before = fill(file)
    if is_complete:
        move_ledger(file, to)
    else:
        assert in_child(lambda: _killed(file, to)) == -signal.SIGKILL
    third, used = str(tmp_path / "third.sqlite"), str(tmp_path / "used.sqlite")
    with opened(used) as ledger:
        ledger.write([new()])
    for other in (third, used):
        with pytest.raises(TaskSetupError, match="was moved to another database"):
            move_ledger(file, other)
        with pytest.raises(TaskSetupError, match="was moved to another database"):
            open_ledger(file)
    with opened(third) as ledger:
        assert ledger.list() == []
    assert move_ledger(file, to)["dewar_jobs"] == 37
    move_ledger(file, third, force=True)
    assert rows(third) == before


def _killed(file: str, to: str) -> int:
    """Begin to move, and die."""

    def die(table: str, done: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    return len(move_ledger(file, to, note=die))


def test_what_may_be_complete_keeps_the_old_one_closed(
    file: str, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the last commit fails, nobody knows whether it was made. A repeated move finds out."""
    before = fill(file)

    def fail(*args: Any) -> None:
        set_mark(*args)
        if args[1] == COMPLETE:
            raise KeyboardInterrupt

    monkeypatch.setattr(moving, "set_mark", fail)
    with pytest.raises(KeyboardInterrupt):
        move_ledger(file, to)
    monkeypatch.undo()
    with pytest.raises(TaskSetupError, match="repeat it"):
        open_ledger(file)
    move_ledger(file, to)
    assert rows(to) == before


def test_it_is_refused_while_a_process_works(file: str, to: str) -> None:
    """Which is named; a dead one on this host does not count, and --force moves anyway."""
    fill(file)
    with opened(file) as ledger:
        ledger.beat(replace(HERE, id="dead", host=this_owner(0.0).host, pid=2**22 + 1), 1e12)
    assert in_child(lambda: _busy(file, to)) == 0
    with opened(file) as ledger:
        ledger.beat(replace(HERE, id="far", host="far away", pid=77), time.time() + 1000)
    with pytest.raises(TaskSetupError, match=r"77 on far.*--force"):
        move_ledger(file, to)
    with opened(file) as ledger:
        assert len(ledger.list()) == 37, "it cannot be used as before"
    assert move_ledger(file, to, force=True)["dewar_jobs"] == 37


def _busy(file: str, to: str) -> int:
    """Try to move while the parent of this process, which is another one, has the ledger."""
    with opened(file) as ledger:
        parent = replace(this_owner(0.0), id="parent", pid=os.getppid())
        stat = Path(f"/proc/{parent.pid}/stat").read_text().rpartition(")")[2].split()
        ledger.beat(replace(parent, started=float(stat[19])), 0.0)
    try:
        move_ledger(file, to)
    except TaskSetupError as error:
        with opened(file) as ledger:
            ledger.leave("parent")
        return int(f"{parent.pid} on" not in str(error))
    return 1


def test_a_ledger_with_jobs_is_not_overwritten(file: str, to: str) -> None:
    """Neither has changed."""
    before = fill(file)
    with opened(to) as ledger:
        ledger.write([new()])
    with pytest.raises(TaskSetupError, match="jobs of its own"):
        move_ledger(file, to)
    assert rows(file) == before
    assert len(rows(to)["dewar_jobs"]) == 1
    with pytest.raises(TaskSetupError, match="already"):
        move_ledger(file, file)
    assert rows(file) == before


def test_after_an_error_the_old_one_is_used_again(file: str, to: str) -> None:
    """And a later move takes the rows that are there then, and none of those before."""
    fill(file)

    def fail(table: str, done: int) -> None:
        if table == "dewar_jobs" and done > 20:
            raise LedgerError(to, "the disk is full")

    with pytest.raises(LedgerError):
        move_ledger(file, to, note=fail)
    with pytest.raises(TaskSetupError, match="incomplete"):
        open_ledger(to)
    with opened(file) as ledger:
        assert ledger.cancel("job-waiting", 10.0)
        with ledger.database.writing() as connection:
            connection.execute(text("DELETE FROM dewar_jobs WHERE id = 'job-waiting'"))
    before = rows(file)
    move_ledger(file, to)
    assert rows(to) == before
    assert "job-waiting" not in {row[0] for row in before["dewar_jobs"]}


def test_a_move_that_is_killed_goes_on(file: str, to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after each transaction. Meanwhile neither ledger can be used."""
    before = fill(file)
    made: list[Callable[[], Any]] = []
    for cls in {type(moving.open_database(where, is_moving=True)) for where in (file, to)}:
        plain = cls.writing

        @contextlib.contextmanager
        def writing(self: Database, plain: Any = plain) -> Iterator[Any]:
            made[0]()
            with plain(self) as connection:
                yield connection
            made[0]()

        monkeypatch.setattr(cls, "writing", writing)
    kills, parent = 0, os.getpid()
    for step in range(100):
        left = [step]

        def count(left: list[int] = left) -> None:
            if os.getpid() == parent:
                return  # a thread that another test has left
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        made[:] = [count]
        code = in_child(lambda: len(move_ledger(file, to)) * 0)
        made[:] = [lambda: None]
        if code == 0:
            break
        assert code == -signal.SIGKILL
        kills += 1
    assert kills > 10
    monkeypatch.undo()
    assert rows(to) == before
    with pytest.raises(TaskSetupError, match="moved to another database"):
        open_ledger(file)


def test_two_moves_at_once_are_one(file: str, to: str) -> None:
    """Both end well, and each row is there once."""
    before = fill(file)
    barrier = threading.Barrier(2)
    failures: list[BaseException] = []

    def move() -> None:
        barrier.wait(10)
        try:
            move_ledger(file, to)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=move) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert rows(to) == before


def test_large_jobs_are_moved_in_small_pieces(
    file: str, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in memory is bounded by characters, and not only by rows."""
    monkeypatch.setattr(moving, "_CHARACTERS", 100_000)
    big: list[NewJob] = [new(arguments=f'["{"x" * 50_000}"]') for _ in range(40)]
    with opened(file) as ledger:
        ledger.write(big)
    steps: list[int] = []
    move_ledger(file, to, note=lambda table, done: steps.append(done))
    sizes = [after - before for before, after in zip([0, *steps], steps, strict=False)]
    assert max(sizes[1:]) <= 2
    assert sum(sizes) == 40
    with opened(to) as ledger:
        assert ledger.counts()[JobState.QUEUED] == 40
