"""`Task`: a function that can be called directly or run in the background."""

import inspect
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

from dewar.contexts.current import contexts
from dewar.support.redaction import IsSecret
from dewar.tasks.directory import TaskDirectory
from dewar.tasks.errors import TaskSetupError
from dewar.tasks.interface import TasksApp
from dewar.tasks.ledger.records import NewJob
from dewar.tasks.serialization.task_address import find_task
from dewar.tasks.serialization.values import ordered_dumps, pack_arguments
from dewar.tasks.settings import seconds
from dewar.tasks.stored_job import StoredJob
from dewar.tasks.task_options import TaskOptions

P = ParamSpec("P")
R = TypeVar("R")

_Delay = float | timedelta
#: The positional and the named arguments of one call.
Arguments = tuple[Sequence[Any], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """The options of one job.

    Attributes:
        due: The earliest time to run, in seconds since the epoch; None for now.
        callback: The URL that gets the outcome of the job.
    """

    due: float | None = None
    callback: str | None = None


class Task(Generic[P, R]):
    """A function of an app that may run in the background. ``@tasks.task`` makes it.

    To call it calls the function. `submit` accepts a job instead, and returns at once.

    Args:
        function: The function; it may be ``async``.
        options: What it was declared with.
        directory: Returns the tasks that it belongs to, with the app that is current.
        submit: Accepts a job.
        submit_all: Accepts a job for each call.
    """

    def __init__(
        self,
        function: Callable[P, R],
        options: TaskOptions,
        directory: Callable[[], TaskDirectory],
        submit: "SubmitOne",
        submit_all: "SubmitAll",
    ) -> None:
        update_wrapper(self, function)
        self.function = function
        self.options = options
        #: What the ledger, the command line and the log call it.
        self.name = options.name
        self._directory = directory
        self._submit_one = submit
        self._submit_all = submit_all
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
        return find_task, (self._directory().address_of(self),)

    @property
    def json(self) -> Any:
        """What writes and reads arguments and results."""
        return self._directory().json

    @property
    def sync_function(self) -> Callable[..., Any]:
        """The function, to be called without ``await``."""
        return self._directory().ensure_sync(self.function)

    def submit(self, *args: Any, callback: str | None = None, **kwargs: Any) -> StoredJob:
        """Accept a job that runs the function as soon as possible. It is in the ledger then.

        Args:
            args: For the function. They travel as JSON: see `dewar.tasks.serialization.values`.
            callback: A URL that gets the outcome, signed by the rules of Standard Webhooks.
            kwargs: For the function.

        Raises:
            QueueFull: If too many jobs of the task wait; the app answers a client with 503.
            Unserializable: If an argument has no JSON form.
            CallbackRefused: If the URL may not be called.
            TypeError: If the function does not take these arguments.
            LedgerError: If the job cannot be written; it is not accepted then.
        """
        # A call that cannot work is the caller's mistake, and raises here.
        self._signature.bind(*args, **kwargs)
        return self._submit_one(self, args, kwargs, Submission(callback=callback))

    def submit_later(
        self,
        *args: Any,
        delay: _Delay | None = None,
        at: datetime | None = None,
        callback: str | None = None,
        **kwargs: Any,
    ) -> StoredJob:
        """Accept a job that does not run before a time; everything else is as in `submit`.

        Args:
            args: For the function.
            delay: In seconds from now, or a `~datetime.timedelta`.
            at: The time, instead of `delay`. A `~datetime.datetime` without a zone is in UTC.
            callback: As in `submit`.
            kwargs: For the function. If it has a parameter named ``delay`` or ``at``, use
                ``task.options_for(delay=...)``.

        Raises:
            TaskSetupError: If neither or both of `delay` and `at` are given.
        """
        taken = {"delay", "at"} & self._signature.parameters.keys()
        if taken:
            name = min(taken)
            raise TaskSetupError(
                f"{self.name} has a parameter named {name}, which submit_later takes for itself."
                f" Write: {self.name}.options_for({name}=...).submit(...)"
            )
        return self.options_for(delay=delay, at=at, callback=callback).submit(*args, **kwargs)

    def map(self, *iterables: Iterable[Any], callback: str | None = None) -> list[StoredJob]:
        """Accept a job for each set of arguments, many in one transaction; return the jobs.

        Args:
            iterables: As for `map`: the first arguments, the second, and so on.
            callback: As in `submit`, for each of the jobs.

        Raises:
            QueueFull: If not all fit into the queue; its `accepted` has those that do.
            TasksError: As in `submit`. Nothing is accepted then, unless the database fails.
        """
        calls: list[Arguments] = [(args, {}) for args in zip(*iterables, strict=False)]
        for args, _ in calls:
            self._signature.bind(*args)
        return self._submit_all(self, calls, Submission(callback=callback))

    def options_for(
        self,
        *,
        delay: _Delay | None = None,
        at: datetime | None = None,
        callback: str | None = None,
    ) -> "PreparedSubmission":
        """Return an object that submits jobs of this task at another time and with a callback.

        Raises:
            TaskSetupError: If neither or both of `delay` and `at` are given.
        """
        return PreparedSubmission(self._submit, Submission(due=_due(delay, at), callback=callback))

    def job_maker(
        self, submission: Submission, new_id: Callable[[float], str]
    ) -> Callable[[Sequence[Any], Mapping[str, Any]], NewJob]:
        """Return a function that makes a new job of the arguments of a call.

        Args:
            submission: The options of the jobs.
            new_id: Makes an id for a time in seconds since the epoch.
        """
        directory, now, options = self._directory(), time.time(), self.options
        app = directory.app
        dumps = ordered_dumps(json if app is None else app.json)
        context = None if app is None else _stored_context(app, directory.secret_names)
        due = now if submission.due is None else submission.due
        # A job that is to run later takes no place in the queue before.
        max_queue = options.max_queue if due <= now else None

        def make(args: Sequence[Any], kwargs: Mapping[str, Any]) -> NewJob:
            return NewJob(
                id=new_id(now),
                task=options.name,
                arguments=pack_arguments(args, kwargs, dumps),
                context=context,
                created=now,
                due=due,
                idempotent=options.policy.idempotent,
                max_queue=max_queue,
                callback=submission.callback,
            )

        return make

    def _submit(self, args: Any, kwargs: Any, submission: Submission) -> StoredJob:
        self._signature.bind(*args, **kwargs)
        return self._submit_one(self, args, kwargs, submission)


SubmitOne = Callable[[Task[Any, Any], Sequence[Any], Mapping[str, Any], Submission], StoredJob]
SubmitAll = Callable[[Task[Any, Any], Sequence[Arguments], Submission], list[StoredJob]]


class PreparedSubmission:
    """Submits jobs of one task with the same options; see `Task.options_for`."""

    def __init__(
        self, submit: Callable[[Any, Any, Submission], StoredJob], submission: Submission
    ) -> None:
        self._submit = submit
        self._submission = submission

    def submit(self, *args: Any, **kwargs: Any) -> StoredJob:
        """Accept a job; all arguments are for the function."""
        return self._submit(args, kwargs, self._submission)


def _due(delay: _Delay | None, at: datetime | None) -> float:
    if (delay is None) == (at is None):
        raise TaskSetupError(
            "Give one of delay and at: submit_later(..., delay=60), or submit_later(..., at=time)."
        )
    try:
        if at is None:
            due = datetime.now(UTC).timestamp() + seconds(delay or 0.0)
        else:
            due = (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
        datetime.fromtimestamp(due, UTC)
    except (ValueError, TypeError, AttributeError, ArithmeticError, OSError) as error:
        given = f"delay={delay!r}" if at is None else f"at={at!r}"
        raise TaskSetupError(
            f"{given} is no time of the calendar ({error}). Give a delay as a number of seconds or"
            " a timedelta, or a datetime, that ends before the year 10000."
        ) from error
    return due


def _stored_context(app: TasksApp, secret_names: Callable[[], IsSecret]) -> str | None:
    """Return the current context as JSON; None if it has nothing but the app, or another app."""
    # PERF: as `maybe_current`, without a call.
    state = contexts.reader(None)
    context = state and state[0]
    if context is None or context.app is not app:
        return None
    # PERF: a job without a stored context gets a new app context, which is the same.
    if context._dewar_request_context is None and not vars(context.g):
        return None
    return json.dumps(context._dewar_snapshot().portable(secret_names()))
