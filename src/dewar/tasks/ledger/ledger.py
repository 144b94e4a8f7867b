"""`Ledger`: what is known of every accepted job, on disk before anybody is told that it is.

Rules for the file:

- The ledger reads no clock: every time is the caller's, in seconds since the epoch.
- Each method is one transaction (`purge` and reading many in pieces are one for each piece), so a
  process may die anywhere. What it returns has happened.
- No lock of ours is held while the database works, so any thread may call any method at any time.
"""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy.exc import IntegrityError

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.batch import Batch, LedgerOperation, row_of
from dewar.tasks.ledger.callback_body import Describe, describe_record
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.ids import time_prefix
from dewar.tasks.ledger.outbox_insert import insert_described, insert_entries
from dewar.tasks.ledger.owners import LedgerOwner, OwnerRecord
from dewar.tasks.ledger.queue_allowance import QueueAllowance
from dewar.tasks.ledger.records import BatchResult, JobRecord, JobState, NewJob, RecoveryResult
from dewar.tasks.ledger.recovery import IsAlive, recover_jobs
from dewar.tasks.ledger.rows import chunks, record_of, rows_of
from dewar.tasks.ledger.schema import owners
from dewar.tasks.ledger.statements import (
    CANCEL,
    CLAIM,
    COUNTS,
    DROP_DELIVERIES,
    DROP_JOBS,
    GONE,
    INSERT,
    JOB,
    JOBS,
    NEXT_DUE,
    PURGED,
    RELEASE,
    RELEASE_ALL,
    RENEW,
    RETRY,
    STOP,
    STOPS,
    page,
)
from dewar.tasks.ledger.write_batch import write_batch


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerStatistics:
    """What this process did with a ledger. What two threads count at once may count as one."""

    where: str
    #: Batches written, and the items in them.
    batches: int
    items: int
    refused: int
    fenced: int
    #: Jobs claimed here, and jobs taken from processes that were gone.
    claimed: int
    recovered: int


_ALL_APPLIED = BatchResult(refused=(), fenced=())


