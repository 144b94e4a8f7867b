"""`move_ledger`: copies a ledger into another database, completely or not at all.

1. In the transaction that finds no process at work in the old ledger, both are marked with the
   number of the move, the new one first. No process opens them, so the old one does not change.
2. All tables are copied, some thousand rows in a transaction.
3. If both have as many rows, the mark of the new ledger is removed. It can be used.

After an error before step 3 the mark of the old ledger is removed, so it can be used as before. If
the process is killed, both keep their marks: the next move finds the same number in both, and goes
on. If the new one has another number, the move to it was given up, and it is emptied first. If an
old one that is marked is to go to a third, that is refused: its jobs may be in the second.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, func, select, text, tuple_
from sqlalchemy.dialects import sqlite

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.marks import COMPLETE, INCOMING, MOVED, mark_moved, marks_of, set_mark
from dewar.tasks.ledger.opening import open_database
from dewar.tasks.ledger.owners import Life, OwnerRecord, life_of
from dewar.tasks.ledger.rows import owners_of
from dewar.tasks.ledger.schema import jobs, meta, metadata, owners
from dewar.tasks.ledger.statements import OWNERS

#: How many rows are read and written at a time: at first, at most, and in characters.
_FIRST_CHUNK, _CHUNK, _CHARACTERS = 10, 5000, 8_000_000
#: Owners are processes, and none is at work. Who opens the new ledger recovers what they had.
_TABLES = [table for table in metadata.sorted_tables if table not in (meta, owners)]

#: Called with the name of a table, and how many of its rows are copied.
Note = Callable[[str, int], object]


def move_ledger(
    where: str,
    to: str,
    *,
    schema: str | None = None,
    to_schema: str | None = None,
    force: bool = False,
    note: Note | None = None,
) -> dict[str, int]:
    """Copy all of a ledger to another database; return the number of rows of each table.

    Args:
        where: The ledger, as for `open_ledger`.
        to: Where it is to be. Tables are created there; a ledger with jobs is refused.
        schema: The schema of the ledger.
        to_schema: The schema that it is to have there.
        force: Whether to move it although processes seem to be at work, or it was moved before.
        note: Told of the progress.

    Raises:
        TaskSetupError: If processes are at work, the new ledger has jobs, the old one was moved to
            another, or one cannot be opened.
        LedgerError: If a database fails. The old ledger can be used as before.
    """
    source = open_database(where, schema=schema, is_moving=True)
    target = open_database(to, schema=to_schema, is_moving=True)
    if source.name == target.name:
        raise TaskSetupError(f"The ledger is in {source.name} already. Give another database.")
    try:
        number, is_complete = _begin(source, target, force=force)
        counts = {table.name: _count(table, source) for table in _TABLES}
        if not is_complete:
            _copy_all(source, target, counts, number, note)
            _finish(target, number)
    finally:
        source.close()
        target.close()
    return counts


def _begin(source: Database, target: Database, *, force: bool) -> tuple[int, bool]:
    """Keep all processes out; return the number of the move, and whether it is complete already."""
    with source.writing() as connection:
        source.advisory_lock(connection, "move")
        moved = marks_of(connection).get(MOVED)
        busy = [owner for owner in owners_of(connection, OWNERS) if _is_at_work(owner)]
        if moved is None and busy and not force:
            names = ", ".join(f"{owner.pid} on {owner.host.split()[0]}" for owner in busy)
            raise TaskSetupError(
                f"Processes use the ledger {source.name}: {names}. Stop them first; one that was"
                " killed on another host counts until its lease has run out. If you know that none"
                " is left: --force."
            )
        number = moved or time.time_ns()
        is_again = moved is not None and not force
        is_complete = _mark_target(target, number, source.name if is_again else None)
        mark_moved(connection, number)
    return number, is_complete


def _copy_all(
    source: Database, target: Database, counts: Mapping[str, int], number: int, note: Note | None
) -> None:
    """Copy all rows, and check them. After an error the old ledger can be used as before."""
    try:
        for table in _TABLES:
            _copy(table, source, target, note)
        _check(source, target, counts, number)
    except BaseException:
        # Not if the process is killed: then the next move goes on.
        with source.writing() as connection:
            if marks_of(connection).get(MOVED) == number:
                mark_moved(connection, None)
        raise


def _is_at_work(owner: OwnerRecord) -> bool:
    life = life_of(owner)
    return life is Life.ALIVE or (life is Life.UNKNOWN and owner.lease_until > time.time())


def _mark_target(target: Database, number: int, moved: str | None) -> bool:
    """Keep all processes out of the new ledger; return whether it is complete already.

    If a move of older rows began, it is emptied.

    Args:
        target: The new ledger.
        number: The number of the move.
        moved: The name of the old one, if its move has begun before: then it began here.
    """
    with target.writing() as connection:
        target.advisory_lock(connection, "move")
        marks = marks_of(connection)
        if marks.get(COMPLETE) == number:
            return True
        incoming = marks.get(INCOMING)
        if moved is not None and incoming != number:
            raise TaskSetupError(
                f"The ledger {moved} was moved to another database, or such a move was"
                " interrupted. A second copy would run its jobs twice: repeat the move with that"
                " database. If you know that it is lost: --force."
            )
        first = connection.execute(select(jobs.c.id).limit(1)).first()
        if MOVED in marks or (incoming is None and first is not None):
            raise TaskSetupError(
                f"The ledger {target.name} has jobs of its own. Move to a database without, or to"
                " another schema of it: --schema NAME."
            )
        if incoming is not None and incoming != number:
            for table in reversed(_TABLES):
                connection.execute(table.delete())
        set_mark(connection, INCOMING, number)
    return False


def _copy(table: Table, source: Database, target: Database, note: Note | None) -> None:
    """Copy the rows of a table that are not there yet, in the order of their keys."""
    key = list(table.primary_key.columns)
    query = select(table).order_by(*key)
    limit, done = _FIRST_CHUNK, 0
    while True:
        with source.reading() as connection:
            rows = [dict(row) for row in connection.execute(query.limit(limit)).mappings()]
        if not rows:
            return
        with target.writing() as connection:
            _insert(connection, table, rows)
        done += len(rows)
        if note is not None:
            note(table.name, done)
        last = [rows[-1][column.name] for column in key]
        query = select(table).order_by(*key).where(tuple_(*key) > tuple_(*last))
        limit = max(1, min(_CHUNK, 2 * limit, len(rows) * _CHARACTERS // _size(rows)))


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows that are not there.

    PERF: in PostgreSQL, all by one statement take a fifth of the time of one statement for each.
    """
    if connection.dialect.name == "sqlite":
        connection.execute(sqlite.insert(table).on_conflict_do_nothing(), rows)
        return
    statement = text(  # the names are those of `dewar.tasks.ledger.schema`
        f"INSERT INTO {table.name} SELECT * FROM json_populate_recordset("  # noqa: S608
        f"CAST(NULL AS {table.name}), CAST(:rows AS json)) ON CONFLICT DO NOTHING"
    )
    connection.execute(statement, {"rows": json.dumps(rows)})


def _size(rows: Sequence[Mapping[str, Any]]) -> int:
    """Return the number of characters of rows, or more."""
    texts = (value for row in rows for value in row.values() if isinstance(value, str))
    return 1 + sum(map(len, texts))


def _count(table: Table, database: Database) -> int:
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _check(source: Database, target: Database, counts: Mapping[str, int], number: int) -> None:
    """Check that all was copied, and that the move still holds."""
    for table in _TABLES:
        found = _count(table, target)
        if found != counts[table.name]:
            raise TaskSetupError(
                f"{target.name} has {found} rows in {table.name}, and not {counts[table.name]}:"
                " somebody else writes there. Move to a database that nobody uses."
            )
    with source.reading() as connection:
        if marks_of(connection).get(MOVED) != number:
            raise TaskSetupError(
                f"Another move of {source.name} has failed, so the ledger may be in use again. Move"
                " it again."
            )


def _finish(target: Database, number: int) -> None:
    """Let processes use the new ledger.

    After an error nobody knows whether they can, so the old one stays closed. A repeated move
    finds out.
    """
    with target.writing() as connection:
        target.advisory_lock(connection, "move")
        set_mark(connection, INCOMING, None)
        set_mark(connection, COMPLETE, number)
