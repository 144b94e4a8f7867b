"""Puts callbacks into the outbox, in the transaction that ends their jobs."""

import json
from collections.abc import Callable, Sequence
from typing import TypeAlias

from sqlalchemy import Connection

from dewar.tasks.ledger.batch import OutboxEntry
from dewar.tasks.ledger.columns import RowValues, clean
from dewar.tasks.ledger.ids import new_id
from dewar.tasks.ledger.records import JobRecord
from dewar.tasks.ledger.rows import record_of, rows_of
from dewar.tasks.ledger.schema import deliveries
from dewar.tasks.ledger.statements import JOBS

_INSERT = deliveries.insert()

#: Makes the body of the callback of an ended job. It must not call the ledger.
Describe: TypeAlias = Callable[[JobRecord], str]


def insert_entries(
    connection: Connection, entries: Sequence[OutboxEntry], describe: Describe
) -> None:
    """Insert callbacks; make the bodies of those that have none."""
    _insert(connection, [_row(entry, entry.body) for entry in entries if entry.body is not None])
    insert_described(
        connection, [entry.job_id for entry in entries if entry.body is None], describe
    )


def insert_described(connection: Connection, ids: Sequence[str], describe: Describe) -> None:
    """Insert the callbacks of ended jobs, for jobs that have one."""
    rows: list[RowValues] = []
    for row in rows_of(connection, JOBS, ids):
        record = record_of(row)
        if record.callback is not None:
            at = record.created if record.finished is None else record.finished
            rows.append(_row(OutboxEntry(record.id, at, record.callback), describe(record)))
    _insert(connection, rows)


def describe_record(record: JobRecord) -> str:
    """Return the body: the id, task and state of the job, and its error if it has one.

    The traceback is left out, because receivers must not see it.
    """
    body: dict[str, object] = {"id": record.id, "task": record.task, "state": record.state.value}
    if record.error is not None:
        error = json.loads(record.error)
        body["error"] = {"type": error["type"], "message": error["text"]}
    return json.dumps(body)


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
