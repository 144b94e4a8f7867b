"""What the ledger keeps of a job, and the states a job goes through.

The moves, and who makes them::

    QUEUED ── begin ──▶ RUNNING ── finish ──▶ DONE | FAILED
      │  ▲                 │
      │  └─ retry, recover ┤        (attempts left, or its process died and it may be repeated)
      │                    ├─ recover ─▶ LOST        (its process died; it may not be repeated)
      └──── cancel ────────┴──────────▶ CANCELLED

A job that is QUEUED may have an owner already: the process that will run it. What is final is
never changed again, but by `retry` from the command line, which begins a new life.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Self


class JobState(Enum):
    """Where a job is in its life; the value is what users and the database see."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def is_final(self) -> bool:
        """Whether the job has its outcome."""
        return self in FINAL


FINAL = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.LOST})

#: From where a job may go where. A retry by hand starts from any state that is not DONE.
MOVES = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.QUEUED, *FINAL}),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
    JobState.LOST: frozenset({JobState.QUEUED}),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NewJob:
    """A job to be accepted. Times are seconds since the epoch."""

    #: As `dewar.tasks.ledger.ids.new_id` makes it from `created`.
    id: str
    task: str
    #: ``[args, kwargs]`` as `dewar.tasks.serialization.values.pack` writes them.
    arguments: str
    #: What is needed to make the submitter's context again, as JSON; None for none.
    context: str | None = None
    created: float
    #: Not to begin before.
    due: float
    #: The process that will run it, if it is known already.
    owner: str | None = None
    #: Whether it may be run again when nobody knows how far it came.
    idempotent: bool = True
    #: How many jobs of this task may wait; None for any number.
    max_queue: int | None = None
    callback: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptStart:
    """A job begins, now and here."""

    id: str
    owner: str
    #: 1 for the first; it is the fencing token of what follows.
    attempt: int
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgressUpdate:
    """How far a job is."""

    id: str
    fraction: float
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How an attempt ended. It counts only while the job is still this owner's, at this attempt.

    A `state` of QUEUED is a retry: the job waits until `due`, for whoever claims it.
    """

    id: str
    owner: str
    attempt: int
    state: JobState
    at: float
    #: The packed result, of DONE.
    result: str | None = None
    #: ``{"type", "text", "traceback", "args"}`` as JSON, of FAILED, LOST, and of a retry.
    error: str | None = None
    due: float | None = None
    #: The body of the callback, where the job has one; posted once this is recorded. None has the
    #: ledger describe the end.
    callback_body: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchResult:
    """What of a batch did not come to pass; all else did."""

    #: As many jobs of their task waited as may wait.
    refused: tuple[NewJob, ...]
    #: The job was not, or no longer, this owner's at this attempt; or it had ended.
    fenced: tuple[AttemptStart | Outcome, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecoveryResult:
    """What became of the running jobs of processes that are gone."""

    #: The ids of those that wait again.
    requeued: tuple[str, ...]
    #: The ids of those that may not be repeated.
    lost: tuple[str, ...]
    #: The ids of those that should have stopped.
    cancelled: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRecord:
    """A job as the ledger has it. Times are seconds since the epoch."""

    id: str
    task: str
    state: JobState
    arguments: str
    context: str | None
    owner: str | None
    #: How many times it has begun.
    attempts: int
    idempotent: bool
    created: float
    due: float
    started: float | None
    finished: float | None
    fraction: float | None
    message: str | None
    result: str | None
    error: str | None
    callback: str | None

    @classmethod
    def of(cls, new: NewJob) -> Self:
        """Return the record of a job that was just accepted."""
        return cls(
            id=new.id,
            task=new.task,
            state=JobState.QUEUED,
            arguments=new.arguments,
            context=new.context,
            owner=new.owner,
            attempts=0,
            idempotent=new.idempotent,
            created=new.created,
            due=new.due,
            started=None,
            finished=None,
            fraction=None,
            message=None,
            result=None,
            error=None,
            callback=new.callback,
        )

    def ended(self, outcome: Outcome) -> Self:
        """Return the record of the same job after an outcome that counted."""
        return replace(
            self,
            state=outcome.state,
            result=outcome.result,
            error=outcome.error,
            finished=outcome.at,
        )
