"""Writes a batch: asks how its jobs stand, has it judged, and writes what follows."""

from collections.abc import Sequence

from sqlalchemy import Connection

from dewar.tasks.ledger.batch import Batch, Item, Row, Standing
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.records import NewJob
from dewar.tasks.ledger.rows import rows_of, standing_of
from dewar.tasks.ledger.schema import jobs
from dewar.tasks.ledger.statements import QUEUED, STANDINGS, change_of

__all__ = ["write_batch"]

_INSERT = jobs.insert()


def write_batch(database: Database, connection: Connection, items: Sequence[Item]) -> Batch:
    """Return the batch, judged and written, in the connection's transaction."""
    limited = sorted(
        {item.task for item in items if isinstance(item, NewJob) and item.max_queue is not None}
    )
    for task in limited:
        # Two that count at once would both find room.
        database.exclude(connection, f"queue {task}")
    batch = Batch(_standings(connection, items), _waiting(connection, limited))
    for item in items:
        batch.judge(item)
    if batch.inserts:
        connection.execute(_INSERT, list(batch.inserts.values()))
    _change(connection, batch)
    return batch


def _standings(connection: Connection, items: Sequence[Item]) -> dict[str, Standing]:
    new = {item.id for item in items if isinstance(item, NewJob)}
    known = {item.id for item in items} - new
    return {row.id: standing_of(row) for row in rows_of(connection, STANDINGS, sorted(known))}


def _waiting(connection: Connection, tasks: Sequence[str]) -> dict[str, int]:
    if not tasks:
        return {}
    waiting = dict.fromkeys(tasks, 0)
    for task, count in connection.execute(QUEUED, {"tasks": tasks}):
        waiting[task] = count
    return waiting


def _change(connection: Connection, batch: Batch) -> None:
    """Set the columns of the jobs that change, those together that change the same ones."""
    alike: dict[tuple[str, ...], list[Row]] = {}
    for job, columns in batch.changes.items():
        alike.setdefault(tuple(columns), []).append({"job": job, **columns})
    for names, rows in alike.items():
        connection.execute(change_of(names), rows)
