"""`Submission`: the options of one job, as its submitter gives them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, ParamSpec

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.job import R
from dewar.tasks.settings import seconds
from dewar.tasks.stored_job import StoredJob
from dewar.tasks.workflows.steps import Signature

P = ParamSpec("P")

#: Seconds, or a `~datetime.timedelta`.
Delay = float | timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """The options of one job.

    Attributes:
        due: The earliest time to run, in seconds since the epoch; None for now.
        callback: The URL that gets the outcome of the job.
        queue: Its queue; None for that of the task.
        priority: Its priority; None for that of the task.
        unique_key: Its key; None for that of the task, if it has one.
        after: The ids of the jobs that it waits for.
        continues: Whether it runs too if one of them does not end well; None for no.
        workflow: The workflow that it is a part of.
        connection: A connection or session of SQLAlchemy, in whose transaction it is accepted.
    """

    due: float | None = None
    callback: str | None = None
    queue: str | None = None
    priority: int | None = None
    unique_key: str | None = None
    after: tuple[str, ...] = ()
    continues: bool | None = None
    workflow: str | None = None
    connection: Any = None


class PreparedSubmission(Generic[P, R]):
    """Submits jobs of one task with the same options; see `Task.options_for`."""

    def __init__(
        self,
        submit: Callable[[Any, Any, Submission], StoredJob[R]],
        submission: Submission,
        task: Any,
    ) -> None:
        self._submit = submit
        self._submission = submission
        self._task = task

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> StoredJob[R]:
        """Accept a job; all arguments are for the function.

        After other jobs, a job or a workflow among the arguments stands for its result.
        """
        return self._submit(args, kwargs, self._submission)

    def map(self, *iterables: Iterable[Any]) -> list[StoredJob[R]]:
        """Accept a job for each set of arguments; see `Task.map`.

        With a connection, `QueueFull` and `Duplicate` leave those before in the transaction.
        """
        if self._submission.connection is not None:
            return [self._submit(args, {}, self._submission) for args in zip(*iterables)]  # noqa: B905  # as map
        jobs: list[StoredJob[R]] = self._task.submit_each(iterables, self._submission)
        return jobs

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """Return a call of the task with these options; see `Task.s`."""
        return Signature(self._task, args, kwargs, self._submission)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """Return a call of the task with these options; see `Task.si`."""
        return Signature(self._task, args, kwargs, self._submission, is_immutable=True)


def due_time(delay: Delay | None, at: datetime | None, now: float) -> float:
    """Return the time that a delay or a `~datetime.datetime` means, in seconds since the epoch.

    Args:
        delay: How much later than now.
        at: The time, instead of `delay`.
        now: In seconds since the epoch.

    Raises:
        TaskSetupError: If neither or both are given, or it is no time of the calendar.
    """
    if (delay is None) == (at is None):
        raise TaskSetupError(
            "Give one of delay and at: submit_later(..., delay=60), or submit_later(..., at=time)."
        )
    try:
        if at is None:
            due = now + seconds(delay or 0.0)
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
