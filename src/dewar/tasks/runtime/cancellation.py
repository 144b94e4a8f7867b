"""`JobCancellation`: cancels jobs from any thread, while the writer's thread may claim them."""

import threading
from collections.abc import Callable

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.records import JobState
from dewar.tasks.runtime.process_jobs import ProcessJobs

# How many cancellations are remembered, for jobs that are being claimed meanwhile.
_MAX_REMEMBERED = 1000


class JobCancellation:
    """Cancels jobs.

    Any thread may call any method.

    Args:
        jobs: The jobs of this process.
        on_callback: Called when a job with a callback may have ended.

    Attributes:
        ids: The latest jobs that were to be cancelled.
    """

    def __init__(self, jobs: ProcessJobs, on_callback: Callable[[], object]) -> None:
        self._jobs = jobs
        self._on_callback = on_callback
        # Held while a job is cancelled in the ledger; see `look_up`.
        self._lock = threading.Lock()
        self.ids: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"<JobCancellation, {len(self.ids)} remembered>"

    def cancel_claimed(self, id: str, running: bool) -> bool | None:
        """Cancel a job that this process has; return None if it does not have it.

        Raises:
            NotSupported: If the job runs, `running` is true and the engine cannot stop it.
        """
        attempt = self._jobs.claimed.find(id)
        if attempt is None:
            return None
        if attempt.cancel():
            return self.cancel_waiting(id)
        return running and not attempt.done() and attempt.stop()

    def cancel_waiting(self, id: str) -> bool:
        """Cancel a job that waits and that no engine of this process has.

        The writer's thread may be claiming it at this moment. Either it is claimed already, or
        `look_up` finds it among the ids, and waits until the ledger has decided.
        """
        jobs = self._jobs
        with self._lock:
            self.ids[id] = None
            if len(self.ids) > _MAX_REMEMBERED:
                del self.ids[next(iter(self.ids))]
            attempt = jobs.claimed.find(id)
            if attempt is not None and not attempt.cancel():
                return False
            if not jobs.ledger.cancel(id, jobs.clock(), jobs.describe):
                return False
            jobs.claimed.take(id)
        self._on_callback()
        return True

    def look_up(self, id: str) -> bool:
        """Return whether a job is cancelled that this process was to cancel.

        It waits for a cancellation that is in progress. If the ledger cannot be read, the answer is
        no: the start of a cancelled job has no effect there.
        """
        if id not in self.ids:
            return False
        try:
            with self._lock:
                record = self._jobs.ledger.get(id)
        except LedgerError:
            return False
        return record is not None and record.state is JobState.CANCELLED
