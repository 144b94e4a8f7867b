"""Jobs that do what they can to stop the process: only they fail, and each ends."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from dewar import Dewar
from dewar.tasks.errors import PoolExhausted, TasksError, ThreadRefused, Unreadable
from dewar.tasks.ledger.records import JobState
from dewar.tasks.progress import current_job
from dewar.tasks.tasks import Tasks

_SOON = 20.0


@pytest.fixture
def tasks(tmp_path: Path) -> Iterator[Tasks]:
    made = Tasks(Dewar("hostile", instance_path=str(tmp_path)), threads=2, poll=0.02)
    yield made
    assert made.stop(_SOON)


class Error(Exception):
    """Fails wherever it can."""

    def __str__(self) -> str:
        raise SystemExit

    def __repr__(self) -> str:
        raise KeyboardInterrupt

    def __reduce__(self) -> Any:
        return ()

    def __eq__(self, other: object) -> bool:
        raise MemoryError

    __hash__ = None  # type: ignore[assignment]


class Long(Exception):
    """Has a text and arguments as long as a whole response."""

    def __init__(self) -> None:
        super().__init__("x" * (3 << 20))


class Member(Enum):
    """Has a member that the reader does not know."""

    ONE = 1


def endless(depth: int = 0) -> Any:
    return endless(depth + 1)


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


def raise_(error: BaseException) -> Any:
    raise error


_BAD: dict[str, Callable[[], Any]] = {
    "error": lambda: raise_(Error()),
    "long": lambda: raise_(Long()),
    "group": lambda: raise_(ExceptionGroup("", [Error(), Long()])),
    "exit": lambda: raise_(SystemExit()),
    "interrupt": lambda: raise_(KeyboardInterrupt()),
    "generator exit": lambda: raise_(GeneratorExit()),
    "stop": lambda: raise_(StopIteration(1)),
    "memory": lambda: raise_(MemoryError()),
    "recursion": endless,
    "nested": lambda: nested(100_000),
    "digits": lambda: 10**100_000,
    "nan progress": lambda: current_job.progress(float("nan")),
    "no progress": lambda: current_job.progress("half"),
    "object": object,
    "too big": lambda: "x" * 5000,
    "too big error": lambda: raise_(ValueError("x" * 5000)),
}


def backoff(attempt: int) -> float:
    raise SystemExit


def refuse_large(ledger: str) -> None:
    """Have the database refuse results and errors of more than some thousand characters."""
    with closing(sqlite3.connect(ledger)) as connection:
        connection.executescript(
            """
            CREATE TRIGGER small BEFORE UPDATE ON dewar_jobs
            WHEN length(NEW.result) > 4000 OR NEW.error LIKE '%xxxxxxxxxx%'
            BEGIN SELECT RAISE(ABORT, 'too big'); END;
            """
        )


def task_threads() -> set[threading.Thread]:
    """Return the threads that run jobs."""
    return {one for one in threading.enumerate() if one.name.startswith("dewar-task_")}


def test_each_bad_job_ends_and_the_others_go_on(tasks: Tasks) -> None:
    """Under load, with retries and backoffs that fail; no slot and no thread is lost."""

    @tasks.task()
    def good(number: int) -> int:
        return number

    @tasks.task()
    def bad(name: str) -> Any:
        current_job.progress(0.5, "\0\udc80" * 2000)
        return _BAD[name]()

    @tasks.task(retries=2, backoff=backoff)
    def bad_again(name: str) -> Any:
        return _BAD[name]()

    # Those of other tests may end meanwhile, and none of them begins.
    others = task_threads()
    assert good.submit(0).result(_SOON) == 0
    refuse_large(tasks.ledger.database.name)
    problems: list[object] = []

    def work(offset: int) -> None:
        for number in range(offset, offset + 40):
            try:
                assert good.submit(number).result(_SOON) == number
            except BaseException as error:  # the test looks at it
                problems.append(error)

    threads = [threading.Thread(target=work, args=(100 * n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    jobs = {name: task.submit(name) for task in (bad, bad_again) for name in _BAD}
    jobs |= {f"{name} again": bad_again.submit(name) for name in _BAD}
    for name, job in jobs.items():
        error = job.exception(_SOON)
        assert error is not None, name
        status = job.status()
        assert status.state is JobState.FAILED, name
        json.dumps(status.as_dict())
    for thread in threads:
        thread.join(60)
    assert problems == []
    assert good.submit(7).result(_SOON) == 7
    assert len(task_threads() - others) == 2
    assert "its outcome: " in str(jobs["too big again"].exception(0))
    assert isinstance(jobs["too big again"].exception(0), TasksError)


def test_a_result_that_this_process_cannot_read_is_told(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a rolling deployment; the status has the reason, and a client sees it."""

    @tasks.task()
    def newer() -> Any:
        return Member.ONE

    job = newer.submit()
    assert job.exception(_SOON) is None
    monkeypatch.setattr(f"{__name__}.Member", Enum("Member", {"TWO": 2}))
    again = tasks.status(job.id)
    assert again.state is JobState.DONE
    assert again.error is not None
    assert again.error["type"] == "dewar.tasks.errors:Unreadable"
    assert "Unreadable" in again.as_dict(shows_errors=True)["error"]["type"]
    del job
    with pytest.raises(Unreadable, match="Another version"):
        tasks.get(again.id).result(_SOON)


