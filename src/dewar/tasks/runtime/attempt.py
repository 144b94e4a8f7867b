"""`Attempt`: one attempt at a stored job, as its pool sees it."""

from dataclasses import dataclass
from typing import Protocol

from dewar.tasks.job import Job
from dewar.tasks.ledger.records import JobRecord
from dewar.tasks.progress import Progress


class AttemptListener(Protocol):
    """Who wants to know how the attempt goes. The pool's threads call it."""

    def note_begin(self, attempt: "Attempt") -> bool:
        """Take note that the function is about to run; return whether it may."""

    def note_progress(self, attempt: "Attempt", progress: Progress) -> None:
        """Take note how far it is."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """An attempt is to be given to the pool."""

    attempt: "Attempt"


class Attempt(Job):
    """A Future that tells its listener when the function begins and how far it is.

    Args:
        record: The job, as it was claimed.
        listener: Who is told.
    """

    def __init__(self, record: JobRecord, listener: AttemptListener) -> None:
        super().__init__()
        self.record = record
        #: 1 for the first.
        self.number = record.attempts + 1
        #: Set where the process ends and the job is to be run by another one.
        self.is_requeued = False
        #: Set where it cannot even begin, and only its end is to be told.
        self.cannot_start = False
        self._listener = listener
        self._progress: Progress | None = None

    def __repr__(self) -> str:
        return f"<Attempt {self.number} at {self.record.task} {self.record.id}>"

    def set_running_or_notify_cancel(self) -> bool:
        """See `concurrent.futures.Future`; false as well where the listener says no."""
        return super().set_running_or_notify_cancel() and self._listener.note_begin(self)

    @property
    def progress(self) -> Progress | None:
        """How far it is; its engine sets it, and the listener is told."""
        return self._progress

    @progress.setter
    def progress(self, progress: Progress | None) -> None:
        self._progress = progress
        if progress is not None:
            self._listener.note_progress(self, progress)
