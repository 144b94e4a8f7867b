"""The next state of a job whose process or worker died while it ran. These are pure decisions.

The ledger uses them for the jobs of a dead process, and the engines for the jobs of a dead worker,
so all decide alike and with the same message.

How often a job was interrupted is kept with the error of its latest attempt, as long as it waits
to run again: a job that kills each process that runs it ends some time.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from dewar.tasks.errors import JobLost, WorkerDied
from dewar.tasks.ledger.records import JobState
from dewar.tasks.retry import MOST_DEATHS
from dewar.tasks.serialization.failures import describe_error


@dataclass(frozen=True, slots=True)
class Interruptions:
    """How often a job was interrupted so far.

    Attributes:
        deaths: How many of its processes died in a row.
        interruptions: How many of its attempts had no outcome of their own: their process died, or
            was stopped.
    """

    deaths: int = 0
    interruptions: int = 0

    @classmethod
    def of(cls, error: str | None) -> Self:
        """Return what was written with the error of a job."""
        if error is None:
            return cls()
        said = json.loads(error)
        return cls(said.get("deaths", 0), said.get("interruptions", 0))

    def after_death(self) -> Self:
        """Return them after the process of an attempt has died."""
        return type(self)(self.deaths + 1, self.interruptions + 1)

    def after_stop(self) -> Self:
        """Return them after the process of an attempt was stopped."""
        return type(self)(self.deaths, self.interruptions + 1)

    def after_error(self) -> Self:
        """Return them after an attempt has failed by itself."""
        return type(self)(0, self.interruptions)

    def written(self, error: Mapping[str, Any]) -> dict[str, Any]:
        """Return the description of an error with them."""
        return {**error, **asdict(self)} if self.interruptions or self.deaths else dict(error)


def death_error(task: str, interruptions: Interruptions) -> str:
    """Return what is written with a job that runs again because its process died."""
    return json.dumps(
        interruptions.written(describe_error(WorkerDied(f"The process that ran {task} died.")))
    )


def maybe_begun_error() -> str:
    """Return what is written with jobs of a dead process that had not begun, as far as is known.

    The start of a job that may be repeated is written late. So one of them may have killed it.
    """
    error = WorkerDied("The process that had claimed the job died; perhaps it had begun.")
    return json.dumps(Interruptions(deaths=1).written(describe_error(error)))


def state_after(*, may_repeat: bool, is_stopped: bool = False, deaths: int = 0) -> JobState:
    """Return the next state of an interrupted job, of which nobody knows how far it came.

    Args:
        may_repeat: Whether it may be run again.
        is_stopped: Whether it had been asked to stop.
        deaths: How many of its processes have died in a row.
    """
    if is_stopped:
        return JobState.CANCELLED
    return JobState.QUEUED if may_repeat and deaths <= MOST_DEATHS else JobState.LOST


def lost_error(task: str, id: str = "", deaths: int = 0) -> JobLost:
    """Return the error of a lost job.

    Args:
        task: The task or function that it ran.
        id: The id of the job in the ledger; empty if it is in none.
        deaths: How many of its processes have died in a row, if it might be repeated otherwise.
    """
    if deaths:
        return JobLost(
            f"The process that ran {task} died {deaths} times in a row, so the job is not run"
            " again: it may be what ends the processes. Look for a crash or for a lack of memory;"
            f" to run it again: dewar tasks retry {id}"
        )
    repair = f" Check what it did; to run it again: dewar tasks retry {id}" if id else ""
    return JobLost(f"The process that ran {task} died, and the job may not be repeated.{repair}")
