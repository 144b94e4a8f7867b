"""Puts callbacks into the outbox, in the transaction that records what they tell."""

from collections.abc import Sequence

from sqlalchemy import Connection

from dewar.tasks.ledger.batch import OutboxEntry, RowValues, clean
from dewar.tasks.ledger.callback_body import Describe
from dewar.tasks.ledger.ids import new_id
from dewar.tasks.ledger.rows import record_of, rows_of
from dewar.tasks.ledger.schema import deliveries
from dewar.tasks.ledger.statements import JOBS

_INSERT = deliveries.insert()


def insert_entries(
    connection: Connection, entries: Sequence[OutboxEntry], describe: Describe
) -> None:
    """Post what has a body as it is, and have described what has none."""
    _insert(connection, [_row(entry, entry.body) for entry in entries if entry.body is not None])
    insert_described(
        connection, [entry.job_id for entry in entries if entry.body is None], describe
    )


def insert_described(connection: Connection, ids: Sequence[str], describe: Describe) -> None:
    """Have the end of some jobs described, and posted where they have a callback."""
    rows: list[RowValues] = []
    for row in rows_of(connection, JOBS, ids):
        record = record_of(row)
        if record.callback is not None:
            at = record.created if record.finished is None else record.finished
            rows.append(_row(OutboxEntry(record.id, at, record.callback), describe(record)))
    _insert(connection, rows)


def _insert(connection: Connection, rows: Sequence[RowValues]) -> None:
    if rows:
        connection.execute(_INSERT, rows)


def _row(entry: OutboxEntry, body: str) -> RowValues:
    return {
        "id": f"msg_{new_id(entry.at)}",
        "job_id": entry.job_id,
        "url": entry.url,
        "body": clean(body),
        "created": entry.at,
        "due": entry.at,
        "attempts": 0,
        "state": "pending",
        "owner": None,
        "lease_until": None,
        "last_status": None,
        "last_error": None,
    }
