"""`OpenJobs`: what this process has handed to workers elsewhere and not heard the end of.

The rules:

1. A worker asks before it begins (`OpenJobs.ask`). Only that answer makes a job running, so a job
   that says ``cancelled()`` never ran: it was told no.
2. Asking again means that the worker before has died, and the job begins once more. A job that
   has cost `ATTEMPTS` workers their lives is not given to another one.
3. A job leaves the table once, under the lock, and whoever takes it out settles it. What comes
   later about it is of no interest, and is dropped.
4. Results are set by the announcer's thread, because a job's callbacks run where it is settled,
   and they may take their time.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from dewar.tasks.engines.far.announcer import Announcer
from dewar.tasks.engines.interface import Call
from dewar.tasks.errors import WorkerDied
from dewar.tasks.job import Job
from dewar.tasks.progress import Progress

__all__ = ["ATTEMPTS", "Counts", "OpenJob", "OpenJobs", "Stage"]

# Dask's "allowed-failures" is 3: the fourth death is the end.
ATTEMPTS = 4


class Stage(Enum):
    """Where a job is that has not ended."""

    WAITING = auto()
    RUNNING = auto()


@dataclass(slots=True, eq=False)
class OpenJob:
    """A job and what is known of it. Changed by `OpenJobs` only, under its lock."""

    id: str
    job: Job
    call: Call
    stage: Stage = Stage.WAITING
    #: How many workers have asked whether they may begin.
    attempt: int = 0
    #: Whether the worker that has it can be killed alone.
    stoppable: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """How many jobs wait, run and have ended."""

    queued: int
    running: int
    finished: int


class OpenJobs:
    """The table of open jobs of one process. Any thread may call anything.

    Args:
        announcer: its thread settles the jobs.
    """

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer
        self._ended = threading.Condition(threading.Lock())
        self._by_id: dict[str, OpenJob] = {}
        self._ids: dict[Job, str] = {}
        self._finished = 0

    def __repr__(self) -> str:
        return f"<OpenJobs {len(self._by_id)}>"

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, id: str, job: Job, call: Call) -> None:  # noqa: A002  # as it is called
        """Enter a job that waits."""
        with self._ended:
            self._by_id[id] = OpenJob(id, job, call)
            self._ids[job] = id

    def find(self, job: Job) -> OpenJob | None:
        """Return what is known of a job, None where it has ended or was never here."""
        with self._ended:
            return self._by_id.get(self._ids.get(job, ""))

    def waiting(self) -> list[OpenJob]:
        """Return the jobs that have not begun."""
        with self._ended:
            return [one for one in self._by_id.values() if one.stage is Stage.WAITING]

    def ask(self, id: str, stoppable: bool = False) -> int:  # noqa: A002  # as it is called
        """Let a job begin; return which attempt it is, or 0 where it may not."""
        with self._ended:
            one = self._by_id.get(id)
            if one is None:
                return 0
            if one.stage is Stage.WAITING and not one.job.set_running_or_notify_cancel():
                self._take(id)
                return 0
            one.stage = Stage.RUNNING
            if one.attempt < ATTEMPTS:
                one.attempt += 1
                one.stoppable = stoppable
                return one.attempt
        self.fail(id, WorkerDied(f"The job cost {ATTEMPTS} workers their lives; it is given up."))
        return 0

    def tell(self, id: str, progress: Progress) -> None:  # noqa: A002  # as it is called
        """Show how far a job is."""
        with self._ended:
            one = self._by_id.get(id)
        if one is not None:
            one.job.progress = progress

    def withdraw(self, job: Job) -> str:
        """Take out a job that was cancelled before it began; return its id, or "" if it is gone."""
        with self._ended:
            one = self._take(self._ids.get(job, ""))
        if one is None:
            return ""
        one.job.set_running_or_notify_cancel()  # tells those who wait() for it
        return one.id

    def finish(self, id: str, value: Any) -> None:  # noqa: A002  # as it is called
        """End a job with its result."""
        self._settle(id, lambda job: job.set_result(value))

    def fail(self, id: str, error: BaseException) -> None:  # noqa: A002  # as it is called
        """End a job with an exception."""
        self._settle(id, lambda job: job.set_exception(error))

    def drop(self, id: str) -> None:  # noqa: A002  # as it is called
        """Forget a job that could not be handed over; whoever submitted it hears of that."""
        with self._ended:
            self._take(id)

    def wait_until_empty(self) -> None:
        """Return when every job has ended and its callbacks have run, but for the last's."""
        with self._ended:
            self._ended.wait_for(lambda: not self._by_id)

    def counts(self) -> Counts:
        """Return how many jobs there are."""
        with self._ended:
            running = sum(one.stage is Stage.RUNNING for one in self._by_id.values())
            return Counts(len(self._by_id) - running, running, self._finished)

    def _settle(self, id: str, set_outcome: Callable[[Job], None]) -> None:  # noqa: A002
        with self._ended:
            one = self._by_id.get(id)
            if one is None:
                return
            # From here on nobody can cancel it: what came was the outcome of something that ran.
            if one.stage is Stage.WAITING and not one.job.set_running_or_notify_cancel():
                self._take(id)
                return
            self._take(id)
            job = one.job
        self._announcer.call_soon(lambda: set_outcome(job))

    def _take(self, id: str) -> OpenJob | None:  # noqa: A002
        one = self._by_id.pop(id, None)
        if one is not None:
            del self._ids[one.job]
            self._finished += 1
            self._ended.notify_all()
        return one
