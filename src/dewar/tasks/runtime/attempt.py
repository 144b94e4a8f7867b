"""`Attempt`: one attempt at a stored job, as its engine sees it."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from dewar.tasks.errors import NotSupported
from dewar.tasks.job import Job
from dewar.tasks.ledger.records import JobRecord
from dewar.tasks.progress import Progress

_logger = logging.getLogger("dewar.tasks")


class AttemptListener(Protocol):
    """Follows attempts. The engine's threads call it."""

    def note_begin(self, attempt: "Attempt") -> bool:
        """Note that the function is about to run; return whether it may."""

    def note_progress(self, attempt: "Attempt", progress: Progress) -> None:
        """Note the progress of the function."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """An attempt that is to be given to the engine."""

    attempt: "Attempt"


class Attempt(Job):
    """A Future that tells its listener when the function begins, and its progress.

    Args:
        record: The job, as it was claimed.
        listener: What follows the attempt.
        stop: Stops the attempt if it runs, as in `dewar.tasks.engines.interface.JobEngine`.
    """

    def __init__(
        self,
        record: JobRecord,
        listener: AttemptListener,
        stop: Callable[..., bool] | None = None,
    ) -> None:
        super().__init__()
        self._stop = stop
        self.record = record
        #: 1 for the first.
        self.number = record.attempts + 1
        #: Set if the process stops, and another one is to run the job.
        self.is_requeued = False
        #: Set if it cannot begin, and only its outcome is to be written.
        self.cannot_start = False
        #: Whether it was claimed in the ledger, so that another process may wait for it.
        self.was_claimed = False
        #: Whether it was asked to end, or stopped.
        self.is_stopping = False
        #: When it began, in seconds since the epoch.
        self.began_at: float | None = None
        self._listener = listener
        self._progress: Progress | None = None

    def __repr__(self) -> str:
        return f"<Attempt {self.number} at {self.record.task} {self.record.id}>"

    def set_running_or_notify_cancel(self) -> bool:
        """See `concurrent.futures.Future`; false as well if the listener refuses."""
        return super().set_running_or_notify_cancel() and self._listener.note_begin(self)

    def recall(self) -> None:
        """Have it end at once, so that another process runs the job again."""
        if self.done() or self._stop is None:
            return
        self.is_requeued = True
        with suppress(NotSupported):
            self._stop(self, 0.0)

    def log_left(self, waited: float) -> None:
        """Say in the log that the process ends without its outcome.

        Args:
            waited: How long it has had to end, in seconds.
        """
        record = self.record
        if self.done():
            _logger.error("How %s %s ended is not in the ledger yet", record.task, record.id)
            return
        _logger.warning(
            "The job %s of %s still runs after %g seconds. If it ends before this process, its"
            " outcome is written; otherwise it %s",
            record.id,
            record.task,
            waited,
            "runs again" if record.idempotent else "is lost",
        )

    @property
    def progress(self) -> Progress | None:
        """The latest progress. Its engine sets it, and the listener is told."""
        return self._progress

    @progress.setter
    def progress(self, progress: Progress | None) -> None:
        self._progress = progress
        if progress is not None:
            self._listener.note_progress(self, progress)
