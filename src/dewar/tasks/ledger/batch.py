"""`Batch`: the effects of a mixed batch on the ledger, decided without a database.

The caller gives the present state of the batch's jobs and has each operation judged in order. The
batch then holds the rows to insert and the columns to change, one for each job. Rules:

- An `AttemptStart` counts if the job waits, has this owner, and has begun one time less.
- An `Outcome` counts if the job runs, for this owner, at this attempt. So each attempt has at most
  one outcome, and none if another process or a cancellation was first.
- If a job has to stop, its retry becomes its cancellation.
- A new job with the key of one that has not ended is a duplicate. It replaces that one if it is to
  and the other waits, which is cancelled then; a running job is never replaced.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from dewar.tasks.ledger.columns import (
    PLACED,
    RowValues,
    clean,
    ended_at,
    maybe_clean,
    row_of,
    waiting_again,
)
from dewar.tasks.ledger.due_column import shift_of, stored_due
from dewar.tasks.ledger.records import (
    MOVES,
    AttemptStart,
    BatchResult,
    JobState,
    NewJob,
    Outcome,
    ProgressUpdate,
    StopRequest,
)
from dewar.tasks.placement import OnDuplicate

LedgerOperation: TypeAlias = NewJob | AttemptStart | ProgressUpdate | StopRequest | Outcome
#: A task and the key of one of its jobs.
UniqueKey: TypeAlias = tuple[str, str]


@dataclass(slots=True)
class JobSnapshot:
    """The columns of a job that decide which operations count."""

    task: str
    state: JobState
    owner: str | None
    attempts: int
    callback: str | None
    stop_requested: bool = False
    #: As in `dewar.tasks.ledger.due_column`.
    shift: float = 0.0
    #: Whether other jobs have waited for it.
    followed: bool = False


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
        holders: The jobs that have the keys of new ones, by task and key. They are among the
            snapshots.
    """

    snapshots: dict[str, JobSnapshot]
    waiting: dict[str, int]
    holders: dict[UniqueKey, str] = field(default_factory=dict)
    #: The rows of new jobs as they are after the whole batch, by id.
    inserts: dict[str, RowValues] = field(default_factory=dict)
    #: The changed columns of other jobs, by id.
    changes: dict[str, RowValues] = field(default_factory=dict)
    outbox: list[OutboxEntry] = field(default_factory=list)
    refused: list[NewJob] = field(default_factory=list)
    fenced: list[AttemptStart | Outcome] = field(default_factory=list)
    #: The ids of duplicates, and of the jobs that have their keys.
    duplicates: dict[str, str] = field(default_factory=dict)
    #: The ids of the waiting jobs that were cancelled for a new one.
    replaced: list[str] = field(default_factory=list)
    #: The rows that say which new jobs wait for which others.
    dependencies: list[RowValues] = field(default_factory=list)
    #: The states of jobs that have ended and for which others may wait, and when that was found.
    ended: dict[str, JobState] = field(default_factory=dict)
    ended_at: float = 0.0

    def judge(self, item: LedgerOperation) -> None:
        """Apply one operation, unless it does not count."""
        if isinstance(item, NewJob):
            self._accept(item)
        elif isinstance(item, AttemptStart):
            self._begin(item)
        elif isinstance(item, Outcome):
            self._end(item)
        elif isinstance(item, StopRequest):
            self._stop(item)
        else:
            self._tell(item)

    def result(self) -> BatchResult:
        """Return the operations without effect, and what new jobs have replaced."""
        return BatchResult(
            refused=tuple(self.refused),
            fenced=tuple(self.fenced),
            duplicates=self.duplicates,
            replaced=tuple(self.replaced),
        )

    def _accept(self, new: NewJob) -> None:
        if new.id in self.snapshots:
            return  # it was accepted before, and may have begun since
        holder = None if new.unique_key is None else self._holder_of(new)
        if holder is not None and not self._may_replace(holder, new):
            self.duplicates[new.id] = holder
            return
        waiting = self.waiting.get(new.task, 0)
        if new.max_queue is not None and waiting >= new.max_queue:
            self.refused.append(new)
            return
        if holder is not None:
            self._replace(holder, new)
        if new.due <= new.created and not new.after:
            self._count(new.task, 1)
        shift = shift_of(new.queue, limited=new.limited or bool(new.after))
        self.snapshots[new.id] = JobSnapshot(
            new.task, JobState.QUEUED, new.owner, 0, new.callback, False, shift
        )
        self.inserts[new.id] = row_of(new, shift)
        if new.unique_key is not None:
            self.holders[new.task, new.unique_key] = new.id
        if new.after:
            self._wait_for_others(new)

    def _wait_for_others(self, new: NewJob) -> None:
        for id in dict.fromkeys(new.after):
            row = {"job_id": new.id, "after_id": id, "stops": int(not new.continues)}
            self.dependencies.append({**row, "state": "open"})
            before = self.snapshots.get(id)
            if before is None:
                self._note_ended(id, JobState.LOST, new.created)  # it was purged
                continue
            if before.state.is_final:
                self._note_ended(id, before.state, new.created)
            if not before.followed:
                before.followed = True
                self._note_followed(id)

    def _note_followed(self, id: str) -> None:
        row = self.inserts.get(id)
        if row is None:
            self._change(id, {"followed": 1})
        else:
            self.inserts[id] = {**PLACED, **row, "followed": 1}

    def _note_ended(self, id: str, state: JobState, at: float) -> None:
        self.ended[id] = state
        self.ended_at = max(self.ended_at, at)

    def _holder_of(self, new: NewJob) -> str | None:
        """Return the job that has the key of a new one and has not ended."""
        holder = self.holders.get((new.task, new.unique_key or ""))
        return None if holder is None or self.snapshots[holder].state.is_final else holder

    def _may_replace(self, holder: str, new: NewJob) -> bool:
        is_waiting = self.snapshots[holder].state is JobState.QUEUED
        return is_waiting and new.on_duplicate is OnDuplicate.REPLACE

    def _replace(self, holder: str, new: NewJob) -> None:
        snapshot = self.snapshots[holder]
        snapshot.state = JobState.CANCELLED
        self._change(holder, ended_at(new.created, JobState.CANCELLED))
        if snapshot.followed:
            self._note_ended(holder, JobState.CANCELLED, new.created)
        if snapshot.callback is not None:
            self.outbox.append(OutboxEntry(holder, new.created, snapshot.callback))
        self.replaced.append(holder)

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

    def _stop(self, request: StopRequest) -> None:
        snapshot = self.snapshots.get(request.id)
        if snapshot is not None and snapshot.state is JobState.RUNNING:
            snapshot.stop_requested = True
            self._change(request.id, {"stop_requested": 1})

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
        stored = stored_due(due, snapshot.shift)
        self._change(outcome.id, {**waiting_again(stored), "error": maybe_clean(outcome.error)})

    def _finish(self, outcome: Outcome, snapshot: JobSnapshot) -> None:
        is_stopped = outcome.state is JobState.QUEUED
        state = JobState.CANCELLED if is_stopped else outcome.state
        snapshot.state = state
        ended = {"result": maybe_clean(outcome.result), "error": maybe_clean(outcome.error)}
        self._change(outcome.id, {**ended_at(outcome.at, state), **ended})
        if snapshot.followed:
            self._note_ended(outcome.id, state, outcome.at)
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
