"""Reports of arguments, results and exceptions that stopped a worker, or came back as others."""

import asyncio
import concurrent.futures
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dewar import Dewar
from dewar.tasks.errors import JobFailed, Unserializable
from dewar.tasks.ledger.records import JobState
from dewar.tasks.tasks import Tasks
from reporttools import SOON


@pytest.fixture(params=["sqlite", "postgresql"])
def tasks(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tasks]:
    """With one thread: a job that takes it leaves none to the others."""
    ledger: Any = tmp_path / "jobs.sqlite3"
    if request.param == "postgresql":
        ledger = request.getfixturevalue("postgresql_database")
    made = Tasks(Dewar("report"), ledger=ledger, threads=1, poll=0.02)
    yield made
    assert made.stop(SOON)


class OtherArgument(Exception):
    """Can be pickled, and not unpickled: its constructor needs what is not in its arguments."""

    def __init__(self, *, other: str) -> None:
        super().__init__(f"with {other}")
        self.other = other


def raise_(error: BaseException) -> Any:
    raise error


#: What a job does, and the text that its error has.
BAD = {
    "needs an argument": (lambda: raise_(OtherArgument(other="me")), "with me"),
    "in another": (lambda: raise_(Exception(OtherArgument(other="me"))), "with me"),
    "no memory": (lambda: raise_(MemoryError("no more")), "no more"),
    "exit": (lambda: raise_(SystemExit("cannot go on")), "cannot go on"),
    "accents": (lambda: raise_(ValueError("glāžšķūņŗūķīšī")), "glāžšķūņŗūķīšī"),
    "zero byte": (lambda: raise_(ValueError("a\0b\udc9c")), "b"),
    "timeout": (lambda: raise_(TimeoutError("too late")), "too late"),
    "cancelled": (lambda: raise_(concurrent.futures.CancelledError("of another")), "of another"),
}


def test_an_exception_ends_its_job_and_nothing_else(tasks: Tasks) -> None:
    """Whatever it is: it is told as far as it can be.

    There the whole worker ended, or its thread never came back:
    https://github.com/celery/celery/issues/6990 and https://github.com/celery/celery/issues/2943
    (arguments), https://github.com/celery/celery/issues/10462 (memory),
    https://github.com/celery/billiard/pull/275 (exit), https://github.com/rq/rq/issues/482 and
    https://github.com/rq/rq/issues/1748 (text)
    """
    bad = tasks.task("bad")(lambda name: BAD[name][0]())
    for name, job in [(name, bad.submit(name)) for name in BAD]:
        error = job.exception(SOON)
        assert error is not None, name
        assert BAD[name][1] in str(error), name
        assert job.status().state is JobState.FAILED, name
    assert isinstance(bad.submit("needs an argument").exception(SOON), OtherArgument | JobFailed)


def test_a_coroutine_may_raise_a_timeout(tasks: Tasks) -> None:
    """It is its error, also if it waits with a timeout of its own.

    There the thread that waited for it took that for its own timeout, and waited on for ever:
    https://github.com/Bogdanp/dramatiq/issues/791
    """

    @tasks.task()
    async def late(error: str) -> None:
        if error == "own":
            raise TimeoutError(error)
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    for name in ("own", "of asyncio"):
        assert isinstance(late.submit(name).exception(SOON), TimeoutError)


def test_a_result_that_cannot_be_kept_is_the_error_of_its_job(tasks: Tasks) -> None:
    """It says where in the result the value is.

    There the worker ended, or the job was done with a text as its result:
    https://github.com/rq/rq/issues/283, https://github.com/rq/rq/pull/1888
    """
    job = tasks.task("rows")(lambda: {"rows": [1, threading.Lock()]}).submit()
    with pytest.raises(Unserializable, match=r"result\.rows\[1\]"):
        job.result(SOON)
    assert tasks.task("next")(lambda: 1).submit().result(SOON) == 1


def test_arguments_are_of_the_same_types_in_a_job(tasks: Tasks) -> None:
    """They arrive as they were given, and an object that they hold is not the caller's.

    There they were others on a worker than in the tests: https://github.com/celery/celery/issues/4008,
    https://github.com/celery/celery/issues/4275
    """
    seen: list[Any] = []
    given = {"id": uuid.uuid4(), "day": date(2026, 3, 29), "at": datetime(2026, 3, 29, tzinfo=UTC)}
    assert tasks.task("see")(lambda value: seen.append(value)).submit(given).result(SOON) is None
    assert seen == [given]
    assert seen[0] is not given
    assert {type(value) for value in seen[0].values()} == {uuid.UUID, date, datetime}


def test_a_time_without_a_zone_is_in_utc(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the process is; one with a zone is that moment, also where a clock is set back.

    There it was UTC in one place and local in another, so jobs ran hours early or late:
    https://github.com/rq/rq-scheduler/issues/246, https://github.com/rq/rq/pull/1258
    """
    task = tasks.task("later")(lambda: None)
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        at = datetime(2199, 10, 27, 1, 30)  # noqa: DTZ001 - it has none
        assert task.submit_later(at=at).status().due == at.replace(tzinfo=UTC)
        berlin = at.replace(tzinfo=ZoneInfo("Europe/Berlin"))
        for fold in (0, 1):
            there = berlin.replace(fold=fold)
            assert task.submit_later(at=there).status().due == there.astimezone(UTC)
    finally:
        monkeypatch.undo()
        time.tzset()
