"""`JobMoments`: tells signals and metrics what becomes of the jobs of a process.

It is told after the commit. PERF: without receivers a moment costs a look at a dict, and a count.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from blinker import Signal

from dewar.tasks.ledger.records import (
    AttemptStart,
    JobRecord,
    JobState,
    NewJob,
    Outcome,
    ProgressUpdate,
)
from dewar.tasks.metrics import JobCounts, job_counts
from dewar.tasks.runtime.attempt import Attempt
from dewar.tasks.runtime.signal_sender import SignalSender
from dewar.tasks.signals import (
    job_accepted,
    job_ended,
    job_progressed,
    job_retried,
    job_started,
)

#: Returns the records of jobs, by id.
ReadJobs = Callable[[Sequence[str]], Mapping[str, JobRecord]]


class JobMoments:
    """The moments of jobs. Any thread may call any method; none of them raises.

    Args:
        sender: Sends the signals; None for no signals.
        read: Reads jobs of the ledger.
        counts: What counts the moments.
    """

    def __init__(
        self,
        sender: SignalSender | None = None,
        read: ReadJobs | None = None,
        counts: JobCounts = job_counts,
    ) -> None:
        self._sender = sender
        self._read: ReadJobs = read or (lambda _: {})
        self._counts = counts

    def __repr__(self) -> str:
        return f"<JobMoments {self._sender!r}>"

    def accepted(self, new: NewJob) -> None:
        """Tell that a job is in the ledger."""
        self._counts.note_accepted(new.task)
        if job_accepted.receivers:
            self._send(job_accepted, lambda: JobRecord.of(new))

    def went_on(self, operation: object, attempt: Attempt | None) -> None:
        """Tell that an attempt has begun, or that its progress is written."""
        if attempt is None:
            return
        if isinstance(operation, AttemptStart):
            self._started(operation, attempt)
        elif isinstance(operation, ProgressUpdate) and job_progressed.receivers:
            record = _running(attempt.record, attempt.number, attempt.began_at)
            self._send(
                job_progressed,
                lambda: replace(record, fraction=operation.fraction, message=operation.message),
            )

    def ended(self, outcome: Outcome, attempt: Attempt) -> None:
        """Tell that an attempt has ended, and its job with it, or it waits for another."""
        if attempt.is_stopping and outcome.state is JobState.QUEUED:
            # The ledger may have cancelled it instead.
            self.changed([outcome.id])
            return
        record, began = attempt.record, attempt.began_at
        took = None if began is None else outcome.at - began
        is_retry = outcome.state is JobState.QUEUED
        if is_retry:
            self._counts.note_retried(record.task, took)
        else:
            self._counts.note_ended(record.task, outcome.state, took)
        signal = job_retried if is_retry else job_ended
        if signal.receivers:
            self._send(signal, lambda: _after(outcome, attempt))

    def changed(self, ids: Sequence[str]) -> None:
        """Tell of jobs that have ended, or wait again, without the end of an attempt here."""
        sender = self._sender
        if sender is not None and ids:
            sender.send_soon(lambda: [self._counted(one) for one in self._read(ids).values()])

    def close(self, timeout: float) -> None:
        """Send the signals that wait, for at most so many seconds."""
        if self._sender is not None:
            self._sender.close(timeout)

    def _started(self, start: AttemptStart, attempt: Attempt) -> None:
        record = attempt.record
        self._counts.note_started(record.task, start.at - max(record.due, record.created))
        if job_started.receivers:
            self._send(job_started, lambda: _running(record, start.attempt, start.at))

    def _counted(self, record: JobRecord) -> tuple[Signal, JobRecord]:
        if record.state.is_final:
            self._counts.note_ended(record.task, record.state, None)
            return job_ended, record
        self._counts.note_retried(record.task, None)
        return job_retried, record

    def _send(self, signal: Signal, record: Callable[[], JobRecord]) -> None:
        if self._sender is not None:
            self._sender.send_soon(lambda: [(signal, record())])


def _running(record: JobRecord, number: int, began: float | None) -> JobRecord:
    return replace(record, state=JobState.RUNNING, attempts=number, started=began)


def _after(outcome: Outcome, attempt: Attempt) -> JobRecord:
    """Return the record of a job after the outcome of an attempt."""
    began = _running(attempt.record, attempt.number, attempt.began_at)
    progress = attempt.progress
    if progress is not None:
        began = replace(began, fraction=progress.fraction, message=progress.message)
    ended = began.ended(outcome)
    if outcome.state is JobState.QUEUED:
        return replace(ended, finished=None, due=outcome.due or outcome.at)
    return ended
