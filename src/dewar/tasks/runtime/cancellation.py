"""`JobCancellation`: cancels jobs from any thread, while the writer's thread may claim them."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.records import BatchResult, JobRecord, JobState, Settled
from dewar.tasks.runtime.attempt import Attempt
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
            NotSupported: If the job runs, `running` is true and the engine cannot ask or stop it.
        """
        attempt = self._jobs.claimed.find(id)
        if attempt is None or self._is_written(attempt):
            return None
        if attempt.cancel():
            return self.cancel_waiting(id)
        attempt.is_stopping |= running
        return running and not attempt.done() and attempt.stop()

    def cancel_waiting(self, id: str) -> bool:
        """Cancel a job that waits and that no engine of this process has.

        The writer's thread may be claiming it at this moment. Either it is claimed already, or
        `look_up` finds it among the ids, and waits until the ledger has decided.
        """
        jobs = self._jobs
        with self._lock:
            self._remember(id)
            attempt = jobs.claimed.find(id)
            is_written = attempt is not None and self._is_written(attempt)
            if attempt is not None and not is_written and not attempt.cancel():
                return False
            if not jobs.ledger.cancel(id, jobs.clock(), jobs.describe):
                return False
            if not is_written:
                jobs.claimed.take(id)
        jobs.moments.changed([id])
        self._on_callback()
        return True

    def _is_written(self, attempt: Attempt) -> bool:
        """Return whether the ledger has the outcome of an attempt, which is dropped next."""
        if not attempt.done() or attempt.cancelled():
            return False
        record = self._jobs.ledger.get(attempt.record.id)
        return record is None or (record.owner is None and record.attempts >= attempt.number)

    def cancel_workflow(self, id: str) -> tuple[Sequence[str], Sequence[str]]:
        """Cancel the jobs of a workflow that have not begun.

        Returns:
            Their ids, and those of the jobs that have begun in this process. The ledger may not
            know yet that they have.
        """
        jobs = self._jobs
        with self._lock:
            self._remember(id)
            attempts = [one for one in jobs.claimed.all() if one.record.workflow == id]
            begun = [
                one.record.id for one in attempts if not self._is_written(one) and not one.cancel()
            ]
            ids = jobs.ledger.cancel_workflow(id, jobs.clock(), jobs.describe, begun)
        self._drop(ids)
        return ids, begun

    def note_settled(self, settled: Settled) -> None:
        """Resolve the jobs that were stopped by others. It never fails."""
        known = [id for id in settled.stopped if id in self._jobs.futures]
        with suppress(LedgerError):  # the next look at the ledger resolves them
            if known:
                self._jobs.futures.resolve(self._jobs.ledger.get_many(known).values())
        if settled.stopped:
            self._jobs.moments.changed(settled.stopped)
            self._on_callback()

    def _remember(self, id: str) -> None:
        self.ids[id] = None
        if len(self.ids) > _MAX_REMEMBERED:
            del self.ids[next(iter(self.ids))]

    def note_written(self, written: BatchResult) -> None:
        """Note what became of new jobs whose keys other jobs have, and of these others."""
        if written.duplicates:
            self._jobs.duplicates.update(written.duplicates)
        if written.replaced:
            self._drop(written.replaced)

    def _drop(self, ids: Sequence[str]) -> None:
        """Drop jobs that the ledger has cancelled, as those that new ones have replaced.

        One that has just begun goes on, and its outcome does not count.
        """
        jobs = self._jobs
        for id in ids:
            attempt = jobs.claimed.find(id)
            if attempt is not None and attempt.cancel():
                jobs.claimed.take(id)
        known = [id for id in ids if id in jobs.futures]
        with suppress(LedgerError):  # the next look at the ledger resolves them
            jobs.futures.resolve(jobs.ledger.get_many(known).values())
        jobs.moments.changed(ids)
        self._on_callback()

    def look_up(self, claimed: JobRecord) -> bool:
        """Return whether a job is cancelled that this process was to cancel.

        It waits for a cancellation that is in progress. If the ledger cannot be read, the answer is
        no: the start of a cancelled job has no effect there.
        """
        if claimed.id not in self.ids and claimed.workflow not in self.ids:
            return False
        try:
            with self._lock:
                record = self._jobs.ledger.get(claimed.id)
        except LedgerError:
            return False
        return record is not None and record.state is JobState.CANCELLED
