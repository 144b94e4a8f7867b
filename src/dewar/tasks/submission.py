"""`Submission`: the options of one job, as its submitter gives them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, ParamSpec

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.job import R
from dewar.tasks.settings import seconds
from dewar.tasks.stored_job import StoredJob

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
    """

    due: float | None = None
    callback: str | None = None
    queue: str | None = None
    priority: int | None = None
    unique_key: str | None = None


class PreparedSubmission(Generic[P, R]):
    """Submits jobs of one task with the same options; see `Task.options_for`."""

    def __init__(
        self, submit: Callable[[Any, Any, Submission], StoredJob[R]], submission: Submission
    ) -> None:
        self._submit = submit
        self._submission = submission

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> StoredJob[R]:
        """Accept a job; all arguments are for the function."""
        return self._submit(args, kwargs, self._submission)


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