class Ledger:
    """A ledger that is open; `dewar.tasks.ledger.opening.open_ledger` makes one.

    It may be used by any thread, and after a fork by the child as by the parent. Every method but
    `close` raises `LedgerError` where the database fails; nothing was changed then.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._allowance = QueueAllowance()
        self._batches = self._items = self._refused = self._fenced = 0
        self._claimed = self._recovered = 0

    def write(
        self, batch: Sequence[LedgerOperation], describe: Describe = describe_record
    ) -> BatchResult:
        """Write a mixed batch in one transaction, in order, and return what did not count.

        PERF: one batch of fifty costs little more than one of one: gather what you can.

        What failed may be written again: a job that is there already is not accepted twice.

        Args:
            batch: What happened.
            describe: Makes the callback's body for an outcome that brings none.
        """
        if not batch:
            return _ALL_APPLIED
        try:
            if self._try_write_alone(batch):
                return _ALL_APPLIED
            judged = self._write(batch, describe)
        except LedgerError as error:
            if not isinstance(error.__cause__, IntegrityError | sqlite3.IntegrityError):
                raise
            # A job is there already: its first writing was not seen to succeed, and did.
            judged = self._write(batch, describe, is_again=True)
        self._batches += 1
        self._items += len(batch)
        self._refused += len(judged.refused)
        self._fenced += len(judged.fenced)
        return BatchResult(refused=tuple(judged.refused), fenced=tuple(judged.fenced))

    def _try_write_alone(self, batch: Sequence[LedgerOperation]) -> bool:
        """Write a lone new job of which nothing is to be judged; return whether it was one.

        PERF: it is what a thread that submits writes most, in half the time: one statement is a
        transaction by itself.
        """
        new = batch[0]
        if len(batch) > 1 or not isinstance(new, NewJob):
            return False
        if new.max_queue is not None and not self._allowance.take(new.task, 1):
            return False
        self.database.write_one(INSERT, row_of(new))
        self._batches += 1
        self._items += 1
        return True

    def _write(
        self, items: Sequence[LedgerOperation], describe: Describe, *, is_again: bool = False
    ) -> Batch:
        with self.database.writing() as connection:
            judged = write_batch(
                self.database, connection, items, self._allowance, is_again=is_again
            )
            insert_entries(connection, judged.outbox, describe)
        return judged

    def claim(self, owner: str, limit: int, now: float, tasks: Collection[str]) -> list[JobRecord]:
        """Take jobs that are due and nobody's, the oldest due first, and return them.

        Args:
            owner: The id of who shall run them.
            limit: At most so many.
            now: Seconds since the epoch.
            tasks: The names of those that this owner knows; jobs of others are left alone.
        """
        due = self.next_due(tasks)
        if due is None or due > now:
            # Without a lock, for the many that look in vain.
            return []
        wanted = {"holder": owner, "most": limit, "now": now, "tasks": list(tasks)}
        with self.database.writing() as connection:
            rows = connection.execute(CLAIM, wanted).all()
        self._claimed += len(rows)
        return sorted((record_of(row) for row in rows), key=lambda job: (job.due, job.id))

    def release(self, owner: str, ids: Sequence[str]) -> int:
        """Give back jobs that this owner has not begun; return how many it had."""
        with self.database.writing() as connection:
            return sum(
                connection.execute(RELEASE, {"holder": owner, "ids": chunk}).rowcount
                for chunk in chunks(sorted(ids))
            )

    def get(self, id: str) -> JobRecord | None:
        """Return a job, or None where the ledger has none with this id."""
        with self.database.reading() as connection:
            row = self.database.run(connection, JOB, [{"job": id}]).one_or_none()
        return None if row is None else record_of(row)

    def get_many(self, ids: Sequence[str]) -> dict[str, JobRecord]:
        """Return those jobs, by id, that the ledger has."""
        with self.database.reading() as connection:
            return {row.id: record_of(row) for row in rows_of(connection, JOBS, ids)}

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state, all at one moment.

        To count those that are done walks through the ids of all jobs: some 50 ms for a million.
        """
        with self.database.reading() as connection:
            found = connection.execute(COUNTS).one()
        badly = found.failed + found.cancelled + found.lost
        return {
            JobState.QUEUED: found.queued,
            JobState.RUNNING: found.active - found.queued,
            JobState.DONE: found.all - found.active - badly,
            JobState.FAILED: found.failed,
            JobState.CANCELLED: found.cancelled,
            JobState.LOST: found.lost,
        }

    def next_due(self, tasks: Collection[str]) -> float | None:
        """Return when the first job that waits and is nobody's is due; None where there is none.

        Args:
            tasks: Only jobs of those, by their names.
        """
        with self.database.reading() as connection:
            due: float | None = connection.execute(NEXT_DUE, {"tasks": list(tasks)}).scalar_one()
        return due

    def cancel(self, id: str, now: float, describe: Describe = describe_record) -> bool:
        """Cancel a job that waits; return whether it did.

        Args:
            id: Of the job.
            now: Seconds since the epoch.
            describe: Makes the body of its callback.
        """
        with self.database.writing() as connection:
            did = connection.execute(CANCEL, {"job": id, "now": now}).rowcount == 1
            insert_described(connection, [id] if did else [], describe)
        return did

    def cancel_running(self, id: str) -> bool:
        """Mark a job that runs as one to be stopped, and return whether it runs.

        Its owner finds it by `stop_requests`. It won't run again, whatever its owner does.
        """
        with self.database.writing() as connection:
            return connection.execute(STOP, {"job": id}).rowcount == 1

    def stop_requests(self, owner: str) -> list[str]:
        """Return the ids of the jobs that this owner runs and shall stop."""
        with self.database.reading() as connection:
            return list(connection.execute(STOPS, {"holder": owner}).scalars())

    def retry(self, id: str, now: float) -> bool:
        """Have a job run again that failed, was cancelled or is lost; return whether it was so.

        It keeps count of its attempts, so what a process still says of an earlier one is fenced.
        """
        with self.database.writing() as connection:
            return connection.execute(RETRY, {"job": id, "now": now}).rowcount == 1

    def purge(self, before: float, limit: int = 1000) -> int:
        """Forget jobs that ended before a time, and return how many; call again until it is 0.

        A job whose callback is still to be made is kept.

        Args:
            before: Seconds since the epoch.
            limit: At most so many, which is how long writers may have to wait.
        """
        prefix = time_prefix(before + 0.001)
        with self.database.writing() as connection:
            found = {"prefix": prefix, "before": before, "most": limit}
            ids = connection.execute(PURGED, found).scalars().all()
            for chunk in chunks(ids):
                connection.execute(DROP_DELIVERIES, {"ids": chunk})
                connection.execute(DROP_JOBS, {"ids": chunk})
        return len(ids)

    def beat(self, owner: LedgerOwner, until: float) -> bool:
        """Renew an owner's lease; return whether it was known.

        Call it once before the owner has its first job. False later on says that the owner was
        taken for gone, and its jobs were given away: what it still says of them won't count.

        Args:
            owner: This process.
            until: When the lease runs out, in seconds since the epoch.
        """
        with self.database.writing() as connection:
            if connection.execute(RENEW, {"holder": owner.id, "until": until}).rowcount:
                return True
            row = OwnerRecord(
                id=owner.id,
                host=owner.host,
                pid=owner.pid,
                started=owner.started,
                lease_until=until,
            )
            connection.execute(owners.insert(), asdict(row))
        return False

    def leave(self, owner: str) -> None:
        """End an owner in good order: give back what it has not begun, and forget it.

        What it still runs is up to the next `recover`.
        """
        with self.database.writing() as connection:
            connection.execute(RELEASE_ALL, {"holder": owner})
            connection.execute(GONE, {"holder": owner})

    def recover(
        self, now: float, is_alive: IsAlive, describe: Describe = describe_record
    ) -> RecoveryResult:
        """Take the jobs of owners whose lease ran out, or whose process is known to be gone.

        What they ran waits again, or is lost where it may not be repeated; what they had not begun
        is nobody's. Of several processes that recover at once, one does.

        Args:
            now: Seconds since the epoch.
            is_alive: Tells whether an owner's process may still be there; it is asked inside the
                transaction, and must not call the ledger.
            describe: Makes the body of the callback of a job that is lost.
        """
        with self.database.writing() as connection:
            self.database.advisory_lock(connection, "recover")
            recovered = recover_jobs(connection, now, is_alive, describe)
        self._recovered += len(recovered.requeued) + len(recovered.lost)
        return recovered

    def changes(self) -> int:
        """Return a number that is another one where something was committed since, by anyone.

        It means nothing but that, and costs less than a query: who polls asks it first. The same
        process may find it changed where nothing was.
        """
        return self.database.changes()

    def list(
        self,
        state: JobState | None = None,
        task: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[JobRecord]:
        """Return jobs, the newest first.

        To ask for a task that few jobs are of looks through all of them.

        Args:
            state: Only those in it.
            task: Only those of it, by its name.
            limit: At most so many.
            before: The id of the last of the page before; None for the first page.
        """
        with self.database.reading() as connection:
            rows = connection.execute(page(state, task, before), {"most": limit})
            return [record_of(row) for row in rows]

    def statistics(self) -> LedgerStatistics:
        """Return what this process did."""
        return LedgerStatistics(
            where=self.database.name,
            batches=self._batches,
            items=self._items,
            refused=self._refused,
            fenced=self._fenced,
            claimed=self._claimed,
            recovered=self._recovered,
        )

    def close(self) -> None:
        """Close the connections of this process that are idle; a later call opens one anew."""
        self.database.close()

    def __repr__(self) -> str:
        return f"<Ledger {self.database.name}, {self._items} items in {self._batches} batches>"
