"""`Backlog`: the jobs that wait for a process, and the numbers of all."""

from collections import deque
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from threading import Lock

from dewar.tasks.engines.phase import Phase, refusal
from dewar.tasks.job import Job
from dewar.tasks.lifecycle import lifecycle


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that waits, and what is sent to the process that runs it."""

    job: Job
    name: str
    data: bytes
    timeout: float | None


class Backlog:
    """What submitters and the overseer share. Its lock is held for moments and calls nobody."""

    def __init__(self, phase: Phase = Phase.OPEN) -> None:
        self._lock = Lock()
        self._waiting: deque[Waiting] = deque()
        self._accepted = self._finished = 0
        self._why = ""
        #: Read by anybody, written with the lock.
        self.phase = phase
        #: Nobody can submit any more. Set without the lock, by a finalizer.
        self.is_released = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_ending(self) -> bool:
        """Whether no more jobs come."""
        return self.is_released or self.phase is not Phase.OPEN

    def put(self, waiting: Waiting) -> None:
        """Take a job.

        Raises:
            RuntimeError: After `close`, or as a `BrokenProcessPool` after `break_up`.
        """
        with self._lock:
            self.check()
            self._accepted += 1
            self._waiting.append(waiting)

    def check(self) -> None:
        """Hold that jobs are taken.

        Raises:
            RuntimeError: After `close`, or as a `BrokenProcessPool` after `break_up`.
        """
        if self.phase is Phase.BROKEN:
            raise BrokenProcessPool(self._why)
        if self.phase is Phase.CLOSED or lifecycle.is_ending:
            raise refusal()

    def take(self) -> Waiting | None:
        """Return the next that begins, or None."""
        while True:
            with self._lock:
                if not self._waiting:
                    return None
                waiting = self._waiting.popleft()
            if waiting.job.set_running_or_notify_cancel():
                return waiting
            self.note_finished()

    def note_finished(self) -> None:
        """Take note that a job has ended."""
        with self._lock:
            self._finished += 1

    def close(self) -> None:
        """Take no more jobs."""
        with self._lock:
            if self.phase is Phase.OPEN:
                self.phase = Phase.CLOSED

    def break_up(self, why: str) -> None:
        """Take no more jobs, and say why."""
        with self._lock:
            self.phase = Phase.BROKEN
            self._why = why

    def drain(self) -> list[Job]:
        """Return the jobs that wait, which from now on don't."""
        with self._lock:
            jobs = [waiting.job for waiting in self._waiting]
            self._finished += len(jobs)
            self._waiting.clear()
        return jobs

    def numbers(self) -> tuple[int, int]:
        """Return how many jobs have not ended, and how many have."""
        with self._lock:
            return self._accepted - self._finished, self._finished

    def __repr__(self) -> str:
        return f"<Backlog of {len(self)} jobs, {self.phase.value}>"
