"""`QueueLimit`: how many jobs may wait."""

from threading import Lock

from dewar.tasks.engines.interface import JobCall, JobEngine
from dewar.tasks.engines.process_hooks import process_hooks
from dewar.tasks.errors import QueueFull
from dewar.tasks.job import Job


class QueueLimit:
    """Submits to an engine as long as it has room.

    Args:
        limit: How many jobs may wait there, beside those that run.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # Held from the look to the submission: or two threads take the last place.
        self._lock = Lock()
        process_hooks.add(self)

    def submit(self, engine: JobEngine, job: Job, call: JobCall) -> None:
        """Submit the job.

        Raises:
            QueueFull: If there is no room.
        """
        with self._lock:
            if engine.statistics().queued >= self._limit:
                raise QueueFull(f"The pool of {engine!r}", self._limit)
            engine.submit(job, call)

    def end(self) -> None:
        """Do nothing: the engine is told itself."""

    def after_fork(self) -> None:
        """Begin with a lock that no thread of the parent holds."""
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"<QueueLimit of {self._limit} jobs>"
