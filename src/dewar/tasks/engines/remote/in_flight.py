"""`InFlightJobs`: what this process has handed to workers elsewhere and not heard the end of.

The rules:

1. A worker asks before it begins (`InFlightJobs.ask`). Only that answer makes a job running, so a
job
   that says ``cancelled()`` never ran: its worker was told no.
2. Another worker asking means that the one before has died, and the job begins once more. A job
   that has cost `ATTEMPTS` workers their lives is not given to another one, nor is one that may
   not be repeated.
3. A job leaves the table once, under the lock, and whoever takes it out settles it. What comes
   later about it is of no interest, and is dropped.
4. Results are set on the settling queue's thread, because a job's callbacks run where it is
   settled, and they may take their time. No method of a job is called under the lock.
"""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from dewar.loop.call_queue import CallQueue
from dewar.tasks.engines.interface import JobCall
from dewar.tasks.engines.settle import function_name
from dewar.tasks.errors import WorkerDied
from dewar.tasks.job import Job
from dewar.tasks.ledger.interruption import lost_error, state_after
from dewar.tasks.ledger.records import JobState
from dewar.tasks.progress import Progress

# As with Dask, whose "allowed-failures" is 3: the fourth death is the end.
ATTEMPTS = 4


class InFlightState(Enum):
    """Where a job is that has not ended."""

    WAITING = auto()
    #: A worker has asked for the first time, and the job is being asked in turn.
    BEGINNING = auto()
    RUNNING = auto()
    #: It was running and is to be stopped; it never begins again.
    STOPPING = auto()


@dataclass(slots=True, eq=False)
class InFlightJob:
    """A job and what is known of it. Changed by `InFlightJobs` only, under its lock."""

    id: str
    job: Job
    call: JobCall
    state: InFlightState = InFlightState.WAITING
    #: Who asked last whether it may begin, and how many have.
    asker: str = ""
    attempt: int = 0
    #: Whether the worker that has it can be killed alone.
    stoppable: bool = False


@dataclass(frozen=True, slots=True)
class JobCounts:
    """How many jobs wait, run and have ended."""

    queued: int
    running: int
    finished: int


