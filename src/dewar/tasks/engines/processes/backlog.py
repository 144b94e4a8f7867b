"""`Backlog`: the jobs that wait for a process, and the numbers of all."""

from collections import deque
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from threading import Lock

from dewar.tasks.engines.process_hooks import process_hooks
from dewar.tasks.engines.settle import EngineState, refusal
from dewar.tasks.job import Job


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A job that waits, and what is sent to the process that runs it."""

    job: Job
    name: str
    data: bytes
    timeout: float | None


class Backlog:
    """What submitters and the process manager share. Nothing is called under its lock."""

    def __init__(self, state: EngineState = EngineState.OPEN) -> None:
        self._lock = Lock()
        self._items: deque[WorkItem] = deque()
        self._accepted = self._finished = 0
        self._reason = ""
        #: Read by anybody, written with the lock.
        self.state = state
        #: Nobody can submit any more. Set without the lock, by a finalizer.
        self.is_released = False

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_ending(self) -> bool:
        """Whether no more jobs come."""
        return self.is_released or self.state is not EngineState.OPEN

    def put(self, item: WorkItem) -> None:
        """Take a job.

        Raises:
            RuntimeError: After `close`, or as a `BrokenProcessPool` after `mark_broken`.
        """
        with self._lock:
            self.check()
            self._accepted += 1
            self._items.append(item)

    def check(self) -> None:
        """Hold that jobs are taken.

        Raises:
            RuntimeError: After `close`, or as a `BrokenProcessPool` after `mark_broken`.
        """
        if self.state is EngineState.BROKEN:
            raise BrokenProcessPool(self._reason)
        if self.state is EngineState.CLOSED or process_hooks.is_exiting:
            raise refusal()

    def take(self) -> WorkItem | None:
        """Return the next that begins, or None."""
        while True:
            with self._lock:
                if not self._items:
                    return None
                item = self._items.popleft()
            if item.job.set_running_or_notify_cancel():
                return item
            self.note_finished()

    def note_finished(self) -> None:
        """Take note that a job has ended."""
        with self._lock:
            self._finished += 1

    def close(self) -> None:
        """Take no more jobs."""
        with self._lock:
            if self.state is EngineState.OPEN:
                self.state = EngineState.CLOSED

    def mark_broken(self, why: str) -> None:
        """Take no more jobs, and say why."""
        with self._lock:
            self.state = EngineState.BROKEN
            self._reason = why

    def drain(self) -> list[Job]:
        """Return the jobs that wait, which from now on don't."""
        with self._lock:
            jobs = [item.job for item in self._items]
            self._finished += len(jobs)
            self._items.clear()
        return jobs

    def counts(self) -> tuple[int, int]:
        """Return how many jobs have not ended, and how many have."""
        with self._lock:
            return self._accepted - self._finished, self._finished

    def __repr__(self) -> str:
        return f"<Backlog of {len(self)} jobs, {self.state.value}>"
