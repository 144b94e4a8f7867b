"""`Batch`: what a mixed batch does to the ledger, decided without a database.

The caller tells how the jobs stand that the batch speaks of, has each item judged in order, and
then finds here the rows to insert and the columns to change, each job folded into one. Rules:

- A `Start` counts where the job waits, belongs to that owner, and has begun one time less.
- An `Outcome` counts where the job runs, for that owner, at that attempt. So each attempt has one
  outcome, and none where another process or a cancellation was first.
- Of a job that shall stop, a retry is its cancellation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from dewar.tasks.ledger.records import MOVES, JobState, NewJob, Outcome, Start, Update

Item: TypeAlias = NewJob | Start | Update | Outcome
Row: TypeAlias = dict[str, object]


@dataclass(slots=True)
class Standing:
    """What of a job decides which item counts."""

    task: str
    state: JobState
    owner: str | None
    attempts: int
    callback: str | None
    stop_requested: bool = False


@dataclass(frozen=True, slots=True)
class Post:
    """A callback to be made; without a body the job's end is still to be described."""

    job_id: str
    at: float
    url: str
    body: str | None = None


@dataclass(slots=True)
class Batch:
    """Judges items in order, and holds what follows from them.

    Args:
        standings: How each job stands that an item speaks of and that is there, by its id.
        waiting: How many jobs wait, of each task that a new job sets a limit for.
    """

    standings: dict[str, Standing]
    waiting: dict[str, int]
    #: The rows of new jobs, as they are after the whole batch, by id.
    inserts: dict[str, Row] = field(default_factory=dict)
    #: The columns that change of other jobs, by id.
    changes: dict[str, Row] = field(default_factory=dict)
    posts: list[Post] = field(default_factory=list)
    refused: list[NewJob] = field(default_factory=list)
    fenced: list[Start | Outcome] = field(default_factory=list)

    def judge(self, item: Item) -> None:
        """Let one item count, or not."""
        if isinstance(item, NewJob):
            self._accept(item)
        elif isinstance(item, Start):
            self._begin(item)
        elif isinstance(item, Outcome):
            self._end(item)
        else:
            self._tell(item)

    def _accept(self, new: NewJob) -> None:
        if new.id in self.standings:
            return  # it was accepted before, and may have gone on since
        waiting = self.waiting.get(new.task, 0)
        if new.max_queue is not None and waiting >= new.max_queue:
            self.refused.append(new)
            return
        self._count(new.task, 1)
        self.standings[new.id] = Standing(new.task, JobState.QUEUED, new.owner, 0, new.callback)
        self.inserts[new.id] = row_of(new)

    def _begin(self, start: Start) -> None:
        standing = self.standings.get(start.id)
        if (
            standing is None
            or standing.state is not JobState.QUEUED
            or standing.owner != start.owner
            or standing.attempts != start.attempt - 1
        ):
            self.fenced.append(start)
            return
        self._count(standing.task, -1)
        standing.state, standing.attempts = JobState.RUNNING, start.attempt
        self._change(
            start.id,
            {"state": JobState.RUNNING.value, "attempts": start.attempt, "started": start.at},
        )

    def _tell(self, update: Update) -> None:
        standing = self.standings.get(update.id)
        if standing is not None and standing.state is JobState.RUNNING:
            message = clean(update.message)
            self._change(update.id, {"fraction": update.fraction, "message": message})

    def _end(self, outcome: Outcome) -> None:
        standing = self.standings.get(outcome.id)
        if (
            standing is None
            or standing.state is not JobState.RUNNING
            or standing.owner != outcome.owner
            or standing.attempts != outcome.attempt
            or outcome.state not in MOVES[JobState.RUNNING]
        ):
            self.fenced.append(outcome)
        elif outcome.state is JobState.QUEUED and not standing.stop_requested:
            self._repeat(outcome, standing)
        else:
            self._finish(outcome, standing)

    def _repeat(self, outcome: Outcome, standing: Standing) -> None:
        self._count(standing.task, 1)
        standing.state, standing.owner = JobState.QUEUED, None
        due = outcome.at if outcome.due is None else outcome.due
        self._change(outcome.id, {**waiting_again(due), "error": _maybe_clean(outcome.error)})

    def _finish(self, outcome: Outcome, standing: Standing) -> None:
        is_stopped = outcome.state is JobState.QUEUED
        state = JobState.CANCELLED if is_stopped else outcome.state
        standing.state = state
        ended = {"result": _maybe_clean(outcome.result), "error": _maybe_clean(outcome.error)}
        self._change(outcome.id, {**ended_at(outcome.at, state), **ended})
        if standing.callback is not None:
            body = outcome.callback_body
            self.posts.append(Post(outcome.id, outcome.at, standing.callback, body))

    def _count(self, task: str, change: int) -> None:
        if task in self.waiting:
            self.waiting[task] += change

    def _change(self, id: str, columns: Mapping[str, object]) -> None:
        row = self.inserts.get(id)
        if row is None:
            row = self.changes.setdefault(id, {})
        row.update(columns)


def waiting_again(due: float) -> Row:
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


def ended_at(now: float, state: JobState) -> Row:
    """Return the columns of a job that ended."""
    return {"state": state.value, "finished": now, "stop_requested": 0}


def row_of(new: NewJob) -> Row:
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
