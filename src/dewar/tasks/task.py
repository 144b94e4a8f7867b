"""`Task`: a function that can be called directly or run in the background."""

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

from dewar.tasks.directory import TaskDirectory
from dewar.tasks.errors import TaskSetupError
from dewar.tasks.other_words import OF_TASKS, explained_call, explaining
from dewar.tasks.placement import checked_priority, checked_queue
from dewar.tasks.serialization.argument_key import given_key
from dewar.tasks.serialization.task_address import find_task
from dewar.tasks.stored_job import StoredJob
from dewar.tasks.submission import Delay, PreparedSubmission, Submission, due_time
from dewar.tasks.task_options import TaskOptions
from dewar.tasks.workflows.awaited import awaited_ids
from dewar.tasks.workflows.steps import Signature, WorkflowStep, checked_on_failure
from dewar.tasks.workflows.workflow import Workflow

P = ParamSpec("P")
R = TypeVar("R")

#: The positional and the named arguments of one call.
Arguments = tuple[Sequence[Any], Mapping[str, Any]]
#: Told apart from None, which a function may take as its own ``connection``.
_NONE: Any = object()


class Task(Generic[P, R]):
    """A function of an app that may run in the background. ``@tasks.task`` makes it.

    To call it calls the function. `submit` accepts a job instead, and returns at once.

    Args:
        function: The function; it may be ``async``.
        options: What it was declared with.
        directory: Returns the tasks that it belongs to, with the app that is current.
        submit: Accepts a job.
        submit_all: Accepts a job for each call.
        submit_workflow: Accepts the jobs of a workflow.
    """

    def __init__(
        self,
        function: Callable[P, R],
        options: TaskOptions,
        directory: Callable[[], TaskDirectory],
        submit: "SubmitOne",
        submit_all: "SubmitAll",
        submit_workflow: "SubmitWorkflow",
    ) -> None:
        update_wrapper(self, function)
        self.function: Callable[P, Any] = function
        self.options = options
        #: What the ledger, the command line and the log call it.
        self.name = options.name
        self.directory = directory
        self._submit_one = submit
        self._submit_all = submit_all
        self.submit_workflow = submit_workflow
        self.signature = inspect.signature(function)
        if "callback" in self.signature.parameters:
            raise TaskSetupError(
                f"{options.name} has a parameter named callback, which submit(callback=url) takes"
                " for itself. Give the parameter another name."
            )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function here and now."""
        result: R = self.function(*args, **kwargs)
        return result

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    def __reduce__(self) -> Any:
        # Another process imports the app and finds its own.
        return find_task, (self.directory().address_of(self),)

    if not TYPE_CHECKING:  # a type checker would believe that there is everything
        __getattr__ = explaining(OF_TASKS)

    @property
    def json(self) -> Any:
        """What writes and reads arguments and results."""
        return self.directory().json

    def sync(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that can be called without ``await``, as the app makes it."""
        return self.directory().ensure_sync(function)

    @overload
    def submit(self, *args: P.args, **kwargs: P.kwargs) -> StoredJob[R]: ...

    # No type can say "these and a callback". `options_for(callback=url).submit` is checked.
    @overload
    def submit(
        self, *args: Any, callback: str | None, connection: Any = _NONE, **kwargs: Any
    ) -> StoredJob[R]: ...

    @overload
    def submit(self, *args: Any, connection: Any, **kwargs: Any) -> StoredJob[R]: ...

    def submit(  # type: ignore[misc]  # a function with a parameter named callback is no task
        self, *args: Any, callback: str | None = None, connection: Any = _NONE, **kwargs: Any
    ) -> StoredJob[R]:
        """Accept a job that runs the function as soon as possible. It is in the ledger then.

        Args:
            args: For the function. They travel as JSON: see `dewar.tasks.serialization.values`.
            callback: A URL that gets the outcome, signed by the rules of Standard Webhooks.
            connection: A connection or session of SQLAlchemy to the database of the ledger. The job
                is written in its transaction: with what else it writes, or not at all. If the
                function has a parameter of this name, use ``task.options_for(connection=...)``.
            kwargs: For the function.

        Raises:
            QueueFull: If too many jobs of the task wait; the app answers a client with 503.
            Unserializable: If an argument has no JSON form.
            CallbackRefused: If the URL may not be called.
            TypeError: If the function does not take these arguments.
            LedgerError: If the job cannot be written; it is not accepted then.
        """
        if connection is not _NONE:
            if "connection" in self.signature.parameters:
                kwargs["connection"] = connection
            else:
                submission = Submission(callback=callback, connection=connection)
                return self._submit(args, kwargs, submission)
        return self._submit(args, kwargs, Submission(callback=callback))

    def submit_later(
        self,
        *args: Any,
        delay: Delay | None = None,
        at: datetime | None = None,
        callback: str | None = None,
        **kwargs: Any,
    ) -> StoredJob[R]:
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
        taken = {"delay", "at"} & self.signature.parameters.keys()
        if taken:
            name = min(taken)
            raise TaskSetupError(
                f"{self.name} has a parameter named {name}, which submit_later takes for itself."
                f" Write: {self.name}.options_for({name}=...).submit(...)"
            )
        submission = Submission(due=self._due_time(delay, at), callback=callback)
        return self._submit(args, kwargs, submission)

    def map(self, *iterables: Iterable[Any], callback: str | None = None) -> list[StoredJob[R]]:
        """Accept a job for each set of arguments, many in one transaction; return the jobs.

        Args:
            iterables: As for `map`: the first arguments, the second, and so on.
            callback: As in `submit`, for each of the jobs.

        Raises:
            QueueFull: If not all fit into the queue; its `accepted` has those that do.
            TasksError: As in `submit`. Nothing is accepted then, unless the database fails.
        """
        return self.submit_each(iterables, Submission(callback=callback))

    def submit_each(
        self, iterables: Iterable[Iterable[Any]], submission: Submission
    ) -> list[StoredJob[R]]:
        """Accept a job for each set of arguments, all with the same options; see `map`."""
        calls: list[Arguments] = [(args, {}) for args in zip(*iterables, strict=False)]
        for args, kwargs in calls:
            self.check_call(args, kwargs)
        return self._submit_all(self, calls, submission)

    def options_for(
        self,
        *,
        delay: Delay | None = None,
        at: datetime | None = None,
        callback: str | None = None,
        queue: str | None = None,
        priority: int | None = None,
        unique_key: str | int | None = None,
        after: Any = None,
        on_failure: str | None = None,
        connection: Any = None,
    ) -> PreparedSubmission[P, R]:
        """Return an object that submits jobs of this task with other options than the task's.

        Args:
            delay: As in `submit_later`; without `delay` and `at` a job runs as soon as possible.
            at: As in `submit_later`.
            callback: As in `submit`.
            queue: The queue of the jobs.
            priority: Their priority.
            unique_key: Their key. While a job of the task has it, another one is a duplicate.
            after: The jobs or workflows that they wait for. One of these among the arguments stands
                for its result, and is waited for too.
            on_failure: What becomes of them if one before them does not end well: ``stop`` cancels
                them, ``continue`` runs them, with a `JobFailed` in the place of the result.
            connection: As in `submit`: a connection or session whose transaction they are part of.

        Raises:
            TaskSetupError: For values that are not possible, or both of `delay` and `at`.
        """
        submission = Submission(
            due=None if delay is None and at is None else self._due_time(delay, at),
            callback=callback,
            queue=None if queue is None else checked_queue(queue),
            priority=None if priority is None else checked_priority(priority),
            unique_key=given_key(unique_key),
            after=awaited_ids(after),
            continues=checked_on_failure(on_failure),
            connection=connection,
        )
        return PreparedSubmission(self._submit, submission, self)

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """Return a call that is not submitted, for a `chain` or a `group`.

        After another step it gets the result of that one before these arguments.

        Args:
            args: For the function.
            kwargs: For the function.
        """
        return Signature(self, args, kwargs, Submission())

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """Return a call as `s` does, which gets no result of the step before (*immutable*)."""
        return Signature(self, args, kwargs, Submission(), is_immutable=True)

    def _due_time(self, delay: Delay | None, at: datetime | None) -> float:
        return due_time(delay, at, self.directory().clock())

    def check_call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Check that the function takes these arguments.

        Raises:
            TypeError: If it does not.
        """
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise explained_call(error, self.name, kwargs) from None

    def _submit(self, args: Any, kwargs: Any, submission: Submission) -> StoredJob[R]:
        self.check_call(args, kwargs)
        return self._submit_one(self, args, kwargs, submission)


class AsyncTask(Task[P, R]):
    """A task whose function is ``async``. A job of it has what the coroutine returns."""

    def __call__(  # type: ignore[override]  # as for all coroutine functions: await what it returns
        self, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R]:
        """Call the function here and now; it begins when it is awaited."""
        coroutine: Coroutine[Any, Any, R] = self.function(*args, **kwargs)
        return coroutine


class TaskDecorator(Protocol):
    """What ``@tasks.task()`` returns."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


SubmitOne = Callable[[Task[Any, Any], Sequence[Any], Mapping[str, Any], Submission], StoredJob]
SubmitWorkflow = Callable[[WorkflowStep], Workflow]
SubmitAll = Callable[[Task[Any, Any], Sequence[Arguments], Submission], list[StoredJob]]
