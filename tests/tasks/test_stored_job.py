"""A job in the ledger is resolved by whatever its record says."""

import json
from concurrent.futures import FIRST_EXCEPTION, CancelledError, wait
from enum import Enum
from threading import Event, Thread
from typing import Any

import pytest

from dewar.tasks.directory import TaskDirectory
from dewar.tasks.errors import JobFailed, JobLost, Unreadable
from dewar.tasks.ledger.interruption import lost_error
from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.progress import Progress
from dewar.tasks.serialization.class_names import class_name
from dewar.tasks.serialization.failures import describe_error
from dewar.tasks.stored_job import JobBackend, JobFutures, StoredJob

BACKEND = JobBackend(
    directory=TaskDirectory({}),
    futures=JobFutures(),
    status=pytest.fail,
    cancel=lambda id, _running: pytest.fail(id),
    call_soon=lambda _function, argument: pytest.fail(repr(argument)),
    note_wait=lambda: None,
)


class Fragile(Enum):
    """Fails where a member is read that it does not have."""

    ONE = 1

    @classmethod
    def _missing_(cls, value: object) -> "Fragile":
        raise RuntimeError("it broke")


class Slow(Enum):
    """Waits where a member is read that it does not have."""

    ONE = 1

    @classmethod
    def _missing_(cls, value: object) -> "Slow":
        READING.set()
        assert GO_ON.wait(20)
        return cls.ONE


READING, GO_ON = Event(), Event()


def kept() -> StoredJob:
    return StoredJob("j1", "add", BACKEND)


def record(state: JobState, **changes: Any) -> JobRecord:
    values: dict[str, Any] = dict.fromkeys(JobRecord.__dataclass_fields__)
    values |= {"id": "j1", "task": "add", "state": state, "arguments": "[]"}
    return JobRecord(**{**values, **changes})


def test_a_job_that_is_done_has_its_result_and_progress() -> None:
    """Both as they were packed."""
    job = kept()
    job.resolve(record(JobState.DONE, result='{"$tuple": [1]}', fraction=1.0, message="all"))
    assert job.result(0) == (1,)
    assert job.progress == Progress(1.0, "all")


def test_a_cancelled_job_is_a_cancelled_future() -> None:
    """Its error, of an attempt before, is nobody's."""
    job = kept()
    job.resolve(record(JobState.CANCELLED, error=json.dumps(describe_error(ValueError("x")))))
    with pytest.raises(CancelledError):
        job.result(0)


def test_a_lost_job_says_what_to_do() -> None:
    """With the error that was written, whoever wrote it; without one it says how it ended."""
    error = lost_error("add", "j1")
    job, other = kept(), kept()
    job.resolve(record(JobState.LOST, error=json.dumps(describe_error(error))))
    with pytest.raises(JobLost, match="dewar tasks retry j1") as caught:
        job.result(0)
    assert caught.value.args == error.args
    other.resolve(record(JobState.LOST))
    with pytest.raises(JobLost, match="ended as lost"):
        other.result(0)


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        ('{"$dataclass": ["no.such.module:Gone", {}]}', Unreadable),
        (json.dumps({"$enum": [class_name(Fragile), 7]}), Unreadable),
        ("no JSON", Unreadable),
    ],
)
def test_a_result_that_can_not_be_read_is_an_error(result: str, kind: type[Exception]) -> None:
    """Who waits is told: the thread that resolves jobs meets no error, and goes on with others."""
    watch = JobFutures()
    first, second = watch.add("j1", kept), watch.add("j2", kept)
    watch.resolve(
        [record(JobState.DONE, result=result), record(JobState.DONE, id="j2", result="2")]
    )
    assert isinstance(first.exception(0), kind)
    assert second.result(0) == 2


def test_a_value_is_read_by_who_asks_for_it() -> None:
    """However long its code takes, the thread that resolves jobs has resolved the next one."""
    watch = JobFutures()
    first, second = watch.add("j1", kept), watch.add("j2", kept)
    text = json.dumps([{"$enum": [class_name(Slow), 7]}])
    watch.resolve([record(JobState.DONE, result=text), record(JobState.DONE, id="j2", result="2")])
    assert not READING.is_set()
    found: list[Any] = []
    threads = [Thread(target=lambda: found.append(first.result(20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert READING.wait(20)
    assert second.result(0) == 2
    GO_ON.set()
    for thread in threads:
        thread.join(20)
    assert found == [[Slow.ONE]] * 4
    assert all(value is found[0] for value in found)  # as any Future returns one object


def test_a_failure_ends_a_wait_for_the_first_one() -> None:
    """`concurrent.futures.wait` is told by the Future itself."""
    watch = JobFutures()
    first, other = watch.add("j1", kept), watch.add("j2", kept)
    error = json.dumps(describe_error(ValueError("x")))
    resolve = [record(JobState.FAILED, error=error)]
    Thread(target=watch.resolve, args=(resolve,)).start()
    assert wait([first, other], 20, FIRST_EXCEPTION).done == {first}
    with pytest.raises(ValueError, match="x"):
        first.result(0)


def test_an_error_that_can_not_be_read_is_a_failed_job() -> None:
    """The same holds for what it raised."""
    job = kept()
    text = {**describe_error(ValueError("x")), "args": ["x"]}
    job.resolve(record(JobState.FAILED, error=json.dumps(text)))
    assert type(job.exception(0)) is JobFailed
