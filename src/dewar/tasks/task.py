"""`Task`: a function that can be called plainly or handed to the background."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.retry import RetryPolicy
from dewar.tasks.serialization.task_address import TaskAddress, find_task
from dewar.tasks.settings import seconds
from dewar.tasks.stored_job import StoredJob

P = ParamSpec("P")
R = TypeVar("R")

_Delay = float | timedelta
#: The positional and the named arguments of one call.
Arguments = tuple[Sequence[Any], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskOptions:
    """What ``@tasks.task(...)`` says about a function; see `Tasks.task`."""

    name: str
    policy: RetryPolicy
    timeout: float | None
    max_queue: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """What is said about one job beside its arguments.

    Attributes:
        due: Not before, in seconds since the epoch; None for at once.
        callback: The URL that is told how the job ended.
    """

    due: float | None = None
    callback: str | None = None


class Submitter(Protocol):
    """What a task asks of the `Tasks` it belongs to."""

    def submit(
        self, task: "Task[Any, Any]", calls: Sequence[Arguments], submission: Submission
    ) -> list[StoredJob]:
        """Accept a job for each call."""

    def address_of(self, task: "Task[Any, Any]") -> TaskAddress:
        """Return where another process finds a task."""

    def ensure_sync(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that can be called without ``await``."""

    @property
    def json(self) -> Any:
        """Reads and writes JSON."""


class Task(Generic[P, R]):
    """A function of an app's that may run in the background. ``@tasks.task`` makes it.

    Called, it is the function. `submit` hands it over instead, and returns at once with a job.

    Args:
        function: The function; it may be ``async``.
        options: What it was declared with.
        submitter: The `Tasks` it belongs to.
    """

    def __init__(
        self, function: Callable[P, R], options: TaskOptions, submitter: Submitter
    ) -> None:
        update_wrapper(self, function)
        self.function = function
        self.options = options
        self._submitter = submitter
        self._signature = inspect.signature(function)
        if "callback" in self._signature.parameters:
            raise TaskSetupError(
                f"{options.name} has a parameter named callback, which submit(callback=url) takes"
                " for itself. Give the parameter another name."
            )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function here and now."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    def __reduce__(self) -> Any:
        # Another process imports the app and finds its own.
        return find_task, (self._submitter.address_of(self),)

    @property
    def name(self) -> str:
        """What the ledger, the command line and the log call it."""
        return self.options.name

    @property
    def json(self) -> Any:
        """What arguments and results are written with."""
        return self._submitter.json

    @property
    def sync_function(self) -> Callable[..., Any]:
        """The function, to be called without ``await``."""
        return self._submitter.ensure_sync(self.function)

    def submit(self, *args: Any, callback: str | None = None, **kwargs: Any) -> StoredJob:
        """Accept a job that runs the function as soon as possible; it is in the ledger then.

        Args:
            args: For the function. They travel as JSON: see `dewar.tasks.serialization.values`.
            callback: A URL that is told how the job ended, signed by the Standard Webhooks rules.
            kwargs: For the function.

        Raises:
            QueueFull: If as many jobs of the task wait as may; it is a 503 for a client.
            Unserializable: If an argument has no JSON form.
            CallbackRefused: If the URL may not be called.
            TypeError: If the function does not take these arguments.
            LedgerError: If the job cannot be recorded; it is not accepted then.
        """
        return self._submit(args, kwargs, Submission(callback=callback))

    def submit_later(
        self,
        *args: Any,
        delay: _Delay | None = None,
        at: datetime | None = None,
        callback: str | None = None,
        **kwargs: Any,
    ) -> StoredJob:
        """Accept a job that does not run before its time; the rest is as in `submit`.

        Args:
            args: For the function.
            delay: In seconds from now, or a `~datetime.timedelta`.
            at: The time instead; a `~datetime.datetime` without a zone is in UTC.
            callback: As in `submit`.
            kwargs: For the function. One with a parameter named ``delay`` or ``at`` is scheduled
                by ``task.options_for(delay=...)``.

        Raises:
            TaskSetupError: If neither or both of `delay` and `at` are given.
        """
        taken = {"delay", "at"} & self._signature.parameters.keys()
        if taken:
            name = min(taken)
            raise TaskSetupError(
                f"{self.name} has a parameter named {name}, which submit_later takes for itself."
                f" Say it apart: {self.name}.options_for({name}=...).submit(...)"
            )
        return self.options_for(delay=delay, at=at, callback=callback).submit(*args, **kwargs)

    def map(self, *iterables: Iterable[Any], callback: str | None = None) -> list[StoredJob]:
        """Accept a job for each set of arguments, many in one transaction; return the jobs.

        Args:
            iterables: As of `map`: the first arguments, the second, and so on.
            callback: As in `submit`, for each of them.

        Raises:
            QueueFull: If not all fit into the queue; its `accepted` are those that did.
            TasksError: As in `submit`. Nothing is accepted then, but where the database fails.
        """
        calls: list[Arguments] = [(args, {}) for args in zip(*iterables, strict=False)]
        for args, _ in calls:
            self._signature.bind(*args)
        return self._submitter.submit(self, calls, Submission(callback=callback))

    def options_for(
        self,
        *,
        delay: _Delay | None = None,
        at: datetime | None = None,
        callback: str | None = None,
    ) -> "PreparedSubmission":
        """Return what submits jobs of this task at another time and with a callback.

        Raises:
            TaskSetupError: If neither or both of `delay` and `at` are given.
        """
        return PreparedSubmission(self._submit, Submission(due=_due(delay, at), callback=callback))

    def _submit(self, args: Any, kwargs: Any, submission: Submission) -> StoredJob:
        # A call that cannot work is the caller's mistake, and is told to the caller.
        self._signature.bind(*args, **kwargs)
        return self._submitter.submit(self, [(args, kwargs)], submission)[0]


class PreparedSubmission:
    """Submits jobs of one task with what was said beforehand; see `Task.options_for`."""

    def __init__(
        self, submit: Callable[[Any, Any, Submission], StoredJob], submission: Submission
    ) -> None:
        self._submit = submit
        self._submission = submission

    def submit(self, *args: Any, **kwargs: Any) -> StoredJob:
        """Accept a job; everything given is for the function."""
        return self._submit(args, kwargs, self._submission)


def _due(delay: _Delay | None, at: datetime | None) -> float:
    if (delay is None) == (at is None):
        raise TaskSetupError(
            "Say when in one way: submit_later(..., delay=60), or submit_later(..., at=time)."
        )
    if at is None:
        return datetime.now(UTC).timestamp() + seconds(delay or 0.0)
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
