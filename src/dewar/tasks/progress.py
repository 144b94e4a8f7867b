"""`current_job`: how a running function reports its `Progress`, and learns that it is to end."""

import math
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from dewar.isolation.proxy import LocalProxy
from dewar.tasks.interruptible import Interruptible

P = ParamSpec("P")
R = TypeVar("R")

_MAX_MESSAGE = 1000


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a job: a fraction from 0 to 1, and a short text."""

    fraction: float
    message: str = ""


class RunningJob:
    """A job, as the function that it runs sees it.

    Args:
        id: The job's id in the ledger; empty if it is in none.
        task: The task's name, or the function's.
        attempt: 1 for the first.
        interruptible: The running function, as others reach it.
        report: Called with each `Progress`, to show it to others.
        wait_for: Waits for a job of the ledger, and tells the process that shares out the work.
    """

    __slots__ = ("attempt", "id", "interruptible", "report", "task", "wait_for")

    def __init__(
        self,
        id: str,
        task: str,
        attempt: int,
        interruptible: Interruptible,
        report: Callable[[Progress], object],
        wait_for: Callable[[Any], None] | None = None,
    ) -> None:
        self.id = id
        self.task = task
        self.attempt = attempt
        self.interruptible = interruptible
        self.report = report
        self.wait_for = wait_for

    @property
    def is_cancelled(self) -> bool:
        """Whether the job is to be cancelled: the function should clean up and end."""
        return self.interruptible.is_cancelled

    def raise_if_cancelled(self) -> None:
        """End the function if the job is to be cancelled.

        Raises:
            CancelledError: (of `concurrent.futures`) which makes the job cancelled.
        """
        if self.interruptible.is_cancelled:
            raise CancelledError(f"{self.task} was cancelled.")

    def progress(self, fraction: float, message: str = "") -> None:
        """Report the progress of the job.

        Args:
            fraction: From 0 to 1; values outside are clipped.
            message: A short text about what it is doing; what is longer than 1,000 characters is
                cut.

        Raises:
            ValueError: If the fraction is not a number.
        """
        value, shown = float(fraction), str(message)[:_MAX_MESSAGE]
        if math.isnan(value):
            raise ValueError("job.progress(nan): the fraction is a number from 0 to 1.")
        progress = Progress(min(max(value, 0.0), 1.0), shown)
        self.interruptible.shield(self.report, (progress,), {})

    def __repr__(self) -> str:
        return f"<RunningJob {self.id or '-'} {self.task}, attempt {self.attempt}>"


#: The job whose function runs in this thread or task. The code that runs it sets it.
running: ContextVar[RunningJob] = ContextVar("dewar.tasks.running")

#: The job whose function runs here; false if there is none. To a type checker it is the job.
current_job = cast(
    "RunningJob",
    LocalProxy(
        running,
        unbound_message=(
            "Working outside of a job. current_job exists in a function that was submitted to a"
            " TaskPool or is a task; a direct call has none. Check first: if current_job: ..."
        ),
    ),
)


def shielded(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function in which no soft limit of the job that calls it is raised.

    A job calls functions that change what it shares with others, and they must not end half-way.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        job = running.get(None)
        if job is None:
            return function(*args, **kwargs)
        return job.interruptible.shield(function, args, kwargs)

    return call