class InFlightJobs:
    """The table of open jobs of one process. Any thread may call anything.

    Args:
        clerk: Its thread settles the jobs.
        emptied: Called, by whoever ends it, whenever the last job has left the table.
    """

    def __init__(
        self, settling_queue: CallQueue, emptied: Callable[[], object] = lambda: None
    ) -> None:
        self._settling_queue = settling_queue
        self._emptied = emptied
        self._left = threading.Condition(threading.Lock())
        self._by_id: dict[str, InFlightJob] = {}
        self._ids: dict[Future[Any], str] = {}
        self._finished = 0

    def __repr__(self) -> str:
        return f"<InFlightJobs {len(self._by_id)}>"

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, id: str, job: Job, call: JobCall) -> None:  # as it is called
        """Enter a job that waits."""
        with self._left:
            self._by_id[id] = InFlightJob(id, job, call)
            self._ids[job] = id

    def all(self, *states: InFlightState) -> list[InFlightJob]:
        """Return the jobs in these stages."""
        with self._left:
            return [one for one in self._by_id.values() if one.state in states]

    def name_of(self, id: str) -> str:  # as it is called
        """Return the name of what a job runs, for messages."""
        one = self._by_id.get(id)
        function = None if one is None else one.call.function
        return getattr(function, "__qualname__", "The job")

    def ask(self, id: str, asker: str, stoppable: bool = False) -> int:
        """Let a job begin; return which attempt it is, or 0 where it may not.

        Args:
            id: The job's.
            asker: Who asks; asking twice is answered alike.
            stoppable: Whether the asker can be killed without harm to other jobs.
        """
        with self._left:
            one = self._by_id.get(id)
            if one is None:
                return 0
            if one.asker == asker and one.state is InFlightState.RUNNING:
                return one.attempt
            is_first = one.state is InFlightState.WAITING
            if is_first:
                one.state = InFlightState.BEGINNING
        if is_first and not one.job.set_running_or_notify_cancel():
            self.drop(id)
            return 0
        return self._begin(one, asker, stoppable)

    def _begin(self, one: InFlightJob, asker: str, stoppable: bool) -> int:
        with self._left:
            end = _end_of(one)
            if end is None:
                one.state = InFlightState.RUNNING
                one.asker, one.stoppable = asker, stoppable
                one.attempt += 1
                return one.attempt
        self.fail(one.id, end)
        return 0

    def set_progress(self, id: str, progress: Progress) -> None:  # as it is called
        """Show how far a job is."""
        one = self._by_id.get(id)
        if one is not None:
            one.job.progress = progress

    def stop(self, job: Job) -> InFlightJob | None:
        """Let a job that runs never begin again; return what is known of it.

        None where it does not run here.
        """
        with self._left:
            one = self._by_id.get(self._ids.get(job, ""))
            if one is None or one.state not in {InFlightState.RUNNING, InFlightState.STOPPING}:
                return None
            if one.stoppable:
                one.state = InFlightState.STOPPING
            return one

    def withdraw(self, job: Future[Any]) -> str:
        """Take out a job that was cancelled before it began; return its id, or "" if it is gone."""
        with self._left:
            one = self._by_id.get(self._ids.get(job, ""))
            # One that is beginning finds out by itself.
            if one is None or one.state is not InFlightState.WAITING:
                return ""
            self._take(one.id)
        job.set_running_or_notify_cancel()  # tells those who wait() for it
        self._emptied_maybe()
        return one.id

    def finish(self, id: str, value: Any) -> None:  # as it is called
        """End a job with its result."""
        self._settle(id, lambda job: job.set_result(value))

    def fail(self, id: str, error: BaseException) -> None:  # as it is called
        """End a job with an exception."""
        self._settle(id, lambda job: job.set_exception(error))

    def drop(self, id: str) -> None:  # as it is called
        """Forget a job; whoever submitted it hears, or has heard, of that."""
        with self._left:
            self._take(id)
        self._emptied_maybe()

    def wait_until_empty(self) -> None:
        """Return when every job has left the table."""
        with self._left:
            self._left.wait_for(lambda: not self._by_id)

    def counts(self) -> JobCounts:
        """Return how many jobs there are."""
        with self._left:
            waiting = sum(one.state is InFlightState.WAITING for one in self._by_id.values())
            return JobCounts(waiting, len(self._by_id) - waiting, self._finished)

    def _settle(self, id: str, set_outcome: Callable[[Job], None]) -> None:
        with self._left:
            one = self._take(id)
        if one is not None:
            job = one.job
            self._settling_queue.call_soon(_set, job, set_outcome)
            self._emptied_maybe()

    def _emptied_maybe(self) -> None:
        if not self._by_id:
            self._emptied()

    def _take(self, id: str) -> InFlightJob | None:
        one = self._by_id.pop(id, None)
        if one is not None:
            del self._ids[one.job]
            self._finished += 1
            self._left.notify_all()
        return one


def _end_of(one: InFlightJob) -> BaseException | None:
    """Return why a job may not begin, or not again; None where it may."""
    if not one.attempt:
        return None
    state = state_after(
        may_repeat=one.call.repeatable, is_stopped=one.state is InFlightState.STOPPING
    )
    if state is JobState.CANCELLED:
        return CancelledError()
    if state is JobState.LOST:
        return lost_error(function_name(one.call.function))
    if one.attempt == ATTEMPTS:
        return WorkerDied(f"The job has cost {ATTEMPTS} workers their lives, and is given up.")
    return None


def _set(job: Job, set_outcome: Callable[[Job], None]) -> None:
    try:
        set_outcome(job)
    except InvalidStateError:
        # It had not begun, and was cancelled meanwhile; those who wait() for it are told so.
        job.set_running_or_notify_cancel()
