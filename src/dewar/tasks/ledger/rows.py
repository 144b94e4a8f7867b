"""Rows of the tables as records, and the effects of a batch as rows."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, Row, RowMapping

from dewar.tasks.ledger.batch import (
    Batch,
    JobSnapshot,
    LedgerOperation,
    QueueAllowance,
    RowValues,
)
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.owners import OwnerRecord
from dewar.tasks.ledger.records import JobRecord, JobState, NewJob
from dewar.tasks.ledger.statements import INSERT, QUEUED, SNAPSHOT, SNAPSHOTS, change_of

#: The most ids in one statement; SQLite takes at least 32,766 parameters.
_MOST_IDS = 2000


def chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the ids in chunks that one statement takes."""
    for begin in range(0, len(ids), _MOST_IDS):
        yield ids[begin : begin + _MOST_IDS]


def rows_of(
    connection: Connection, statement: Executable, ids: Sequence[str], **given: object
) -> Iterator[Row[Any]]:
    """Yield the rows that a statement finds for any number of its parameter ``ids``."""
    for chunk in chunks(ids):
        yield from connection.execute(statement, {"ids": chunk, **given})


def record_of(row: Row[Any]) -> JobRecord:
    """Return the record of a row of ``jobs``."""
    return JobRecord(
        id=row.id,
        task=row.task,
        state=JobState(row.state),
        arguments=row.arguments,
        context=row.context,
        owner=row.owner,
        attempts=row.attempts,
        idempotent=bool(row.idempotent),
        created=row.created,
        due=row.due,
        started=row.started,
        finished=row.finished,
        fraction=row.fraction,
        message=row.message,
        result=row.result,
        error=row.error,
        callback=row.callback,
    )


def snapshot_of(row: Row[Any]) -> JobSnapshot:
    """Return the part of a row that decides which operations count."""
    return JobSnapshot(
        row.task,
        JobState(row.state),
        row.owner,
        row.attempts,
        row.callback,
        bool(row.stop_requested),
    )


def counts_of(row: RowMapping) -> dict[JobState, int]:
    """Return the number of jobs in each state, from the row of `COUNTS`."""
    badly = row["failed"] + row["cancelled"] + row["lost"]
    return {
        JobState.QUEUED: row["queued"],
        JobState.RUNNING: row["active"] - row["queued"],
        JobState.DONE: row["all"] - row["active"] - badly,
        JobState.FAILED: row["failed"],
        JobState.CANCELLED: row["cancelled"],
        JobState.LOST: row["lost"],
    }


def owners_of(connection: Connection, statement: Executable) -> list[OwnerRecord]:
    """Return the owners that a statement finds."""
    return [OwnerRecord(**row) for row in connection.execute(statement).mappings()]


def write_batch(
    database: Database,
    connection: Connection,
    items: Sequence[LedgerOperation],
    allowance: QueueAllowance,
    *,
    is_again: bool = False,
) -> Batch:
    """Judge and write a batch in the connection's transaction; return it.

    Args:
        database: The database of the connection.
        connection: A connection in a transaction.
        items: The operations, in order.
        allowance: The jobs that may be accepted without counting.
        is_again: Whether the new jobs may already be there.
    """
    known = {item.id for item in items}
    if not is_again:
        known -= {item.id for item in items if isinstance(item, NewJob)}
    batch = Batch(
        _snapshots(database, connection, known), _waiting(database, connection, items, allowance)
    )
    for item in items:
        batch.judge(item)
    if batch.inserts:
        database.change(connection, INSERT, list(batch.inserts.values()))
    _change(database, connection, batch)
    return batch


def _snapshots(
    database: Database, connection: Connection, known: Collection[str]
) -> dict[str, JobSnapshot]:
    if not known:
        return {}
    if len(known) == 1:
        # PERF: usual under a low load, in half the time.
        rows = iter(database.run(connection, SNAPSHOT, [{"job": job} for job in known]))
    else:
        rows = rows_of(connection, SNAPSHOTS, sorted(known))
    return {row.id: snapshot_of(row) for row in rows}


def _waiting(
    database: Database,
    connection: Connection,
    items: Sequence[LedgerOperation],
    allowance: QueueAllowance,
) -> dict[str, int]:
    """Return the number of waiting jobs of each task that is near its limit."""
    limits: dict[str, list[int]] = {}
    now = 0.0
    for item in items:
        if isinstance(item, NewJob) and item.max_queue is not None:
            limits.setdefault(item.task, []).append(item.max_queue)
            now = max(now, item.created)
    waiting: dict[str, int] = {}
    for task, given in sorted(limits.items()):
        if not allowance.take(task, len(given)):
            # Two processes that count at once would both find room.
            database.advisory_lock(connection, f"queue {task}")
            counted = database.run(connection, QUEUED, [{"task": task, "now": now}])
            waiting[task] = counted.scalar_one()
            allowance.note(task, waiting[task] + len(given), min(given))
    return waiting


def _change(database: Database, connection: Connection, batch: Batch) -> None:
    """Set the changed columns, together for all jobs in which the same ones change."""
    alike: dict[tuple[str, ...], list[RowValues]] = {}
    for job, columns in batch.changes.items():
        alike.setdefault(tuple(columns), []).append({"job": job, **columns})
    for names, rows in alike.items():
        database.change(connection, change_of(names), rows)
