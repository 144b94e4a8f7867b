"""`Batch`: what a mixed batch does to the ledger, decided without a database.

The caller tells how the jobs stand that the batch speaks of, has each item judged in order, and
then finds here the rows to insert and the columns to change, each job folded into one. Rules:

- A `AttemptStart` counts where the job waits, belongs to that owner, and has begun one time less.
- An `Outcome` counts where the job runs, for that owner, at that attempt. So each attempt has one
  outcome, and none where another process or a cancellation was first.
- Of a job that shall stop, a retry is its cancellation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from dewar.tasks.ledger.records import (
    MOVES,
    AttemptStart,
    JobState,
    NewJob,
    Outcome,
    ProgressUpdate,
)

LedgerOperation: TypeAlias = NewJob | AttemptStart | ProgressUpdate | Outcome
RowValues: TypeAlias = dict[str, object]


@dataclass(slots=True)
class JobSnapshot:
    """What of a job decides which item counts."""

    task: str
    state: JobState
    owner: str | None
    attempts: int
    callback: str | None
    stop_requested: bool = False


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A callback to be made; without a body the job's end is still to be described."""

    job_id: str
    at: float
    url: str
    body: str | None = None


@dataclass(slots=True)
class Batch:
    """Judges items in order, and holds what follows from them.

    Args:
        snapshots: How each job stands that an item speaks of and that is there, by its id.
        waiting: How many jobs wait, of each task that a new job sets a limit for.
    """

    snapshots: dict[str, JobSnapshot]
    waiting: dict[str, int]
    #: The rows of new jobs, as they are after the whole batch, by id.
    inserts: dict[str, RowValues] = field(default_factory=dict)
    #: The columns that change of other jobs, by id.
    changes: dict[str, RowValues] = field(default_factory=dict)
    outbox: list[OutboxEntry] = field(default_factory=list)
    refused: list[NewJob] = field(default_factory=list)
    fenced: list[AttemptStart | Outcome] = field(default_factory=list)

    def judge(self, item: LedgerOperation) -> None:
        """Let one item count, or not."""
        if isinstance(item, NewJob):
            self._accept(item)
        elif isinstance(item, AttemptStart):
            self._begin(item)
        elif isinstance(item, Outcome):
            self._end(item)
        else:
            self._tell(item)

    def _accept(self, new: NewJob) -> None:
        if new.id in self.snapshots:
            return  # it was accepted before, and may have gone on since
        waiting = self.waiting.get(new.task, 0)
        if new.max_queue is not None and waiting >= new.max_queue:
            self.refused.append(new)
            return
        self._count(new.task, 1)
        self.snapshots[new.id] = JobSnapshot(new.task, JobState.QUEUED, new.owner, 0, new.callback)
        self.inserts[new.id] = row_of(new)

    def _begin(self, start: AttemptStart) -> None:
        snapshot = self.snapshots.get(start.id)
        if (
            snapshot is None
            or snapshot.state is not JobState.QUEUED
            or snapshot.owner != start.owner
            or snapshot.attempts != start.attempt - 1
        ):
            self.fenced.append(start)
            return
        self._count(snapshot.task, -1)
        snapshot.state, snapshot.attempts = JobState.RUNNING, start.attempt
        self._change(
            start.id,
            {"state": JobState.RUNNING.value, "attempts": start.attempt, "started": start.at},
        )

    def _tell(self, update: ProgressUpdate) -> None:
        snapshot = self.snapshots.get(update.id)
        if snapshot is not None and snapshot.state is JobState.RUNNING:
            message = clean(update.message)
            self._change(update.id, {"fraction": update.fraction, "message": message})

    def _end(self, outcome: Outcome) -> None:
        snapshot = self.snapshots.get(outcome.id)
        if (
            snapshot is None
            or snapshot.state is not JobState.RUNNING
            or snapshot.owner != outcome.owner
            or snapshot.attempts != outcome.attempt
            or outcome.state not in MOVES[JobState.RUNNING]
        ):
            self.fenced.append(outcome)
        elif outcome.state is JobState.QUEUED and not snapshot.stop_requested:
            self._repeat(outcome, snapshot)
        else:
            self._finish(outcome, snapshot)

    def _repeat(self, outcome: Outcome, snapshot: JobSnapshot) -> None:
        self._count(snapshot.task, 1)
        snapshot.state, snapshot.owner = JobState.QUEUED, None
        due = outcome.at if outcome.due is None else outcome.due
        self._change(outcome.id, {**waiting_again(due), "error": _maybe_clean(outcome.error)})

    def _finish(self, outcome: Outcome, snapshot: JobSnapshot) -> None:
        is_stopped = outcome.state is JobState.QUEUED
        state = JobState.CANCELLED if is_stopped else outcome.state
        snapshot.state = state
        ended = {"result": _maybe_clean(outcome.result), "error": _maybe_clean(outcome.error)}
        self._change(outcome.id, {**ended_at(outcome.at, state), **ended})
        if snapshot.callback is not None:
            body = outcome.callback_body
            self.outbox.append(OutboxEntry(outcome.id, outcome.at, snapshot.callback, body))

    def _count(self, task: str, change: int) -> None:
        if task in self.waiting:
            self.waiting[task] += change

    def _change(self, id: str, columns: Mapping[str, object]) -> None:
        row = self.inserts.get(id)
        if row is None:
            row = self.changes.setdefault(id, {})
        row.update(columns)


def waiting_again(due: float) -> RowValues:
    """Return the columns of a job that ran, and waits again for whoever claims it."""
    return {
        "state": JobState.QUEUED.value,
        "owner": None,
        "due": due,
        "started": None,
        "fraction": None,
        "message": None,
        "stop_requested": 0,
    }


def ended_at(now: float, state: JobState) -> RowValues:
    """Return the columns of a job that ended."""
    return {"state": state.value, "finished": now, "stop_requested": 0}


def row_of(new: NewJob) -> RowValues:
    """Return the columns of a job that was accepted."""
    return {
        "id": new.id,
        "task": new.task,
        "state": JobState.QUEUED.value,
        "arguments": clean(new.arguments),
        "context": _maybe_clean(new.context),
        "owner": new.owner,
        "attempts": 0,
        "idempotent": int(new.idempotent),
        "stop_requested": 0,
        "created": new.created,
        "due": new.due,
        "started": None,
        "finished": None,
        "fraction": None,
        "message": None,
        "result": None,
        "error": None,
        "callback": new.callback,
    }


def _maybe_clean(text: str | None) -> str | None:
    return None if text is None else clean(text)


def clean(text: str) -> str:
    """Return what both databases take: PostgreSQL has no NUL in a text, UTF-8 no lone surrogate.

    One text that is refused would fail the batch of all the others.
    """
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()
