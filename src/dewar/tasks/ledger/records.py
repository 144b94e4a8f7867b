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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Self

from dewar.tasks.placement import DEFAULT_QUEUE, OnDuplicate


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
    queue: str = DEFAULT_QUEUE
    #: Higher ones go first.
    priority: int = 0
    #: Whether its task has a rate or a most that may run.
    limited: bool = False
    #: Of the jobs of a task with the same key, one at most has not ended; None for any number.
    unique_key: str | None = None
    #: What is done if another job has the key.
    on_duplicate: OnDuplicate = OnDuplicate.RETURN
    #: The jobs that it waits for.
    after: Sequence[str] = ()
    #: Whether it runs too if one of them does not end well. If not, it is cancelled then.
    continues: bool = False
    #: The workflow that it is a part of.
    workflow: str | None = None


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
class StopRequest:
    """A running job is to end. It never runs again, whatever becomes of its process."""

    id: str


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
    #: Whether the job's task has limits, so that the end of this attempt may let another begin.
    limited: bool = False
    #: The body of the callback, if the job has one; None to have the ledger make it.
    callback_body: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchResult:
    """The operations of a batch without effect. All others took effect.

    `replaced` is what else they did.
    """

    #: New jobs of tasks whose queue was full.
    refused: tuple[NewJob, ...]
    #: The job was not this owner's at this attempt, or had ended.
    fenced: tuple[AttemptStart | Outcome, ...]
    #: New jobs whose key another job has: their ids, and that of the other.
    duplicates: Mapping[str, str] = field(default_factory=dict)
    #: The ids of the waiting jobs that were cancelled for new ones with their keys.
    replaced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settled:
    """What the ends of jobs have done to those that waited for them."""

    #: The ids of the jobs that may be claimed now.
    released: Sequence[str] = ()
    #: The ids of the jobs that are cancelled, because one before them did not end well.
    stopped: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.released or self.stopped)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecoveryResult:
    """The former running jobs of dead processes."""

    #: The ids of the jobs that wait again.
    requeued: tuple[str, ...]
    #: The ids of the jobs that may not be repeated.
    lost: tuple[str, ...]
    #: The ids of the jobs that had been asked to stop.
    cancelled: tuple[str, ...]
    #: What became of the jobs that waited for these.
    settled: Settled = field(default_factory=Settled)


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
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    limited: bool = False
    unique_key: str | None = None
    workflow: str | None = None
    #: Whether it waits for other jobs.
    is_blocked: bool = False

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
            queue=new.queue,
            priority=new.priority,
            limited=new.limited,
            unique_key=new.unique_key,
            workflow=new.workflow,
            is_blocked=bool(new.after),
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


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueOverview:
    """The jobs of one task in one queue that have not ended. Times are seconds since the epoch.

    Attributes:
        queue: The queue.
        task: The task.
        waiting: How many wait and may run now.
        later: How many are due later, or wait for something else.
        running: How many run.
        oldest_due: Since when the oldest of those that wait is due; None if none waits.
        next_due: When the next of the later ones is due; None if none has such a time.
    """

    queue: str
    task: str
    waiting: int
    later: int
    running: int
    oldest_due: float | None
    next_due: float | None
