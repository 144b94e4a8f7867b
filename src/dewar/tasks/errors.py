"""The errors of tasks and their jobs.

Two questions decide the base class: whose mistake is it (a call that the engine does not support, a
full queue, a job that failed), and what would a user of `concurrent.futures` catch?
"""

from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from typing import Any

from dewar.errors import DewarError


class TasksError(DewarError):
    """The base class of the errors of tasks."""


class NotSupported(TasksError, NotImplementedError):  # noqa: N818  # the name is promised
    """Raised if an engine does not support an operation.

    It is a `NotImplementedError`, with the names of the `engine` and the `operation`.
    """

    def __init__(self, engine: str, operation: str, repair: str) -> None:
        super().__init__(f"The engine {engine!r} cannot {operation}. {repair}")
        self.engine = engine
        self.operation = operation


class QueueFull(TasksError, RuntimeError):  # noqa: N818  # as queue.Full and asyncio.QueueFull
    """Raised if too many jobs wait. The job, or the jobs that do not fit, were not accepted.

    `what` names the pool or task, `limit` is how many jobs may wait, and `accepted` has the jobs of
    the same call that were accepted.
    """

    def __init__(self, what: str, limit: int, accepted: Sequence[object] = ()) -> None:
        super().__init__(
            f"{what} has {limit} jobs waiting, which is its limit. Submit again later (over HTTP"
            " that is a 503 with Retry-After), or allow more: max_queue=..."
        )
        self.what = what
        self.limit = limit
        self.accepted = accepted


class Duplicate(TasksError, RuntimeError):  # noqa: N818  # what it says is what happened
    """Raised if a job with the same key has not ended, and the task refuses a second one.

    `task` is the name of the task, `id` the id of the job that has the key (empty if it is not
    known), and `accepted` has the jobs of the same call that were accepted.
    """

    def __init__(self, task: str, id: str = "", accepted: Sequence[object] = ()) -> None:
        which = f" It is {id}." if id else ""
        super().__init__(
            f"A job of {task} with the same key has not ended.{which} Wait for its end, or"
            " outside of a workflow, take that job instead: on_duplicate='return'."
        )
        self.task = task
        self.id = id
        self.accepted = accepted


class EngineUnreachable(TasksError, ConnectionError):  # noqa: N818  # as the ConnectionError it is
    """Raised if a job cannot be sent because the broker or scheduler does not answer.

    Nothing was accepted. It has the name of the `engine`, and its address in `where`.
    """

    def __init__(self, engine: str, where: str, error: BaseException) -> None:
        super().__init__(
            f"The engine {engine!r} cannot reach {where} ({error}). Nothing was accepted: submit it"
            " again when it is back. Is the address right?"
        )
        self.engine = engine
        self.where = where


class ThreadRefused(TasksError, RuntimeError):  # noqa: N818  # what it says is what happened
    """Raised if the system starts no thread for the first job of a pool. It was not accepted.

    With a thread or more, a pool goes on with those that it has. ``__cause__`` is the system's own
    error.
    """

    def __init__(self, what: str, error: BaseException) -> None:
        super().__init__(
            f"{what} gets no thread from the system: {error}. Submit again later. The limit may be"
            " that of a container (pids), of the user (ulimit -u), or the memory."
        )
        self.what = what


class JobTimeout(TasksError, TimeoutError):  # noqa: N818  # as the TimeoutError it is
    """The outcome of a job that was stopped after its timeout.

    `seconds` is the timeout.
    """

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(
            f"{name} was stopped after {seconds:g} seconds, which is its timeout. Allow it more:"
            " timeout=..."
        )
        self.seconds = seconds


class SoftTimeLimitExceeded(TasksError, RuntimeError):  # noqa: N818  # Celery's name
    """Raised in the function of a job after its soft timeout, so that it can clean up and end.

    It has the `name` of the task or function and its soft timeout in `seconds`. In a function on a
    thread it has neither before it leaves the function. It is no `TimeoutError`: that is an
    `OSError`, which libraries catch to try again.
    """

    def __init__(self, name: str = "The job", seconds: float = 0.0) -> None:
        limit = f" of {seconds:g} seconds" if seconds else ""
        super().__init__(
            f"{name} has exceeded its soft timeout{limit}. Let it catch this exception to clean up,"
            " or allow it more: soft_timeout=..."
        )
        self.name = name
        self.seconds = seconds

    def __reduce__(self) -> tuple[type["SoftTimeLimitExceeded"], tuple[str, float]]:
        return type(self), (self.name, self.seconds)


class PoolExhausted(TasksError, RuntimeError):  # noqa: N818  # what it says is what happened
    """Raised by ``result()`` in a job if its pool has no worker left to run what it waits for.

    All workers wait for jobs of their own pool, so none of these would ever begin.
    """

    def __init__(self, pool: str, workers: int) -> None:
        super().__init__(
            f"All {workers} workers of the pool {pool!r} wait for jobs of this pool, so this one"
            " would wait for ever. Do not wait in a job: submit the next step at its end, or use"
            " another pool. With a limit, result(timeout=60) ends in a TimeoutError instead."
        )
        self.pool = pool
        self.workers = workers


