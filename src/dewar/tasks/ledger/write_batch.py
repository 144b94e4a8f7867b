"""Writes a batch: asks how its jobs stand, has it judged, and writes what follows."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from dewar.tasks.ledger.batch import Batch, JobSnapshot, LedgerOperation, RowValues
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.queue_allowance import QueueAllowance
from dewar.tasks.ledger.records import NewJob
from dewar.tasks.ledger.rows import rows_of, snapshot_of
from dewar.tasks.ledger.statements import INSERT, QUEUED, SNAPSHOT, SNAPSHOTS, change_of


def write_batch(
    database: Database,
    connection: Connection,
    items: Sequence[LedgerOperation],
    allowance: QueueAllowance,
    *,
    is_again: bool = False,
) -> Batch:
    """Return the batch, judged and written, in the connection's transaction.

    Args:
        database: The connection's.
        connection: In a transaction.
        items: To be judged in this order.
        allowance: What may be accepted without counting.
        is_again: Whether what is new may be there already.
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
        # PERF: the usual case where little happens, in half the time.
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
    """Return how many jobs wait of each task that is near its limit."""
    limits: dict[str, list[int]] = {}
    for item in items:
        if isinstance(item, NewJob) and item.max_queue is not None:
            limits.setdefault(item.task, []).append(item.max_queue)
    waiting: dict[str, int] = {}
    for task, given in sorted(limits.items()):
        if not allowance.take(task, len(given)):
            # Two that count at once would both find room.
            database.advisory_lock(connection, f"queue {task}")
            waiting[task] = database.run(connection, QUEUED, [{"task": task}]).scalar_one()
            allowance.note(task, waiting[task] + len(given), min(given))
    return waiting


def _change(database: Database, connection: Connection, batch: Batch) -> None:
    """Set the columns of the jobs that change, those together that change the same ones."""
    alike: dict[tuple[str, ...], list[RowValues]] = {}
    for job, columns in batch.changes.items():
        alike.setdefault(tuple(columns), []).append({"job": job, **columns})
    for names, rows in alike.items():
        database.change(connection, change_of(names), rows)
