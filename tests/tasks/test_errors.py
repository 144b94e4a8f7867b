"""The errors of tasks: each can be copied, sent to another process, and kept as text."""

import copy
import pickle

import pytest

import dewar.tasks.errors as module
from dewar.contexts.unavailable import SessionSentError
from dewar.errors import DewarError
from dewar.tasks.errors import (
    CallbackRefused,
    DependencyFailed,
    Duplicate,
    EngineUnreachable,
    JobFailed,
    JobLost,
    JobNotRun,
    JobTimeout,
    LedgerError,
    MissingExtra,
    NotSupported,
    PoolExhausted,
    QueueFull,
    SoftTimeLimitExceeded,
    TasksError,
    TaskSetupError,
    ThreadRefused,
    UnknownJob,
    UnknownTask,
    Unreadable,
    Unserializable,
    VerificationError,
    WorkerDied,
)
from dewar.tasks.serialization.failures import describe_error, make_error

ERRORS = [
    CallbackRefused("no"),
    DependencyFailed("abc", "failed"),
    Duplicate("resize", "abc"),
    EngineUnreachable("celery", "redis://host", OSError("refused")),
    JobFailed("m:Error", "text", "traceback"),
    JobLost("gone"),
    JobNotRun("resize"),
    JobTimeout("resize", 3.5),
    LedgerError("jobs.sqlite", "disk full"),
    MissingExtra("The ledger", "tasks"),
    NotSupported("threads", "stop a job that runs", "Use processes."),
    PoolExhausted("a pool", 2),
    QueueFull("The task resize", 3),
    SoftTimeLimitExceeded("resize", 2.5),
    TaskSetupError("no"),
    ThreadRefused("a pool", RuntimeError("no thread")),
    UnknownJob("abc"),
    UnknownTask("no"),
    Unreadable("no"),
    Unserializable("result.rows[3]", object()),
    VerificationError("no"),
    WorkerDied("killed"),
]


def parts_of(error: BaseException) -> tuple[object, ...]:
    return type(error), str(error), error.args, vars(error)


def test_none_is_left_out() -> None:
    """Every class that the module has is in the table above."""
    classes = {
        cls
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, TasksError) and cls is not TasksError
    }
    assert {type(error) for error in ERRORS} == classes


@pytest.mark.parametrize("error", [*ERRORS, SessionSentError()], ids=lambda e: type(e).__name__)
def test_it_comes_back_from_another_process(error: DewarError) -> None:
    """With its class, text, arguments and attributes, whatever its constructor takes."""
    for back in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert parts_of(back) == parts_of(error)


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_it_comes_back_from_the_ledger(error: TasksError) -> None:
    """As it was, where it was kept as text."""
    assert parts_of(make_error(describe_error(error))) == parts_of(error)