class WorkerDied(TasksError, BrokenExecutor):  # noqa: N818  # what it says is what happened
    """The outcome of a job whose worker process died while it ran.

    It is a `concurrent.futures.BrokenExecutor`, but the pool is not broken: it has a new worker.
    """


class JobFailed(TasksError, RuntimeError):  # noqa: N818  # what it says is what happened
    """Raised for the result of a job whose exception cannot be recreated in this process.

    `type` is the exception's class as ``module:name``, `text` its message and `traceback` the
    formatted traceback.
    """

    def __init__(self, type: str, text: str, traceback: str = "") -> None:  # noqa: A002
        super().__init__(f"{type}: {text}")
        self.type = type
        self.text = text
        self.traceback = traceback


class JobLost(TasksError, RuntimeError):  # noqa: N818  # what it says is what happened
    """The outcome of a job whose process died while it ran, and that is not run again.

    It may not be repeated, or four of its processes in a row have died.
    """


class DependencyFailed(TasksError, RuntimeError):  # noqa: N818  # what it says is what happened
    """The error of a job that was cancelled, because a job before it did not end well.

    `id` is that of the job that did not, and `state` how it ended.
    """

    def __init__(self, id: str, state: str) -> None:  # as everywhere
        super().__init__(
            f"It does not run, because the job {id} before it ended as {state}. To run that job"
            f" again, and then this one: dewar tasks retry {id}. To run it all the same the next"
            " time: on_failure='continue'."
        )
        self.id = id
        self.state = state


class JobNotRun(TasksError, RuntimeError):  # noqa: N818  # what it says is what happened
    """Raised in a test for a wait that would not end: the job cannot run now."""

    def __init__(self, task: str) -> None:
        super().__init__(
            f"The job of {task} cannot run now, and nothing in this test would make it run later."
            " It is for a later time, or another job holds it back. Move the time first:"
            " job_clock.advance(timedelta(minutes=5))."
        )


class UnknownJob(TasksError, KeyError):  # noqa: N818  # as the KeyError it is
    """Raised if the ledger has no job with an id: there never was one, or it was purged.

    `problem` is what else is wrong with the id.
    """

    def __init__(self, id: str, problem: str = "it may have been purged.") -> None:
        given: Any = id
        if isinstance(given, str):
            text = f"There is no job {id!r} in the ledger; {problem}"
        else:
            text = f"{id!r} is no id of a job, which is text. Give its id: tasks.get(job.id)."
        super().__init__(text)
        self.id = id

    def __str__(self) -> str:
        # A KeyError shows the repr of its message.
        return str(self.args[0])


class UnknownTask(TasksError, LookupError):  # noqa: N818  # as the LookupError it is
    """Raised if a job names a task that this process does not have."""


class Unreadable(TasksError, ValueError):  # noqa: N818  # what it says is what happened
    """Raised if a stored value cannot be recreated, because its class does not exist."""


class Unserializable(TasksError, TypeError):  # noqa: N818  # as the TypeError of json.dumps
    """Raised if an argument or a result has no JSON form. `path` leads to the value.

    `problem` is what is wrong with it and what to do; by default, that its type is unknown.
    """

    def __init__(self, path: str, value: object, problem: str = "") -> None:
        problem = problem or (
            f"is of type {type(value).__name__}, which has no JSON form. Turn it into a dict,"
            " list, str or number first, make it a dataclass, or teach app.json.default."
        )
        super().__init__(f"{path} {problem}")
        self.path = path


class TaskSetupError(TasksError, ValueError):
    """Raised if a pool, a task or a ledger is set up in a way that cannot work."""


class LedgerError(TasksError, RuntimeError):
    """Raised if the ledger's database fails. Nothing was changed.

    For example, its disk is full, or another process kept it locked too long. The ledger stays
    usable, and the call can be repeated. ``__cause__`` is the database's own error. `is_refusal`
    says that the database works and refuses the values: to repeat the call would not help.
    """

    def __init__(self, where: str, reason: str, *, is_refusal: bool = False) -> None:
        super().__init__(f"The ledger {where} could not do it: {reason}")
        self.where = where
        self.reason = reason
        self.is_refusal = is_refusal


class MissingExtra(TasksError, ImportError):  # noqa: N818  # as the ImportError it is
    """Raised if a library is missing that an extra of the distribution installs."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs more libraries: pip install 'dewar-web[{extra}]'")
        self.extra = extra


class CallbackRefused(TasksError, ValueError):  # noqa: N818  # what it says is what happened
    """Raised for a callback URL that must not be called: not HTTP, or an internal address."""


class VerificationError(TasksError, ValueError):
    """Raised if a received callback cannot be trusted. Answer it with 400."""
