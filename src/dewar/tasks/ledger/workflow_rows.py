"""`LedgerWorkflows`: accepts the jobs of a workflow together, and tells what became of them."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from dewar.tasks.ledger import dependency_statements as sql
from dewar.tasks.ledger.batch_writing import BatchWriter
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.dependencies import MissedEnds, settle
from dewar.tasks.ledger.outbox_insert import Describe, insert_described
from dewar.tasks.ledger.records import (
    BatchResult,
    JobRecord,
    JobState,
    NewJob,
    Settled,
)
from dewar.tasks.ledger.rows import record_of, rows_of
from dewar.tasks.ledger.schema import workflows
from dewar.tasks.ledger.statements import JOBS
from dewar.tasks.ledger.workflow_record import WorkflowRecord


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What was cancelled of a workflow.

    Attributes:
        ids: The jobs that waited.
        owners: The processes that had claimed some of them.
        settled: What became of jobs that waited for these, and are not of the workflow.
    """

    ids: Sequence[str]
    owners: Sequence[str]
    settled: Settled


class LedgerWorkflows:
    """The workflows of a ledger. Any thread may call any method.

    Args:
        database: The database of the ledger.
        writer: Writes its batches.
        note_settled: Called after a commit with what became of jobs that waited for others.
    """

    def __init__(
        self,
        database: Database,
        writer: BatchWriter,
        note_settled: Callable[[Settled], object],
    ) -> None:
        self._database = database
        self._writer = writer
        self._note_settled = note_settled
        self._missed_ends = MissedEnds(database)

    def __repr__(self) -> str:
        return f"<LedgerWorkflows of {self._database.name}>"

    def accept(self, id: str, ends: str, jobs: Sequence[NewJob], describe: Describe) -> BatchResult:
        """Accept all jobs of a workflow, or none; the result says which are refused.

        Args:
            id: The id of the workflow.
            ends: See `WorkflowRecord`.
            jobs: Its jobs. Each comes after those that it waits for.
            describe: Makes the bodies of callbacks.
        """
        row = {"id": id, "created": jobs[0].created, "ends": ends}

        def note(connection: Connection) -> None:
            if connection.execute(sql.WORKFLOW, {"of_workflow": id}).first() is None:
                connection.execute(workflows.insert(), row)

        return self._writer.write_together(jobs, describe, note)

    def find(self, id: str) -> WorkflowRecord | None:
        """Return a workflow; None if the ledger has none with the id."""
        with self._database.reading() as connection:
            row = connection.execute(sql.WORKFLOW, {"of_workflow": id}).first()
            return None if row is None else _record(connection, row)

    def jobs(self, id: str) -> list[JobRecord]:
        """Return the jobs of a workflow, in the order in which they were given."""
        with self._database.reading() as connection:
            rows = connection.execute(sql.WORKFLOW_JOBS, {"of_workflow": id})
            return [record_of(row) for row in rows]

    def running(self, id: str) -> list[str]:
        """Return the ids of the jobs of a workflow that run."""
        with self._database.reading() as connection:
            return list(connection.execute(sql.WORKFLOW_RUNNING, {"of_workflow": id}).scalars())

    def missing(self, ids: Sequence[str]) -> list[str]:
        """Return those of some ids that no job has."""
        with self._database.reading() as connection:
            return missing_jobs(connection, ids)

    def cancel(
        self, id: str, now: float, describe: Describe, kept: Sequence[str] = ()
    ) -> Cancelled:
        """Cancel all jobs of a workflow that have not begun, but for those that are kept."""
        with self._database.writing() as connection:
            waiting = connection.execute(sql.WORKFLOW_WAITING, {"of_workflow": id}).scalars()
            ids = [one for one in waiting if one not in kept]
            rows = list(rows_of(connection, sql.CANCEL_THESE, ids, now=now))
            followed = {row.id: JobState.CANCELLED for row in rows if row.followed}
            settled = settle(connection, followed, now, describe)
            described = [row.id for row in rows if row.callback is not None]
            insert_described(connection, described, describe)
        self._note_settled(settled)
        owners = {row.owner for row in rows if row.owner is not None}
        return Cancelled([row.id for row in rows], sorted(owners), settled)

    def settle_missed(self, now: float, describe: Describe) -> None:
        """Do for some jobs what a process of an older Dewar has left out; call it now and then."""
        self._note_settled(self._missed_ends.settle(now, describe))


def missing_jobs(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Return those of some ids that no job has, as a connection sees it."""
    known = {row.id for row in rows_of(connection, sql.STATES, sorted(set(ids)))}
    return [id for id in ids if id not in known]


def _record(connection: Connection, workflow: Row[Any]) -> WorkflowRecord:
    of_workflow = {"of_workflow": workflow.id}
    rows = connection.execute(sql.WORKFLOW_COUNTS, of_workflow).all()
    counts = dict.fromkeys(JobState, 0)
    counts.update((JobState(row.state), row.number) for row in rows)
    total = sum(counts.values())
    ended = sum(count for state, count in counts.items() if state.is_final)
    running = sum(row.fractions for row in rows if row.state == JobState.RUNNING.value)
    has_ended, is_done = ended == total, counts[JobState.DONE] == total > 0
    ends = json.loads(workflow.ends)
    single = ends if isinstance(ends, str) else None
    failed, last, left = None, None, list(ids_in(ends)) if has_ended and not is_done else []
    if counts[JobState.FAILED] or counts[JobState.LOST]:
        failed = connection.execute(sql.WORKFLOW_FAILURE, of_workflow).first()
    if has_ended and single is not None:
        last = next(rows_of(connection, JOBS, [single]), None)
    finished = [row.finished for row in rows if row.finished is not None]
    return WorkflowRecord(
        id=workflow.id,
        created=workflow.created,
        ends=workflow.ends,
        counts=counts,
        fraction=(ended + running) / total if total else 1.0,
        started=min((row.started for row in rows if row.started is not None), default=None),
        finished=max(finished, default=None) if has_ended else None,
        has_result=is_done or (bool(left) and _are_done(connection, left)),
        last=None if last is None else record_of(last),
        failed=None if failed is None else record_of(failed),
    )


def _are_done(connection: Connection, ids: Sequence[str]) -> bool:
    states = [row.state for row in rows_of(connection, sql.STATES, sorted(ids))]
    return len(states) == len(ids) and set(states) == {JobState.DONE.value}


def ids_in(ends: Any) -> Iterator[str]:
    """Yield the ids in the ends of a workflow, which are one id or a list of such."""
    if isinstance(ends, str):
        yield ends
    else:
        for one in ends:
            yield from ids_in(one)
