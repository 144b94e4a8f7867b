"""The records of the ledger, and the states of a job.

The moves between states::

    QUEUED ── begin ──▶ RUNNING ── finish ──▶ DONE | FAILED
      │  ▲                 │
      │  └─ retry, recover ┤        (attempts left, or its process died and it may be repeated)
      │                    ├─ recover ─▶ LOST        (its process died; it may not be repeated)
      └──── cancel ────────┴──────────▶ CANCELLED

A QUEUED job may already have an owner: the process that will run it. Only `retry` from the command
line changes a job in a final state.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Self


class JobState(Enum):
    """The state of a job. Its value is shown to users and stored in the database."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in FINAL


FINAL = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.LOST})

#: The states that may follow each state. QUEUED after a final state is a retry by hand.
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
    """A job to accept. Times are seconds since the epoch."""

    #: As `dewar.tasks.ledger.ids.new_id` makes it from `created`.
    id: str
    task: str
    #: ``[args, kwargs]`` as `dewar.tasks.serialization.values.pack` writes them.
    arguments: str
    #: The submitter's context as JSON; None without one.
    context: str | None = None
    created: float
    #: It does not begin earlier.
    due: float
    #: The process that will run it, if that is already known.
    owner: str | None = None
    #: Whether it may run again if nobody knows how far it came.
    idempotent: bool = True
    #: The most due jobs of this task that may wait; None for no limit, or if this one is not due.
    max_queue: int | None = None
    callback: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptStart:
    """An attempt begins."""

    id: str
    owner: str
    #: 1 for the first. It is the fencing token of the later operations.
    attempt: int
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgressUpdate:
    """The progress of a running job."""

    id: str
    fraction: float
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The end of an attempt. It counts only if the job is still this owner's, at this attempt.

    A `state` of QUEUED is a retry: the job waits until `due`, and any process may claim it.
    """

    id: str
    owner: str
    attempt: int
    state: JobState
    at: float
    #: The packed result, if DONE.
    result: str | None = None
    #: ``{"type", "text", "traceback", "args"}`` as JSON, if FAILED, LOST or a retry.
    error: str | None = None
    due: float | None = None
    #: The body of the callback, if the job has one; None to have the ledger make it.
    callback_body: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchResult:
    """The operations of a batch without effect. All others took effect."""

    #: New jobs of tasks whose queue was full.
    refused: tuple[NewJob, ...]
    #: The job was not this owner's at this attempt, or had ended.
    fenced: tuple[AttemptStart | Outcome, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecoveryResult:
    """The former running jobs of dead processes."""

    #: The ids of the jobs that wait again.
    requeued: tuple[str, ...]
    #: The ids of the jobs that may not be repeated.
    lost: tuple[str, ...]
    #: The ids of the jobs that had been asked to stop.
    cancelled: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerStatistics:
    """The counts of one process. What two threads count at once may be counted as one."""

    where: str
    #: Batches written, and the operations in them.
    batches: int
    items: int
    refused: int
    fenced: int
    #: Jobs claimed by this process, and jobs taken from dead processes.
    claimed: int
    recovered: int


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRecord:
    """A job in the ledger. Times are seconds since the epoch."""

    id: str
    task: str
    state: JobState
    arguments: str
    context: str | None
    owner: str | None
    #: The number of attempts that have begun.
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
        """Return the record of a newly accepted job."""
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
        """Return the record of the same job after an outcome."""
        return replace(
            self,
            state=outcome.state,
            result=outcome.result,
            error=outcome.error,
            finished=outcome.at,
        )
