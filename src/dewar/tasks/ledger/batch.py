"""`Batch`: the effects of a mixed batch on the ledger, decided without a database.

The caller gives the present state of the batch's jobs and has each operation judged in order. The
batch then holds the rows to insert and the columns to change, one for each job. Rules:

- An `AttemptStart` counts if the job waits, has this owner, and has begun one time less.
- An `Outcome` counts if the job runs, for this owner, at this attempt. So each attempt has at most
  one outcome, and none if another process or a cancellation was first.
- If a job has to stop, its retry becomes its cancellation.
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

#: This fraction of the free places may be filled without counting the queue again: one in 16.
_SHARE = 16


@dataclass(slots=True)
class JobSnapshot:
    """The columns of a job that decide which operations count."""

    task: str
    state: JobState
    owner: str | None
    attempts: int
    callback: str | None
    stop_requested: bool = False


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A callback to make. Without a body, the body is made from the job's record."""

    job_id: str
    at: float
    url: str
    body: str | None = None


@dataclass(slots=True)
class Batch:
    """Judges operations in order, and collects their effects.

    Args:
        snapshots: The existing jobs of the operations, by id.
        waiting: The number of waiting jobs, for each task with a limit that has to be checked.
    """

    snapshots: dict[str, JobSnapshot]
    waiting: dict[str, int]
    #: The rows of new jobs as they are after the whole batch, by id.
    inserts: dict[str, RowValues] = field(default_factory=dict)
    #: The changed columns of other jobs, by id.
    changes: dict[str, RowValues] = field(default_factory=dict)
    outbox: list[OutboxEntry] = field(default_factory=list)
    refused: list[NewJob] = field(default_factory=list)
    fenced: list[AttemptStart | Outcome] = field(default_factory=list)

    def judge(self, item: LedgerOperation) -> None:
        """Apply one operation, unless it does not count."""
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
            return  # it was accepted before, and may have begun since
        waiting = self.waiting.get(new.task, 0)
        if new.max_queue is not None and waiting >= new.max_queue:
            self.refused.append(new)
            return
        if new.due <= new.created:
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


class QueueAllowance:
    """The number of jobs of each task that this process may accept without counting the queue.

    PERF: counting is the greatest cost of a submit, and grows with the queue. Near the limit, and
    with limits below sixteen, the queue is counted for each job.

    The limit is exact if one process accepts jobs and none is given back. Each other process may
    exceed it by a sixteenth, with the places that it has found free earlier.
    """

    def __init__(self) -> None:
        self._left: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<QueueAllowance {self._left}>"

    def take(self, task: str, wanted: int) -> bool:
        """Take a number of places; return whether there were as many without counting."""
        left = self._left.get(task, 0) - wanted
        if left < 0:
            return False
        self._left[task] = left
        return True

    def note(self, task: str, waiting: int, limit: int) -> None:
        """Note the result of a count: the waiting jobs, and the limit."""
        self._left[task] = max(0, limit - waiting) // _SHARE


def waiting_again(due: float) -> RowValues:
    """Return the columns of a job that has run and waits to be claimed again."""
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
    """Return the columns of a job that has ended."""
    return {"state": state.value, "finished": now, "stop_requested": 0}


def row_of(new: NewJob) -> RowValues:
    """Return the columns of an accepted job."""
    arguments, context = new.arguments, new.context
    # PERF: one check for both. JSON is ASCII unless an app's provider writes it otherwise.
    both = arguments if context is None else arguments + context
    if not both.isascii() or "\0" in both:
        arguments, context = clean(arguments), _maybe_clean(context)
    return {
        "id": new.id,
        "task": new.task,
        "state": JobState.QUEUED.value,
        "arguments": arguments,
        "context": context,
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
    """Return a text without NUL, which PostgreSQL refuses, and lone surrogates, which UTF-8 lacks.

    A single refused text would fail the whole batch.
    """
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()
