"""`JobRunner`: one process's part in the work: it accepts jobs, takes some, runs them, and tells.

Who does what, on which thread:

- Any thread may `submit`, `cancel`, and wait for jobs.
- **The writer's thread** alone writes, claims, renews the lease, and gives jobs to the pool.
- **The pool's threads** call `note_begin`, `note_progress` and `_on_done`, which only put something
  down for the writer.

What holds:

1. A job is the runner's from its claim (or its acceptance) until its outcome is written; in
   between it is among the claimed jobs, and nowhere else in memory.
2. A job that may not be repeated begins only after the ledger says so. Any other job may begin
   before; if the process dies in between, it is run again, as it may be.
3. An outcome is told to who waits for it after it is written, and never before.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Protocol, cast

from dewar.tasks.engines.interface import JobCall
from dewar.tasks.errors import NotSupported, QueueFull, TasksError
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.records import (
    AttemptStart,
    JobRecord,
    JobState,
    NewJob,
    Outcome,
    ProgressUpdate,
)
from dewar.tasks.progress import Progress
from dewar.tasks.retry import RetryPolicy
from dewar.tasks.runtime.attempt import Attempt, Dispatch
from dewar.tasks.runtime.claimed import ClaimedJobs
from dewar.tasks.runtime.futures import JobFutures
from dewar.tasks.runtime.group_commit import Entry, LedgerWriter
from dewar.tasks.runtime.maintenance import LedgerMaintenance, RunnerSettings
from dewar.tasks.runtime.outcomes import describe_outcome, outcome_of

_logger = logging.getLogger("dewar.tasks")
# How many cancellations are remembered, for jobs that are being taken meanwhile.
_MAX_CANCELLATIONS = 1000
# For how long a pool that is full or cannot reach its workers is not asked again, in seconds.
_REFUSAL_PAUSE = 2.0
# What the last things get when time is up, in seconds.
_FINAL_WAIT = 1.0


class JobStarter(Protocol):
    """What a job runner asks of its pool."""

    def start_job(self, job: Attempt, call: JobCall) -> None:
        """Run a call some time, and set the job's result."""


class TaskDirectory(Protocol):
    """What a job runner asks of the `Tasks` that it works for."""

    def names(self) -> Sequence[str]:
        """Return the names of the tasks that this process can run."""

    def policy(self, task: str) -> RetryPolicy:
        """Return what a task says about repeating."""

    def call(self, record: JobRecord, attempt: int) -> JobCall:
        """Return what the pool is to run for a job."""

    def wake_webhooks(self) -> None:
        """Take note that there is a callback to be made."""

    @property
    def json(self) -> Any:
        """Reads and writes JSON."""


