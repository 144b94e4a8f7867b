"""`InFlightJobs`: the jobs that this process has given to remote workers and that have not ended.

The rules:

1. A worker asks before it begins a job (`InFlightJobs.ask`). Only a positive answer makes the job
   running. So a job whose ``cancelled()`` is true never ran: its worker was refused.
2. If a second worker asks for a job, the first one has died, and the job begins again. After
   `ATTEMPTS` dead workers the job is given up; a job that may not be repeated, after the first.
3. A job leaves the table once, under the lock, and the thread that takes it out settles it.
   Messages about it that arrive later are dropped.
4. Outcomes are set on the settling queue's thread, because that runs the job's callbacks, which may
   be slow. No method of a job is called under the lock.
"""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from dewar.loop.call_queue import CallQueue
from dewar.tasks.engines.interface import EngineStatistics, JobCall
from dewar.tasks.engines.settle import call_name
from dewar.tasks.errors import WorkerDied
from dewar.tasks.job import Job
from dewar.tasks.ledger.interruption import lost_error, state_after
from dewar.tasks.ledger.records import JobState
from dewar.tasks.progress import Progress

# As with Dask, whose "allowed-failures" is 3: the fourth death is the end.
ATTEMPTS = 4


class InFlightState(Enum):
    """The state of a job that has not ended."""

    WAITING = auto()
    #: The first worker has asked, and the Future is being set running.
    BEGINNING = auto()
    RUNNING = auto()
    #: It was running and is to be stopped. It never begins again.
    STOPPING = auto()


@dataclass(slots=True, eq=False)
class InFlightJob:
    """A job in the table. Only `InFlightJobs` changes it, under its lock."""

    id: str
    job: Job
    call: JobCall
    state: InFlightState = InFlightState.WAITING
    #: The worker that asked last, and how many have been allowed to begin.
    asker: str = ""
    attempt: int = 0
    #: Whether its worker can be killed without harm to other jobs.
    stoppable: bool = False


class InFlightJobs:
    """The table of one process's jobs in flight. Any thread may call any method.

    Args:
        settling_queue: Sets the outcomes. It has one thread, so that they stay in order.
        emptied: Called whenever the last job has left the table, on the thread that took it out.
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

    def add(self, id: str, job: Job, call: JobCall) -> None:
        """Add a job that waits."""
        with self._left:
            self._by_id[id] = InFlightJob(id, job, call)
            self._ids[job] = id

    def all(self, *states: InFlightState) -> list[InFlightJob]:
        """Return the jobs in these states."""
        with self._left:
            return [one for one in self._by_id.values() if one.state in states]

    def name_of(self, id: str) -> str:
        """Return the name of a job's function, for messages."""
        one = self._by_id.get(id)
        function = None if one is None else one.call.function
        return getattr(function, "__qualname__", "The job")

    def ask(self, id: str, asker: str, stoppable: bool = False) -> int:
        """Let a job begin; return the number of the attempt, or 0 if it may not begin.

        Args:
            id: The job's id.
            asker: The worker. If it asks again, it gets the same answer.
            stoppable: Whether the worker can be killed without harm to other jobs.
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

    def set_progress(self, id: str, progress: Progress) -> None:
        """Set the progress of a job."""
        one = self._by_id.get(id)
        if one is not None:
            one.job.progress = progress

    def stop(self, job: Job) -> InFlightJob | None:
        """Keep a running job from beginning again; return it, or None if it is not running.

        The state of a job whose worker cannot be killed alone does not change.
        """
        with self._left:
            one = self._by_id.get(self._ids.get(job, ""))
            if one is None or one.state not in {InFlightState.RUNNING, InFlightState.STOPPING}:
                return None
            if one.stoppable:
                one.state = InFlightState.STOPPING
            return one

    def withdraw(self, job: Future[Any]) -> str:
        """Take out a job that was cancelled before it began; return its id.

        The id is empty if the job is not in the table or has begun.
        """
        with self._left:
            one = self._by_id.get(self._ids.get(job, ""))
            # A job that is beginning is dropped by `ask`.
            if one is None or one.state is not InFlightState.WAITING:
                return ""
            self._take(one.id)
        job.set_running_or_notify_cancel()  # wakes concurrent.futures.wait()
        self._emptied_maybe()
        return one.id

    def finish(self, id: str, value: Any) -> None:
        """End a job with its result."""
        self._settle(id, lambda job: job.set_result(value))

    def fail(self, id: str, error: BaseException) -> None:
        """End a job with an exception."""
        self._settle(id, lambda job: job.set_exception(error))

    def drop(self, id: str) -> None:
        """Take out a job without an outcome: it was cancelled, or its submit fails."""
        with self._left:
            self._take(id)
        self._emptied_maybe()

    def wait_until_empty(self) -> None:
        """Wait until every job has left the table."""
        with self._left:
            self._left.wait_for(lambda: not self._by_id)

    def statistics(self, engine: str) -> EngineStatistics:
        """Return the numbers of jobs, for the engine of this name."""
        with self._left:
            waiting = sum(one.state is InFlightState.WAITING for one in self._by_id.values())
            return EngineStatistics(
                engine=engine,
                workers=0,
                queued=waiting,
                running=len(self._by_id) - waiting,
                finished=self._finished,
            )

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
    """Return the outcome of a job that may not begin again; None if it may begin."""
    if not one.attempt:
        return None
    state = state_after(
        may_repeat=one.call.repeatable, is_stopped=one.state is InFlightState.STOPPING
    )
    if state is JobState.CANCELLED:
        return CancelledError()
    if state is JobState.LOST:
        return lost_error(call_name(one.call))
    if one.attempt == ATTEMPTS:
        return WorkerDied(
            f"{ATTEMPTS} workers have died while they ran {call_name(one.call)}; it is given up."
        )
    return None


def _set(job: Job, set_outcome: Callable[[Job], None]) -> None:
    try:
        set_outcome(job)
    except InvalidStateError:
        # It was cancelled before it began. This wakes concurrent.futures.wait().
        job.set_running_or_notify_cancel()
