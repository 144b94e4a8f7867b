"""`JobRunner`: accepts jobs, gives those that are claimed to the engine, and writes their outcomes.

Which thread does what:

- Any thread may `submit`, `submit_one` and `stop`.
- **The thread that writes** (one at a time, see `LedgerWriter`) calls `_write`, `_write_new`, and
  gives jobs to the engine. `dispatch_claimed` is called by the writer's own thread.
- **The engine's threads** call `note_begin`, `note_progress` and `_on_done`, which only put
  something into the writer's queue.

Invariants:

1. A job belongs to the runner from its claim (or its acceptance) until its outcome is written. In
   between it is among the claimed jobs, and nowhere else in memory.
2. A job that must not be repeated, or that a new one may replace, begins only after its start is
   in the ledger. Any other may begin before that: if the process dies in between, it runs again.
3. The Future of a job is resolved after the outcome is written, and never before.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import suppress
from typing import Any, cast

from dewar.tasks.engines.interface import EngineClosed, JobEngine
from dewar.tasks.errors import LedgerError, QueueFull, TasksError, ThreadRefused
from dewar.tasks.ledger.records import (
    AttemptStart,
    JobRecord,
    JobState,
    NewJob,
    Outcome,
    StopRequest,
)
from dewar.tasks.progress import Progress
from dewar.tasks.runtime.attempt import Attempt, Dispatch
from dewar.tasks.runtime.cancellation import JobCancellation
from dewar.tasks.runtime.job_source import JobSource
from dewar.tasks.runtime.latest_progress import LatestProgress
from dewar.tasks.runtime.outcomes import outcome_of
from dewar.tasks.runtime.pending_write import Entry, MakeWriter, Operation
from dewar.tasks.runtime.process_jobs import ProcessJobs
from dewar.tasks.runtime.returned_jobs import ReturnedJobs

_logger = logging.getLogger("dewar.tasks")
# The seconds without another try after an engine was full or could not reach its workers.
_REFUSAL_PAUSE = 2.0
# The seconds for the last writes after the time to stop is over.
_FINAL_WAIT = 1.0


class JobRunner:
    """Accepts, runs and ends jobs in one process.

    Args:
        jobs: The jobs of this process.
        engine: Where they run; None if this process runs none.
        source: What they run.
        cancellation: What is cancelled meanwhile.
        on_callback: Called when a job with a callback has ended.
        make_writer: Makes what writes.
    """

    def __init__(
        self,
        jobs: ProcessJobs,
        engine: JobEngine | None,
        source: JobSource,
        cancellation: JobCancellation,
        on_callback: Callable[[], object],
        make_writer: MakeWriter,
    ) -> None:
        self._jobs, self._owner = jobs, jobs.owner.id
        self._ledger, self._claimed = jobs.ledger, jobs.claimed
        self._clock, self._monotonic, self._moments = jobs.clock, jobs.monotonic, jobs.moments
        self._engine, self._on_callback = engine, on_callback
        self._source, self._cancellation = source, cancellation
        self._progress, self._returned = LatestProgress(), ReturnedJobs(jobs.ledger, self._owner)
        self._writer = writer = make_writer(self._write, self._write_new)
        #: See `LedgerWriter`.
        self.wake, self.flush = writer.wake, writer.flush

    def __repr__(self) -> str:
        return f"<JobRunner {self._owner} {self._claimed!r} {self._writer!r}>"

    # Any thread.

    def start(self, on_idle: Callable[[], float], longest_pause: float) -> None:
        """Begin to write; the arguments are as in `LedgerWriter.start`."""
        self._writer.start(on_idle, longest_pause)

    def submit_one(self, new: NewJob) -> bool:
        """Have a job accepted; return whether it is. It is in the ledger then.

        Raises:
            TasksError: If it cannot be written.
        """
        return self._writer.write(self._jobs.claimed_at_once(new))

    def submit(self, jobs: Sequence[NewJob]) -> list[bool]:
        """Have jobs accepted; return for each whether it is. Those are in the ledger then.

        Raises:
            TasksError: If they cannot be written; some may have been.
        """
        return self._writer.write_all(self._jobs.all_claimed_at_once(jobs))

    def note_stopping(self, id: str) -> None:
        """Have it written that a job is to end, if it runs here; see `StopRequest`."""
        attempt = self._claimed.find(id)
        if attempt is not None and attempt.running():
            self._writer.put(StopRequest(id=id))

    def stop(self, timeout: float) -> bool:
        """Give back what has not begun, and wait `timeout` seconds for what runs.

        What still runs then is asked to end, or stopped, and given back as well. Return whether
        nothing is left; call `finish` next.
        """
        self._claimed.close()
        try:
            self._jobs.give_back_waiting()
        except LedgerError as error:
            _logger.warning("Some jobs wait until this process has ended: %s", error)
        if not self._claimed.wait_empty(timeout):
            self._claimed.recall(timeout, _FINAL_WAIT)
        return not self._claimed.attempts

    def finish(self, timeout: float | None) -> bool:
        """Wait for the outcomes of what still runs, write them, and leave the ledger.

        Args:
            timeout: In seconds; None for as long as it takes.

        Returns:
            Whether nothing is left running here.
        """
        is_empty = self._claimed.wait_empty(timeout)
        self._writer.stop(_FINAL_WAIT)
        if is_empty:
            with suppress(LedgerError):  # others find that the process has ended
                self._ledger.leave(self._owner)
        return is_empty

    # The engine's threads.

    def note_begin(self, attempt: Attempt) -> bool:
        """See `dewar.tasks.runtime.attempt.AttemptListener`."""
        record = attempt.record
        attempt.began_at = now = self._clock()
        start = AttemptStart(id=record.id, owner=self._owner, attempt=attempt.number, at=now)
        # An attempt that cannot start is noted by the thread that writes, which must not wait for
        # itself. After an error it is written first: the attempt may have killed its process.
        if attempt.cannot_start or self._source.may_begin_unwritten(record):
            self._writer.put(start)
            return True
        try:
            return self._writer.write_all([start])[0]
        except TasksError:
            return False

    def note_progress(self, attempt: Attempt, progress: Progress) -> None:
        """See `dewar.tasks.runtime.attempt.AttemptListener`."""
        self._progress.note(attempt.record.id, progress)

    def _on_done(self, future: Future[Any]) -> None:
        attempt = cast("Attempt", future)
        record = attempt.record
        if future.cancelled() or self._claimed.find(record.id) is not attempt:
            return  # It was given back, cancelled or claimed by another process.
        self._put_progress(record.id)
        policy = self._source.policy(record.task)
        outcome = outcome_of(attempt, policy, self._owner, self._clock(), self._source.json)
        self._claimed.note_finished(record.id)
        self._writer.put(outcome, self._jobs.is_urgent(attempt))

    # The thread that writes.

    def _write_new(self, new: NewJob) -> bool:
        """Write a new job that came alone; return whether it was accepted."""
        written = self._ledger.write((new,), self._jobs.describe)
        self._cancellation.note_written(written)
        if written.refused or written.duplicates:
            return False
        self._follow(new)
        return True

    def _write(self, entries: Sequence[Entry]) -> None:
        """Write entries in one transaction. After it, nothing is raised."""
        kept = [op for op, _ in entries if not isinstance(op, Dispatch)]
        written = self._ledger.write(kept, self._jobs.describe)
        self._cancellation.note_written(written)
        void = {id(operation) for operation in (*written.refused, *written.fenced)}
        void.update(id(one) for one in kept if one.id in written.duplicates)
        ended = 0
        for operation, ticket in entries:
            counts = id(operation) not in void
            if ticket is not None:
                ticket.settle(counts)
            ended += isinstance(operation, Outcome)
            self._follow(operation, counts)
        if ended:
            claimed, now = self._claimed, self._monotonic()
            claimed.note_ended(ended, now)
            if claimed.wants_jobs or (not claimed.attempts and claimed.is_active(now)):
                self._writer.wake()

    def _follow(self, operation: Operation, counts: bool = True) -> None:
        """Do what follows from a written operation.

        If this raised, the thread that writes would take the transaction for failed, and write it
        again.
        """
        try:
            if isinstance(operation, Outcome):
                self._close(operation, counts)
            elif isinstance(operation, NewJob) and counts:
                self._on_accepted(operation)
            elif isinstance(operation, Dispatch):
                self._dispatch(operation.attempt)
            elif isinstance(operation, AttemptStart) and not counts:
                self._claimed.take_attempt(operation.id, operation.attempt)
            elif counts:
                self._moments.went_on(operation, self._claimed.find(operation.id))
        except Exception:
            _logger.exception("After %r was written, this failed", operation)

    def _on_accepted(self, new: NewJob) -> None:
        self._moments.accepted(new)
        if new.owner is None:
            if self._jobs.note_left(new):
                self._writer.wake()
            return
        attempt = self._hold(JobRecord.of(new))
        if self._writer.is_busy:
            self._writer.put(Dispatch(attempt))
        else:
            self._dispatch(attempt)

    def dispatch_claimed(self, record: JobRecord) -> None:
        """Give a job that this process has claimed to the engine."""
        if self._claimed.find(record.id) is not None:
            # Another thread has written that it failed, and has yet to let go of that attempt.
            self._writer.wait_written()
        attempt = self._hold(record)
        attempt.was_claimed = True
        self._dispatch(attempt)

    def _hold(self, record: JobRecord) -> Attempt:
        attempt = Attempt(record, self, None if self._engine is None else self._engine.stop)
        self._claimed.attempts[record.id] = attempt
        attempt.add_done_callback(self._on_done)
        return attempt

    def _dispatch(self, attempt: Attempt) -> None:
        """Give an attempt to the engine, or its job back to the ledger."""
        record, claimed = attempt.record, self._claimed
        try:
            if self._cancellation.look_up(record):
                attempt.cancel()
                claimed.take(record.id)
                return
            if self._engine is not None and self._monotonic() >= claimed.claims_from:
                self._engine.submit(attempt, self._source.call(record, attempt.number))
                return
        # The ledger, because it may have arguments of the job.
        except (QueueFull, ThreadRefused, ConnectionError, LedgerError) as error:
            self._returned.bounded_log.warn("Jobs have to wait: %s", error)
            claimed.pause(self._monotonic() + _REFUSAL_PAUSE)
        except EngineClosed:
            claimed.close()  # the interpreter ends
        except BrokenExecutor:
            _logger.exception("This process runs no more jobs, because its pool is broken")
            claimed.close()
        except Exception as error:  # noqa: BLE001  # an error of the job's task or context
            attempt.cannot_start = True
            if attempt.set_running_or_notify_cancel():
                attempt.set_exception(error)
            return
        claimed.take(record.id)
        self._returned.add(record.id)

    def _close(self, outcome: Outcome, counts: bool) -> None:
        """Drop a job whose outcome is written, and resolve its Future."""
        attempt = self._claimed.take_attempt(outcome.id, outcome.attempt)
        if counts and attempt is not None:
            self._moments.ended(outcome, attempt)
        if outcome.state is JobState.QUEUED:
            if self._claimed.note_queued(outcome.due or outcome.at):
                self._writer.wake()
        elif counts and attempt is not None:
            self._jobs.futures.resolve([attempt.record.ended(outcome)])
            if attempt.record.callback is not None:
                self._on_callback()

    def write_progress(self) -> None:
        """Have the latest progress of each job written, and give back jobs that could not be."""
        self._returned.flush()
        for id in self._progress.ids():
            self._put_progress(id)

    def give_back_stalled(self) -> None:
        """Give back what waits for jobs that run for long, for a process that is idle."""
        self._returned.add(*self._claimed.drop_stalled())

    def _put_progress(self, id: str) -> None:
        update = self._progress.maybe_update(id)
        if update is not None:
            self._writer.put(update)
