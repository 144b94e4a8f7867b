"""A job in the ledger is resolved by whatever its record says."""

import json
from concurrent.futures import CancelledError
from dataclasses import dataclass
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
)


@dataclass
class Fragile:
    """Fails where it is read."""

    def __post_init__(self) -> None:
        raise RuntimeError("it broke")


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
        (json.dumps({"$dataclass": [class_name(Fragile), {}]}), RuntimeError),
        ("no JSON", ValueError),
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


def test_an_error_that_can_not_be_read_is_a_failed_job() -> None:
    """The same holds for what it raised."""
    job = kept()
    text = {**describe_error(ValueError("x")), "args": ["x"]}
    job.resolve(record(JobState.FAILED, error=json.dumps(text)))
    assert type(job.exception(0)) is JobFailed
