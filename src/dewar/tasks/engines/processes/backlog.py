"""`Backlog`: the jobs that wait for a process, and the state of the pool."""

import pickle
from collections import deque
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from threading import Lock

from dewar.tasks.engines.process_hooks import process_hooks
from dewar.tasks.engines.processes.messages import FrameKind, unpack_error
from dewar.tasks.engines.settle import EngineState, refusal
from dewar.tasks.errors import WorkerDied
from dewar.tasks.job import Job


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A job that waits, with the pickled call for the process that runs it."""

    job: Job
    name: str
    data: bytes
    timeout: float | None
    soft_timeout: float | None = None

    def set_outcome(self, kind: FrameKind, payload: bytes) -> None:
        """Set the outcome of the job from the message of its process."""
        if kind is FrameKind.ERROR:
            self.job.set_exception(unpack_error(payload))
            return
        try:
            result = pickle.loads(payload)  # noqa: S301  # from our own child
        except BaseException as error:  # noqa: BLE001  # the result's own code may raise anything
            error.add_note(f"The result of {self.name} could not be unpickled here.")
            self.job.set_exception(error)
        else:
            self.job.set_result(result)

    def death(self, code: int | None) -> WorkerDied:
        """Return the error of the job if its process has ended with an exit code."""
        how = "for an unknown reason" if code is None else f"with exit code {code}"
        if code is not None and code < 0:
            how = f"by signal {-code}"
        return WorkerDied(
            f"The process that ran {self.name} ended {how}, and the job with it. Other jobs are not"
            " affected. If it was killed because of its memory, run fewer jobs at once:"
            " TaskPool(processes=...)."
        )


class Backlog:
    """The queue between the submitters and the process manager.

    Its lock is never held while a method of a job is called.
    """

    def __init__(self, state: EngineState = EngineState.OPEN) -> None:
        self._lock = Lock()
        self._items: deque[WorkItem] = deque()
        self._accepted = self._finished = 0
        self._reason = ""
        #: Any thread may read it. It is written under the lock.
        self.state = state
        #: Whether the pool was collected. A finalizer sets it, without the lock.
        self.is_released = False

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_ending(self) -> bool:
        """Whether no more jobs will be added."""
        return self.is_released or self.state is not EngineState.OPEN

    def put(self, item: WorkItem) -> None:
        """Add a job.

        Raises:
            RuntimeError: After `close`, or as a `BrokenProcessPool` after `mark_broken`.
        """
        with self._lock:
            self.check()
            self._accepted += 1
            self._items.append(item)

    def check(self) -> None:
        """Check that jobs are accepted.

        Raises:
            RuntimeError: After `close`, or as a `BrokenProcessPool` after `mark_broken`.
        """
        if self.state is EngineState.BROKEN:
            raise BrokenProcessPool(self._reason)
        if self.state is EngineState.CLOSED or process_hooks.is_exiting:
            raise refusal()

    def take(self) -> WorkItem | None:
        """Set the next job running and return it, or None if none waits."""
        while True:
            with self._lock:
                if not self._items:
                    return None
                item = self._items.popleft()
            if item.job.set_running_or_notify_cancel():
                return item
            self.note_finished()

    def note_finished(self) -> None:
        """Count a job that has ended."""
        with self._lock:
            self._finished += 1

    def close(self) -> None:
        """Take no more jobs."""
        with self._lock:
            if self.state is EngineState.OPEN:
                self.state = EngineState.CLOSED

    def mark_broken(self, why: str) -> None:
        """Take no more jobs, and refuse them for this reason."""
        with self._lock:
            self.state = EngineState.BROKEN
            self._reason = why

    def drain(self) -> list[Job]:
        """Remove the jobs that wait, and return them."""
        with self._lock:
            jobs = [item.job for item in self._items]
            self._finished += len(jobs)
            self._items.clear()
        return jobs

    def counts(self) -> tuple[int, int]:
        """Return how many jobs have not ended, and how many have ended."""
        with self._lock:
            return self._accepted - self._finished, self._finished

    def __repr__(self) -> str:
        return f"<Backlog of {len(self)} jobs, {self.state.value}>"
