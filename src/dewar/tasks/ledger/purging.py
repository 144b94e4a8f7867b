"""Deletes jobs that ended long ago, a limited number at a time.

The jobs are found without a lock, because the scan may be long, and deleted in a short transaction.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from dewar.tasks.ledger.ids import time_prefix
from dewar.tasks.ledger.rows import chunks, rows_of
from dewar.tasks.ledger.statements import (
    DROP_DELIVERIES,
    DROP_DEPENDENCIES,
    DROP_JOBS,
    DROP_WORKFLOWS,
    ENDED_BEFORE,
    PURGED,
)


def ended_before(connection: Connection, before: float, limit: int, after: str) -> list[str]:
    """Return ids of jobs that ended before a time, in order, from an id on.

    They were also made before it, so only ids that begin with an earlier time are scanned.
    """
    found = {"prefix": time_prefix(before + 0.001), "before": before, "most": limit, "after": after}
    return list(connection.execute(ENDED_BEFORE, found).scalars())


def drop_ended(connection: Connection, ids: Sequence[str], before: float) -> int:
    """Delete those jobs that ended before a time, and their callbacks; return their number."""
    rows = list(rows_of(connection, PURGED, ids, before=before))
    for chunk in chunks([row.id for row in rows]):
        for statement in (DROP_DELIVERIES, *DROP_DEPENDENCIES, DROP_JOBS):
            connection.execute(statement, {"ids": chunk})
    for chunk in chunks(sorted({row.workflow for row in rows if row.workflow is not None})):
        connection.execute(DROP_WORKFLOWS, {"ids": chunk})
    return len(rows)
