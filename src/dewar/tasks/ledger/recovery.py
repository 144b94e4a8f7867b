"""Takes over the jobs and callbacks of dead processes."""

import json
from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from sqlalchemy import Connection, RowMapping

from dewar.tasks.ledger.claim_statements import BRING_ARRIVALS_FORWARD, OTHER_TASKS
from dewar.tasks.ledger.columns import RowValues, ended_at, waiting_again
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.dependencies import settle
from dewar.tasks.ledger.due_column import SHIFTS
from dewar.tasks.ledger.interruption import (
    Interruptions,
    death_error,
    lost_error,
    maybe_begun_error,
    state_after,
)
from dewar.tasks.ledger.outbox_insert import Describe, insert_described
from dewar.tasks.ledger.owners import OwnerRecord
from dewar.tasks.ledger.records import JobState, RecoveryResult
from dewar.tasks.ledger.rows import owners_of
from dewar.tasks.ledger.statements import (
    BRING_FORWARD,
    FORGET_OWNER,
    HELD,
    LEAST_STEP,
    ORPHANS,
    OWNERS,
    RELEASE_DEAD,
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
    ended: dict[str, JobState] = {}
    for holder in find_gone(_owners(connection)):
        for job in connection.execute(HELD, {"holder": holder}).mappings().all():
            before = Interruptions.of(job["error"]).after_death()
            state = state_after(
                may_repeat=bool(job["idempotent"]),
                is_stopped=bool(job["stop_requested"]),
                deaths=before.deaths,
            )
            _change(connection, job["id"], _columns(job, state, now, before))
            found[state].append(job["id"])
            if job["followed"] and state.is_final:
                ended[job["id"]] = state
        # Jobs that have not begun only lose their owner.
        connection.execute(RELEASE_DEAD, {"holder": holder, "died": maybe_begun_error()})
        connection.execute(UNSENT, {"holder": holder, "now": now})
        connection.execute(FORGET_OWNER, {"holder": holder})
    settled = settle(connection, ended, now, describe)
    insert_described(connection, [*found[JobState.LOST], *found[JobState.CANCELLED]], describe)
    return RecoveryResult(
        requeued=tuple(found[JobState.QUEUED]),
        lost=tuple(found[JobState.LOST]),
        cancelled=tuple(found[JobState.CANCELLED]),
        settled=settled,
    )


def bring_forward(database: Database, clock: Callable[[], float]) -> int:
    """Make jobs due that were to run at once and are not due by a clock; return their number.

    PERF: it reads all jobs for later, so call it only after the clock was set back.
    """
    with database.writing() as connection:
        database.advisory_lock(connection, "recover")
        # After the wait for the lock: by an older time, what was accepted meanwhile is not due.
        now = clock()
        connection.execute(BRING_ARRIVALS_FORWARD, {"now": now})
        return sum(
            connection.execute(
                BRING_FORWARD,
                {
                    "of_task": task,
                    "first": now + shift,
                    "late": now + shift + LEAST_STEP,
                    "end": end,
                    "shift": shift,
                },
            ).rowcount
            for task in connection.execute(OTHER_TASKS, {"tasks": []}).scalars().all()
            for shift, end in SHIFTS
        )


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


def _columns(job: RowMapping, state: JobState, now: float, before: Interruptions) -> RowValues:
    if state is JobState.QUEUED:
        return {**waiting_again(job["due"]), "error": death_error(job["task"], before)}
    error = None
    if state is JobState.LOST:
        deaths = before.deaths if job["idempotent"] else 0
        error = json.dumps(describe_error(lost_error(job["task"], job["id"], deaths)))
    return {**ended_at(now, state), "result": None, "error": error}


def _change(connection: Connection, id: str, columns: RowValues) -> None:
    connection.execute(change_of(tuple(columns)), {"job": id, **columns})
