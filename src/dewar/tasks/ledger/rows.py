"""Rows of the tables as records, and the effects of a batch as rows."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, Row, RowMapping

from dewar.tasks.ledger.batch import Batch, JobSnapshot, LedgerOperation, UniqueKey
from dewar.tasks.ledger.columns import RowValues
from dewar.tasks.ledger.database import StatementRunner
from dewar.tasks.ledger.due_column import BLOCK, due_of, shift_in
from dewar.tasks.ledger.owners import OwnerRecord
from dewar.tasks.ledger.queue_allowance import QueueAllowance
from dewar.tasks.ledger.records import JobRecord, JobState, NewJob
from dewar.tasks.ledger.statements import (
    HOLDERS,
    INSERT,
    INSERT_DEPENDENCIES,
    INSERT_PLAIN,
    QUEUED,
    SNAPSHOT,
    SNAPSHOTS,
    change_of,
)

#: The most ids in one statement; SQLite takes at least 32,766 parameters.
_MOST_IDS = 2000
_STATES = {state.value: state for state in JobState}


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
    """Return the record of a row with all columns of ``jobs``, in their order.

    PERF: a look-up by name costs a tenth of a microsecond for each column.
    """
    found: Any = row
    id, task, state, arguments, context, owner, attempts, idempotent, _, created, due, *rest = found
    started, finished, fraction, message, result, error, callback, *placed = rest
    queue, priority, limited, unique_key, _, workflow = placed
    is_blocked = due >= BLOCK
    return JobRecord(
        id=id,
        task=task,
        state=_STATES[state],
        arguments=arguments,
        context=context,
        owner=owner,
        attempts=attempts,
        idempotent=bool(idempotent),
        created=created,
        due=due_of(due - BLOCK if is_blocked else due),
        started=started,
        finished=finished,
        fraction=fraction,
        message=message,
        result=result,
        error=error,
        callback=callback,
        queue=queue,
        priority=priority,
        limited=bool(limited),
        unique_key=unique_key,
        workflow=workflow,
        is_blocked=is_blocked,
    )


def snapshot_of(row: Row[Any]) -> JobSnapshot:
    """Return the part of a row that decides which operations count."""
    found: Any = row
    _, task, state, owner, attempts, callback, flags, due = found
    return JobSnapshot(
        task,
        _STATES[state],
        owner,
        attempts,
        callback,
        bool(flags & 1),
        shift_in(due),
        bool(flags & 2),
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
    database: StatementRunner,
    connection: Connection,
    items: Sequence[LedgerOperation],
    allowance: QueueAllowance,
    *,
    is_again: bool = False,
) -> Batch:
    """Judge and write a batch in the connection's transaction; return it.

    Args:
        database: Executes the statements.
        connection: A connection in a transaction.
        items: The operations, in order.
        allowance: The jobs that may be accepted without counting.
        is_again: Whether the new jobs may already be there.
    """
    holders = _holders(connection, items)
    known = {item.id for item in items}
    if not is_again:
        # A unique job that is there already must not count as a duplicate.
        known -= {item.id for item in items if isinstance(item, NewJob) and item.unique_key is None}
    known.update(holders.values())
    awaited = {id for item in items if isinstance(item, NewJob) for id in item.after}
    if awaited:
        known |= awaited - {item.id for item in items if isinstance(item, NewJob)}
    batch = Batch(
        _snapshots(database, connection, known),
        _waiting(database, connection, items, allowance),
        holders,
    )
    for item in items:
        batch.judge(item)
    # The changes first: a job that ends makes its key free for a new one.
    _change(database, connection, batch)
    if batch.inserts:
        _insert(database, connection, list(batch.inserts.values()))
    if batch.dependencies:
        database.change(connection, INSERT_DEPENDENCIES, batch.dependencies)
    return batch


def _insert(database: StatementRunner, connection: Connection, rows: Sequence[RowValues]) -> None:
    plain = [row for row in rows if "queue" not in row]
    if plain:
        database.change(connection, INSERT_PLAIN, plain)
    if len(plain) < len(rows):
        # By their keys, so that no two writers wait for each other's.
        placed = [row for row in rows if "queue" in row]
        placed.sort(key=lambda row: (row["task"], row["unique_key"] or ""))
        database.change(connection, INSERT, placed)


def _holders(connection: Connection, items: Sequence[LedgerOperation]) -> dict[UniqueKey, str]:
    """Return the jobs that have the keys of new ones.

    They are not locked here, but with the other jobs of the batch, in order. If another process
    accepts a job with such a key meanwhile, the index refuses the second one.
    """
    unique = [item for item in items if isinstance(item, NewJob) and item.unique_key is not None]
    keys: dict[str, set[str]] = {}
    for item in unique:
        keys.setdefault(item.task, set()).add(item.unique_key or "")
    return {
        (task, row.unique_key): row.id
        for task, wanted in keys.items()
        for chunk in chunks(sorted(wanted))
        for row in connection.execute(HOLDERS, {"of_task": task, "keys": chunk})
    }


def _snapshots(
    database: StatementRunner, connection: Connection, known: Collection[str]
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
    database: StatementRunner,
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


def _change(database: StatementRunner, connection: Connection, batch: Batch) -> None:
    """Set the changed columns, together for all jobs in which the same ones change."""
    alike: dict[tuple[str, ...], list[RowValues]] = {}
    for job, columns in batch.changes.items():
        alike.setdefault(tuple(columns), []).append({"job": job, **columns})
    for names, rows in alike.items():
        database.change(connection, change_of(names), rows)
