"""Deletes jobs that ended long ago, a limited number at a time.

The jobs are found without a lock, because the scan may be long, and deleted in a short transaction.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from dewar.tasks.ledger.ids import time_prefix
from dewar.tasks.ledger.rows import chunks, rows_of
from dewar.tasks.ledger.statements import DROP_DELIVERIES, DROP_JOBS, ENDED_BEFORE, PURGED


def ended_before(connection: Connection, before: float, limit: int, after: str) -> list[str]:
    """Return ids of jobs that ended before a time, in order, from an id on.

    They were also made before it, so only ids that begin with an earlier time are scanned.
    """
    found = {"prefix": time_prefix(before + 0.001), "before": before, "most": limit, "after": after}
    return list(connection.execute(ENDED_BEFORE, found).scalars())


def drop_ended(connection: Connection, ids: Sequence[str], before: float) -> int:
    """Delete those jobs that ended before a time, and their callbacks; return their number."""
    ended = [row.id for row in rows_of(connection, PURGED, ids, before=before)]
    for chunk in chunks(ended):
        connection.execute(DROP_DELIVERIES, {"ids": chunk})
        connection.execute(DROP_JOBS, {"ids": chunk})
    return len(ended)
