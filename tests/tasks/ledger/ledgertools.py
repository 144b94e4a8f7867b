"""Jobs and owners for the tests of the ledger, at times that are made up."""

import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Row, event

from dewar.tasks.ledger.ids import new_id
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.owners import LedgerOwner, OwnerRecord
from dewar.tasks.ledger.records import AttemptStart, JobRecord, JobState, NewJob, Outcome
from dewar.tasks.ledger.rows import owners_of
from dewar.tasks.ledger.schema import deliveries
from dewar.tasks.ledger.statements import OWNERS, QUEUED, RELEASE_ALL

HERE = LedgerOwner(id="here", host="h", pid=1, started=1.0)
THERE = LedgerOwner(id="there", host="h", pid=2, started=1.0)
URL = "https://example.org/hook"


class LedgerFixtures:
    """What the contracts of ledgers have in common. A subclass says where the ledger is."""

    @pytest.fixture
    def where(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def ledger(self, where: str) -> Iterator[Ledger]:
        """A ledger that is empty but for two owners."""
        ledger = open_ledger(where)
        ledger.beat(HERE, until=100.0)
        ledger.beat(THERE, until=100.0)
        yield ledger
        ledger.close()


def new(at: float = 1.0, **given: Any) -> NewJob:
    """Return a job that was submitted at a time."""
    fields: dict[str, Any] = {"task": "resize", "arguments": "[[1],{}]", "due": at} | given
    return NewJob(id=new_id(at), created=at, **fields)


def start(
    job: NewJob | JobRecord, owner: str = HERE.id, attempt: int = 1, at: float = 2.0
) -> AttemptStart:
    return AttemptStart(id=job.id, owner=owner, attempt=attempt, at=at)


def end(
    job: NewJob | JobRecord, state: JobState = JobState.DONE, attempt: int = 1, **given: Any
) -> Outcome:
    fields: dict[str, Any] = {"owner": HERE.id, "at": 3.0} | given
    return Outcome(id=job.id, attempt=attempt, state=state, **fields)


def state_of(ledger: Ledger, job: NewJob | JobRecord) -> JobState:
    return record(ledger, job).state


def record(ledger: Ledger, job: NewJob | JobRecord) -> JobRecord:
    found = ledger.get(job.id)
    assert found is not None
    return found


def outbox(ledger: Ledger, *jobs: NewJob | JobRecord) -> list[Row[Any]]:
    """Return what is to be posted, for some jobs or all."""
    ids = {job.id for job in jobs}
    with ledger.database.reading() as connection:
        rows = connection.execute(deliveries.select().order_by(deliveries.c.id)).all()
    return [row for row in rows if not ids or row.job_id in ids]


def owners(ledger: Ledger) -> list[OwnerRecord]:
    """Return the processes that have jobs."""
    with ledger.database.reading() as connection:
        return owners_of(connection, OWNERS)


def queued(ledger: Ledger, task: str = "resize", now: float = 1e9) -> int:
    """Return how many jobs of a task wait, as the ledger counts them for a limit."""
    with ledger.database.reading() as connection:
        found: int = connection.execute(QUEUED, {"task": task, "now": now}).scalar_one()
    return found


def release_all(ledger: Ledger, owner: str) -> int:
    """Give back all that an owner has not begun, as where it leaves; return how many."""
    with ledger.database.writing() as connection:
        return connection.execute(RELEASE_ALL, {"holder": owner}).rowcount


def tell(record: JobRecord) -> str:
    """Describe an end in a way that a test knows again."""
    return json.dumps([record.id, record.state.value])


def alive(_owners: Sequence[OwnerRecord]) -> Collection[str]:
    return ()


def dead(owners: Sequence[OwnerRecord]) -> Collection[str]:
    return [owner.id for owner in owners]


def only(id: str) -> Callable[[Sequence[OwnerRecord]], Collection[str]]:
    """Find only the owner with this id gone."""
    return lambda owners: [owner.id for owner in owners if owner.id == id]


def ids(jobs: Sequence[NewJob | JobRecord]) -> list[str]:
    return [job.id for job in jobs]


def in_child(function: Callable[[], int]) -> int:
    """Call a function in a forked child, and return what it returned, or 99 where it failed."""
    child = os.fork()
    if not child:
        code = 99
        try:
            code = function()
        finally:
            # Nothing of the test runner's may run here.
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def explained(ledger: Ledger, call: Callable[[Ledger], object]) -> list[str]:
    """Return the plans of the statements of a call, as the database tells them."""
    said: list[tuple[str, Any]] = []
    engines = ledger.database.connections()

    def note(*seen: Any) -> None:
        if not seen[2].startswith(("BEGIN", "SELECT pg_advisory")):
            said.append((seen[2], seen[3]))

    for engine in {engines.reader, engines.writer}:
        event.listen(engine, "before_cursor_execute", note)
    call(ledger)
    for engine in {engines.reader, engines.writer}:
        event.remove(engine, "before_cursor_execute", note)
    with ledger.database.reading() as connection:
        kind = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
        return [
            "\n".join(str(row) for row in connection.exec_driver_sql(f"{kind} {sql}", given))
            for sql, given in said
        ]
