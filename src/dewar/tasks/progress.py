"""`Progress`, and `current_job`: how a running function reports its progress."""

import math
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from dewar.isolation.proxy import LocalProxy

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
        report: Called with each `Progress`, to show it to others.
        wait_for: Waits for a job of the ledger, and tells the process that shares out the work.
    """

    __slots__ = ("attempt", "id", "report", "task", "wait_for")

    def __init__(
        self,
        id: str,
        task: str,
        attempt: int,
        report: Callable[[Progress], object],
        wait_for: Callable[[Any], None] | None = None,
    ) -> None:
        self.id = id
        self.task = task
        self.attempt = attempt
        self.report = report
        self.wait_for = wait_for

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
        self.report(Progress(min(max(value, 0.0), 1.0), shown))

    def __repr__(self) -> str:
        return f"<RunningJob {self.id or '-'} {self.task}, attempt {self.attempt}>"


#: The job whose function runs in this thread or task. The code that runs it sets it.
running: ContextVar[RunningJob] = ContextVar("dewar.tasks.running")

#: The job whose function runs here; false if there is none.
current_job: Any = LocalProxy(
    running,
    unbound_message=(
        "Working outside of a job. current_job exists in a function that was submitted to a"
        " TaskPool or is a task; a direct call has none. Check first: if current_job: ..."
    ),
)