def test_a_start_without_a_thread_is_tried_again(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The submitter is told; the next one has its job run."""

    @tasks.task()
    def good() -> int:
        return 1

    start, refusals = threading.Thread.start, [1]

    def refusing(thread: threading.Thread) -> None:
        if thread.name == "dewar-tasks-writer" and refusals:
            refusals.pop()
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refusing)
    with pytest.raises(ThreadRefused):
        good.submit()
    assert good.submit().result(_SOON) == 1


def test_a_job_that_waits_in_a_full_pool_is_told(tasks: Tasks) -> None:
    """No other process has the ledger, so nobody would run what all threads wait for."""

    @tasks.task()
    def inner() -> int:
        return 1

    @tasks.task()
    def outer() -> int:
        return inner.submit().result() + 1

    jobs = [outer.submit() for _ in range(6)]
    errors = [job.exception(_SOON) for job in jobs]
    assert {type(error) for error in errors} <= {PoolExhausted, type(None)}
    assert any(isinstance(error, PoolExhausted) for error in errors)
    assert inner.submit().result(_SOON) == 1


def test_another_process_runs_what_a_full_pool_waits_for(tmp_path: Path) -> None:
    """The waiting jobs are given back, so no job fails. Here the other process is a second app."""
    path = tmp_path / "jobs.sqlite3"
    full = Tasks(ledger=path, threads=1, poll=0.02)
    other = Tasks(ledger=path, threads=1, poll=0.02)

    def inner() -> int:
        return 1

    here = full.task("inner")(inner)
    other.task("inner")(inner)

    @full.task()
    def outer() -> int:
        return here.submit().result() + 1

    try:
        other.start()
        assert outer.submit().result(_SOON) == 2
    finally:
        assert other.stop(_SOON)
        assert full.stop(_SOON)


def test_a_job_of_another_process_is_soon_seen(tmp_path: Path) -> None:
    """After a change a process without jobs looks again soon, not at its next regular look."""
    path = tmp_path / "jobs.sqlite3"
    web, worker = (Tasks(ledger=path, threads=1, poll=2.0, run_jobs=runs) for runs in (False, True))

    def double(number: int) -> int:
        return 2 * number

    here = web.task("double")(double)
    worker.task("double")(double)
    try:
        worker.start()
        began = time.monotonic()
        assert [here.submit(n).result(_SOON) for n in range(10)] == [2 * n for n in range(10)]
        assert time.monotonic() - began < 12.0  # with regular looks alone, 20 seconds or more
    finally:
        assert worker.stop(_SOON)
        assert web.stop(_SOON)
