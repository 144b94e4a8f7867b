"""Writes a batch: asks how its jobs stand, has it judged, and writes what follows."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from dewar.tasks.ledger.batch import Batch, Item, Row, Standing
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.records import NewJob
from dewar.tasks.ledger.room import Room
from dewar.tasks.ledger.rows import rows_of, standing_of
from dewar.tasks.ledger.statements import INSERT, QUEUED, STANDING, STANDINGS, change_of


def write_batch(
    database: Database,
    connection: Connection,
    items: Sequence[Item],
    room: Room,
    *,
    is_again: bool = False,
) -> Batch:
    """Return the batch, judged and written, in the connection's transaction.

    Args:
        database: The connection's.
        connection: In a transaction.
        items: To be judged in this order.
        room: What may be accepted without counting.
        is_again: Whether what is new may be there already.
    """
    known = {item.id for item in items}
    if not is_again:
        known -= {item.id for item in items if isinstance(item, NewJob)}
    batch = Batch(
        _standings(database, connection, known), _waiting(database, connection, items, room)
    )
    for item in items:
        batch.judge(item)
    if batch.inserts:
        database.change(connection, INSERT, list(batch.inserts.values()))
    _change(database, connection, batch)
    return batch


def _standings(
    database: Database, connection: Connection, known: Collection[str]
) -> dict[str, Standing]:
    if not known:
        return {}
    if len(known) == 1:
        # PERF: the usual case where little happens, in half the time.
        rows = iter(database.run(connection, STANDING, [{"job": job} for job in known]))
    else:
        rows = rows_of(connection, STANDINGS, sorted(known))
    return {row.id: standing_of(row) for row in rows}


def _waiting(
    database: Database, connection: Connection, items: Sequence[Item], room: Room
) -> dict[str, int]:
    """Return how many jobs wait of each task that is near its limit."""
    limits: dict[str, list[int]] = {}
    for item in items:
        if isinstance(item, NewJob) and item.max_queue is not None:
            limits.setdefault(item.task, []).append(item.max_queue)
    waiting: dict[str, int] = {}
    for task, given in sorted(limits.items()):
        if not room.take(task, len(given)):
            # Two that count at once would both find room.
            database.exclude(connection, f"queue {task}")
            waiting[task] = database.run(connection, QUEUED, [{"task": task}]).scalar_one()
            room.note(task, waiting[task] + len(given), min(given))
    return waiting


def _change(database: Database, connection: Connection, batch: Batch) -> None:
    """Set the columns of the jobs that change, those together that change the same ones."""
    alike: dict[tuple[str, ...], list[Row]] = {}
    for job, columns in batch.changes.items():
        alike.setdefault(tuple(columns), []).append({"job": job, **columns})
    for names, rows in alike.items():
        database.change(connection, change_of(names), rows)
