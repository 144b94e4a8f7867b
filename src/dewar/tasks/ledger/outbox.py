"""Puts callbacks into the outbox, in the transaction that records what they tell."""

from collections.abc import Sequence

from sqlalchemy import Connection

from dewar.tasks.ledger.batch import Post, Row, clean
from dewar.tasks.ledger.description import Describe
from dewar.tasks.ledger.ids import new_id
from dewar.tasks.ledger.rows import record_of, rows_of
from dewar.tasks.ledger.schema import deliveries
from dewar.tasks.ledger.statements import JOBS

_INSERT = deliveries.insert()


def post(connection: Connection, posts: Sequence[Post], describe: Describe) -> None:
    """Post what has a body as it is, and have described what has none."""
    _insert(connection, [_row(entry, entry.body) for entry in posts if entry.body is not None])
    announce(connection, [entry.job_id for entry in posts if entry.body is None], describe)


def announce(connection: Connection, ids: Sequence[str], describe: Describe) -> None:
    """Have the end of some jobs described, and posted where they have a callback."""
    rows: list[Row] = []
    for row in rows_of(connection, JOBS, ids):
        record = record_of(row)
        if record.callback is not None:
            at = record.created if record.finished is None else record.finished
            rows.append(_row(Post(record.id, at, record.callback), describe(record)))
    _insert(connection, rows)


def _insert(connection: Connection, rows: Sequence[Row]) -> None:
    if rows:
        connection.execute(_INSERT, rows)


def _row(entry: Post, body: str) -> Row:
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
