"""`Progress`, and `current_job`: how a running function tells how far it is."""

import math
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from dewar.isolation.proxy import LocalProxy


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: a fraction from 0 to 1, and a word about what it is doing."""

    fraction: float
    message: str = ""


class RunningJob:
    """A job, seen from inside the function that it runs.

    Args:
        id: The job's id in the ledger; empty where it is in none.
        task: The task's name, or the function's.
        attempt: 1 for the first.
        report: Takes each `Progress` to where others can see it.
    """

    __slots__ = ("attempt", "id", "report", "task")

    def __init__(
        self,
        id: str,
        task: str,
        attempt: int,
        report: Callable[[Progress], object],
    ) -> None:
        self.id = id
        self.task = task
        self.attempt = attempt
        self.report = report

    def progress(self, fraction: float, message: str = "") -> None:
        """Tell how far the job is.

        Args:
            fraction: From 0 to 1; what is beyond counts as the end.
            message: A word about what it is doing.

        Raises:
            ValueError: If the fraction is not a number.
        """
        if math.isnan(fraction):
            raise ValueError("job.progress(nan): the fraction is a number from 0 to 1.")
        self.report(Progress(min(max(float(fraction), 0.0), 1.0), str(message)))

    def __repr__(self) -> str:
        return f"<RunningJob {self.id or '-'} {self.task}, attempt {self.attempt}>"


#: The job whose function is running in this thread or task. Set by what runs it.
running: ContextVar[RunningJob] = ContextVar("dewar.tasks.running")

#: The job whose function is running here; false where there is none.
current_job: Any = LocalProxy(
    running,
    unbound_message=(
        "Working outside of a job. current_job is there in a function that was submitted to a"
        " TaskPool or is a task; called plainly it has none. Ask first: if current_job: ..."
    ),
)
