"""Rows, and what they are as records."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, Row

from dewar.tasks.ledger.batch import JobSnapshot
from dewar.tasks.ledger.owners import OwnerRecord
from dewar.tasks.ledger.records import JobRecord, JobState

#: How many ids are asked for at once; SQLite takes at least 32,766 parameters.
_MOST_IDS = 2000


def chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Return the ids in pieces that one statement takes."""
    for begin in range(0, len(ids), _MOST_IDS):
        yield ids[begin : begin + _MOST_IDS]


def rows_of(
    connection: Connection, statement: Executable, ids: Sequence[str]
) -> Iterator[Row[Any]]:
    """Return what a statement finds for its parameter ``ids``, of any number."""
    for chunk in chunks(ids):
        yield from connection.execute(statement, {"ids": chunk})


def record_of(row: Row[Any]) -> JobRecord:
    """Return what a row of ``jobs`` holds."""
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
    """Return what of it decides which items count."""
    return JobSnapshot(
        row.task,
        JobState(row.state),
        row.owner,
        row.attempts,
        row.callback,
        bool(row.stop_requested),
    )


def owners_of(connection: Connection, statement: Executable) -> list[OwnerRecord]:
    """Return the owners that a statement finds."""
    return [OwnerRecord(**row) for row in connection.execute(statement).mappings()]
