"""Takes over the jobs and callbacks of dead processes."""

import json
from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from sqlalchemy import Connection, RowMapping

from dewar.tasks.ledger.batch import RowValues, ended_at, waiting_again
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.interruption import lost_error, state_after
from dewar.tasks.ledger.outbox_insert import Describe, insert_described
from dewar.tasks.ledger.owners import OwnerRecord
from dewar.tasks.ledger.records import JobState, RecoveryResult
from dewar.tasks.ledger.rows import owners_of
from dewar.tasks.ledger.statements import (
    BRING_FORWARD,
    FORGET_OWNER,
    HELD,
    ORPHANS,
    OWNERS,
    RELEASE_ALL,
    UNSENT,
    change_of,
)
from dewar.tasks.serialization.failures import describe_error

#: Returns the ids of those owners that are gone; see `dewar.tasks.ledger.owner_watch`.
FindGone: TypeAlias = Callable[[Sequence[OwnerRecord]], Collection[str]]


def recover_jobs(
    connection: Connection, now: float, find_gone: FindGone, describe: Describe
) -> RecoveryResult:
    """Recover in the connection's transaction; no other may recover at the same time."""
    found: dict[JobState, list[str]] = {state: [] for state in JobState}
    for holder in find_gone(_owners(connection)):
        for job in connection.execute(HELD, {"holder": holder}).mappings().all():
            state = state_after(
                may_repeat=bool(job["idempotent"]), is_stopped=bool(job["stop_requested"])
            )
            _change(connection, job["id"], _columns(job, state, now))
            found[state].append(job["id"])
        # Jobs that have not begun only lose their owner.
        connection.execute(RELEASE_ALL, {"holder": holder})
        connection.execute(UNSENT, {"holder": holder, "now": now})
        connection.execute(FORGET_OWNER, {"holder": holder})
    insert_described(connection, [*found[JobState.LOST], *found[JobState.CANCELLED]], describe)
    return RecoveryResult(
        requeued=tuple(found[JobState.QUEUED]),
        lost=tuple(found[JobState.LOST]),
        cancelled=tuple(found[JobState.CANCELLED]),
    )


def bring_forward(database: Database, now: float) -> int:
    """Make jobs due that were to run at once and are not due by this clock; return their number.

    PERF: it reads all jobs for later, so call it only after the clock was set back.
    """
    with database.writing() as connection:
        database.advisory_lock(connection, "recover")
        return connection.execute(BRING_FORWARD, {"now": now}).rowcount


def _owners(connection: Connection) -> Sequence[OwnerRecord]:
    """Return all owners, also those of jobs that the ledger does not know.

    Such an owner may be alive: it was taken for dead, and has claimed jobs before its next beat.
    """
    known = owners_of(connection, OWNERS.with_for_update())
    unknown = connection.execute(ORPHANS).scalars()
    return [
        *known,
        *(OwnerRecord(id=id, host="", pid=0, started=0.0, lease_until=0.0) for id in unknown),
    ]


def _columns(job: RowMapping, state: JobState, now: float) -> RowValues:
    if state is JobState.QUEUED:
        return waiting_again(job["due"])
    error = None
    if state is JobState.LOST:
        error = json.dumps(describe_error(lost_error(job["task"], job["id"])))
    return {**ended_at(now, state), "result": None, "error": error}


def _change(connection: Connection, id: str, columns: RowValues) -> None:
    connection.execute(change_of(tuple(columns)), {"job": id, **columns})
