"""`JobControl`: in a child process, what its parent tells it about the job that runs."""

import threading

from dewar.tasks.engines.processes.messages import FrameKind
from dewar.tasks.interruptible import Interruptible


class JobControl:
    """Passes the parent's messages to the job that they are for.

    The main thread begins and ends jobs, another thread receives the messages. A message may be
    received before its job has begun, and is kept until then, or after its job has ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The number of the latest job that has begun, and the job, until it ends.
        self._number = 0
        self._running: Interruptible | None = None
        self._early: list[tuple[FrameKind, int]] = []

    def begin(self, number: int, job: Interruptible) -> None:
        """Note that a job begins."""
        with self._lock:
            self._number, self._running = number, job
            early, self._early = self._early, []
        for kind, meant in early:
            self.receive(kind, meant)

    def end(self) -> None:
        """Note that the job has ended."""
        with self._lock:
            self._running = None

    def receive(self, kind: FrameKind, number: int) -> None:
        """Pass on a message about a job."""
        with self._lock:
            if number > self._number:
                self._early.append((kind, number))
            elif number == self._number and self._running is not None:
                _tell(self._running, kind)

    def __repr__(self) -> str:
        return f"<JobControl of job {self._number}: {self._running!r}>"


def _tell(job: Interruptible, kind: FrameKind) -> None:
    if kind is FrameKind.CANCEL:
        job.cancel()
    elif kind is FrameKind.SOFT_TIMEOUT:
        job.interrupt()
