"""`ManualTransactions`: jobs that a test submits in a transaction of its program.

The ledger of a test is in memory, so such a job is no row of the transaction. It is held here, and
accepted when the transaction is committed; after a rollback, also of its SAVEPOINT, it is dropped.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from sqlalchemy import Connection, Pool, event

from dewar.tasks.ledger.records import NewJob
from dewar.tasks.stored_job import StoredJob


@dataclass(frozen=True, eq=False, slots=True)
class _Held:
    new: NewJob
    task: Any
    nested: object


class ManualTransactions:
    """What a runtime for tests has in the place of `TransactionJobs`.

    Args:
        check: Checks what a new job of a task needs.
        accept: Accepts a job at the commit, and runs nothing.
        run: Called after the commit, when the program's connection is free again.
        future_of: Returns the Future of a job, by its id and its task.
    """

    def __init__(
        self,
        check: Callable[[NewJob, Any], object],
        accept: Callable[[NewJob, Any], object],
        run: Callable[[], object],
        future_of: Callable[[str, str], StoredJob],
    ) -> None:
        self._check = check
        self._accept = accept
        self._run = run
        self._future_of = future_of
        # Where a connection has what it holds, and the pools that say when one is given back.
        self._key = object()
        self._pools: WeakSet[Pool] = WeakSet()

    def __repr__(self) -> str:
        return "<ManualTransactions>"

    def accept(self, connection: Connection, new: NewJob, task: Any) -> StoredJob:
        """Accept a job when the transaction is committed; see `Task.submit`."""
        self._check(new, task)
        connection.exec_driver_sql("SELECT 1")  # begins a transaction, as the job's row does
        self._held_in(connection).append(_Held(new, task, connection.get_nested_transaction()))
        return self._future_of(new.id, new.task)

    def _held_in(self, connection: Connection) -> list[_Held]:
        """Return the jobs that a connection's transaction holds; watch it from the first on."""
        found: list[_Held] | None = connection.info.get(self._key)
        if found is not None:
            return found
        held: list[_Held] = []
        connection.info[self._key] = held

        def commit(_: Connection) -> None:
            # Before the database commits. The function of a job has to see what was written, so it
            # runs when the program has given its connection back.
            jobs, held[:] = list(held), []
            for job in jobs:
                self._accept(job.new, job.task)

        def roll_back(_: Connection) -> None:
            held.clear()

        def roll_back_nested(on: Connection, _name: str, _context: None) -> None:
            nested = on.get_nested_transaction()
            held[:] = [job for job in held if job.nested is not nested]

        event.listen(connection, "commit", commit)
        event.listen(connection, "rollback", roll_back)
        event.listen(connection, "rollback_savepoint", roll_back_nested)
        pool = connection.engine.pool
        if pool not in self._pools:
            self._pools.add(pool)
            event.listen(pool, "checkin", self._check_in)
        return held

    def _check_in(self, _connection: object, record: Any) -> None:
        if record.info.pop(self._key, None) is not None:
            self._run()