class JobRunner:
    """Accepts, claims, runs and ends jobs in one process.

    Args:
        ledger: Where jobs are kept.
        pool: Where they run; None where this process runs none.
        directory: What they run.
        settings: How.
        clock: The time in seconds since the epoch.
    """

    def __init__(
        self,
        ledger: Ledger,
        pool: JobStarter | None,
        directory: TaskDirectory,
        settings: RunnerSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.ledger = ledger
        self._pool = pool
        self._directory = directory
        self.clock = clock
        self._owner: str = settings.owner.id
        self.claimed = ClaimedJobs(settings.workers, settings.prefetch)
        self._is_open = pool is not None
        self._not_before = 0.0  # what the engine is spared after it could not be reached
        self._progress: dict[str, Progress] = {}
        self._drained = threading.Condition()
        self._cancelling = threading.Lock()
        self._to_cancel: dict[str, None] = {}
        self.futures = JobFutures()
        self._maintenance = LedgerMaintenance(self, settings)
        self._writer = LedgerWriter(self._write, self._maintenance.run_due)

    def __repr__(self) -> str:
        return f"<JobRunner {self._owner} {self.claimed!r} {self._writer!r}>"

    @property
    def can_claim(self) -> bool:
        """See `dewar.tasks.runtime.maintenance.MaintainedRunner`."""
        return self._is_open and self.clock() >= self._not_before

    @property
    def tasks(self) -> Sequence[str]:
        """The names of the tasks that it can run."""
        return self._directory.names()

    # Any thread.

    def start(self) -> None:
        """Begin: what dead processes left behind is taken over first.

        Raises:
            LedgerError: If the ledger cannot be written.
        """
        self._maintenance.heartbeat()
        self._writer.start()

    def submit(self, jobs: Sequence[NewJob]) -> list[bool]:
        """Have jobs accepted; return of each whether it is, and is in the ledger then.

        Raises:
            TasksError: If they cannot be written; some may have been.
        """
        room = self.claimed.room if self.can_claim else 0
        if room:
            now = self.clock()
            ours = [replace(new, owner=self._owner) for new in jobs[:room] if new.due <= now]
            jobs = [*ours, *jobs[len(ours) :]]
        return self._writer.write_all(jobs)

    def cancel(self, id: str, running: bool) -> bool | None:
        """Cancel a job that this process has; None where it has not.

        Raises:
            NotSupported: If it runs, `running` is true and the engine cannot stop it.
        """
        attempt = self.claimed.find(id)
        if attempt is None:
            return None
        if attempt.cancel():
            return self.cancel_elsewhere(id)
        return running and not attempt.done() and attempt.stop()

    def cancel_elsewhere(self, id: str) -> bool:
        """Cancel a job that waits and that no pool of this process has.

        The writer's thread may be taking it at this moment. Either it is claimed already, or
        `_dispatch` finds it among those to be cancelled, and waits until that is decided.
        """
        with self._cancelling:
            self._to_cancel[id] = None
            if len(self._to_cancel) > _MAX_CANCELLATIONS:
                del self._to_cancel[next(iter(self._to_cancel))]
            attempt = self.claimed.find(id)
            if attempt is not None and not attempt.cancel():
                return False
            if not self.ledger.cancel(id, self.clock(), self.describe):
                return False
            self.drop(id)
        self.wake()
        self._directory.wake_webhooks()
        return True

    def wake(self) -> None:
        """Look soon whether the ledger holds something new."""
        self._maintenance.poll_soon()
        self._writer.wake()

    def stop(self, timeout: float) -> bool:
        """Give back what has not begun, wait for what runs, and end.

        What still runs then is stopped, if the engine can, and given back as well; if not, it
        stays this process's until its lease runs out.

        Args:
            timeout: In seconds.

        Returns:
            Whether nothing is left running here.
        """
        deadline = self.clock() + timeout
        self._is_open = False
        back = [attempt.record.id for attempt in self.claimed.all() if self._give_back(attempt)]
        if back:
            self.ledger.release(self._owner, back)
        if not self._wait_drained(timeout):
            self._stop_running(self.claimed.all())
        self._writer.stop(max(_FINAL_WAIT, deadline - self.clock()))
        if len(self.claimed):
            return False
        self.ledger.leave(self._owner)
        return True

    def _give_back(self, attempt: Attempt) -> bool:
        """Cancel an attempt that has not begun, and let go of it; return whether it was so."""
        return attempt.cancel() and self.claimed.take(attempt.record.id) is not None

    def _wait_drained(self, timeout: float) -> bool:
        with self._drained:
            return self._drained.wait_for(lambda: not len(self.claimed), timeout)

    def _stop_running(self, attempts: Sequence[Attempt]) -> None:
        """Stop what runs, to have it run by another process."""
        for attempt in attempts:
            attempt.is_requeued = True
            try:
                attempt.stop()
            except NotSupported:
                _logger.warning("%r still runs; it is run again, or lost, by its lease", attempt)
        self._wait_drained(_FINAL_WAIT)

    # The pool's threads.

    def note_begin(self, attempt: Attempt) -> bool:
        """See `dewar.tasks.runtime.attempt.AttemptListener`."""
        record = attempt.record
        start = AttemptStart(
            id=record.id, owner=self._owner, attempt=attempt.number, at=self.clock()
        )
        # What cannot begin is told by the thread that writes, which must not wait for itself.
        if record.idempotent or attempt.cannot_start:
            self._writer.put(start)
            return True
        try:
            return self._writer.write(start)
        except TasksError:
            return False

    def note_progress(self, attempt: Attempt, progress: Progress) -> None:
        """See `dewar.tasks.runtime.attempt.AttemptListener`."""
        self._progress[attempt.record.id] = progress

    def _on_done(self, future: Future[Any]) -> None:
        attempt = cast("Attempt", future)
        record = attempt.record
        if future.cancelled() or self.claimed.find(record.id) is not attempt:
            return  # given back, cancelled or no longer ours: somebody else has the say
        self._write_progress_of(record.id)
        self._writer.put(
            outcome_of(
                attempt,
                self._directory.policy(record.task),
                self._owner,
                self.clock(),
                self._directory.json,
            )
        )

    # The writer's thread.

    def _write(self, entries: Sequence[Entry]) -> None:
        """Write entries; what comes after the ledger's own work must not fail."""
        kept = [op for op, _ in entries if not isinstance(op, Dispatch)]
        written = self.ledger.write(kept, self.describe)
        void = {id(operation) for operation in (*written.refused, *written.fenced)}
        ended = 0
        for operation, ticket in entries:
            counts = id(operation) not in void
            if ticket is not None:
                ticket.settle(counts)
            if isinstance(operation, Outcome):
                self._close(operation, counts)
                ended += 1
            elif isinstance(operation, NewJob) and counts:
                self._on_accepted(operation)
            elif isinstance(operation, Dispatch):
                self._dispatch(operation.attempt)
            elif isinstance(operation, AttemptStart) and not counts:
                self.drop(operation.id)
        if ended:
            self.claimed.note_ended(ended, self.clock())
            if self._maintenance.wants_jobs:
                self._writer.wake()

    def _on_accepted(self, new: NewJob) -> None:
        if new.owner is None:
            self._maintenance.note_queued()
        else:
            attempt = self._hold(JobRecord.of(new))
            if self._writer.is_busy:
                self._writer.put(Dispatch(attempt))
            else:
                self._dispatch(attempt)

    def dispatch_claimed(self, record: JobRecord) -> None:
        """Give a job to the pool."""
        self._dispatch(self._hold(record))

    def _hold(self, record: JobRecord) -> Attempt:
        attempt = Attempt(record, self)
        self.claimed.put(attempt)
        attempt.add_done_callback(self._on_done)
        return attempt

    def _dispatch(self, attempt: Attempt) -> None:
        record = attempt.record
        if record.id in self._to_cancel and self._read_cancelled(record.id):
            attempt.cancel()
            self.drop(record.id)
            return
        try:
            if self.can_claim and self._pool is not None:
                self._pool.start_job(attempt, self._directory.call(record, attempt.number))
                return
        except (QueueFull, ConnectionError) as error:
            _logger.warning("Jobs have to wait: %s", error)
            self._not_before = self.clock() + _REFUSAL_PAUSE
        except RuntimeError:
            self._is_open = False  # the pool is shut down: the interpreter ends
        except Exception as error:  # noqa: BLE001  # the job's own: its task or context
            attempt.cannot_start = True
            if attempt.set_running_or_notify_cancel():
                attempt.set_exception(error)
            return
        self.drop(record.id)
        self.ledger.release(self._owner, [record.id])

    def _read_cancelled(self, id: str) -> bool:
        """Return whether a job is cancelled in the ledger, once nobody is cancelling there."""
        with self._cancelling:
            record = self.ledger.get(id)
        return record is not None and record.state is JobState.CANCELLED

    def _close(self, outcome: Outcome, counts: bool) -> None:
        """Let go of a job whose outcome is written, and tell who waits for it."""
        attempt = self.drop(outcome.id)
        if outcome.state is JobState.QUEUED:
            self._maintenance.note_queued(outcome.due or outcome.at)
        elif counts and attempt is not None:
            self.futures.resolve([attempt.record.ended(outcome)])
            if attempt.record.callback is not None:
                self._directory.wake_webhooks()

    def drop(self, id: str) -> Attempt | None:
        """See `dewar.tasks.runtime.maintenance.MaintainedRunner`."""
        attempt = self.claimed.take(id)
        if not len(self.claimed):
            with self._drained:
                self._drained.notify_all()
        return attempt

    def write_progress(self) -> None:
        """See `dewar.tasks.runtime.maintenance.MaintainedRunner`."""
        for id in list(self._progress):
            self._write_progress_of(id)

    def _write_progress_of(self, id: str) -> None:
        progress = self._progress.pop(id, None)
        if progress is not None:
            self._writer.put(
                ProgressUpdate(id=id, fraction=progress.fraction, message=progress.message)
            )

    def describe(self, record: JobRecord) -> str:
        """Return the body of the callback of a job that ended without a process to tell how."""
        error = None if record.error is None else self._directory.json.loads(record.error)
        return describe_outcome(record, record.state, None, error, self._directory.json)
