"""`Ledger`: the record of every accepted job, on disk before its submitter goes on.

Rules for the file:

- The ledger reads no clock: the caller gives each time, in seconds since the epoch.
- Each method is one transaction (`purge` and reading many are one per chunk), so a process may die
  at any point. Everything that a method returns is committed.
- No lock is held here while the database works, so any thread may call any method at any time.
"""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import asdict

from sqlalchemy.exc import IntegrityError

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger import statements as sql
from dewar.tasks.ledger.batch import Batch, LedgerOperation, QueueAllowance, row_of
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.outbox_insert import (
    Describe,
    describe_record,
    insert_described,
    insert_entries,
)
from dewar.tasks.ledger.owners import LedgerOwner
from dewar.tasks.ledger.purging import drop_ended, ended_before
from dewar.tasks.ledger.records import (
    BatchResult,
    JobRecord,
    JobState,
    LedgerStatistics,
    NewJob,
    RecoveryResult,
)
from dewar.tasks.ledger.recovery import FindGone, recover_jobs
from dewar.tasks.ledger.rows import chunks, counts_of, record_of, rows_of, write_batch
from dewar.tasks.ledger.schema import owners
from dewar.tasks.ledger.statements import INSERT

_ALL_APPLIED = BatchResult(refused=(), fenced=())


class Ledger:
    """An open ledger; `dewar.tasks.ledger.opening.open_ledger` makes one.

    Any thread may use it, and after a fork the child as well as the parent. Every method but
    `close` raises `LedgerError` if the database fails; then nothing has changed.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._allowance = QueueAllowance()
        self._batches = self._items = self._refused = self._fenced = 0
        self._claimed = self._recovered = 0
        self._purged_up_to = ""

    def write(
        self, batch: Sequence[LedgerOperation], describe: Describe = describe_record
    ) -> BatchResult:
        """Write a mixed batch in one transaction, in order; return the operations without effect.

        A batch that failed may be written again: a job is never accepted twice.

        PERF: a batch of fifty costs little more than a batch of one.

        Args:
            batch: The operations.
            describe: Makes the callback's body for an outcome without one.
        """
        if not batch:
            return _ALL_APPLIED
        try:
            if len(batch) == 1 and self._try_write_alone(batch[0]):
                return _ALL_APPLIED
            judged = self._write(batch, describe)
        except LedgerError as error:
            if not isinstance(error.__cause__, IntegrityError | sqlite3.IntegrityError):
                raise
            # A job is already there: writing it succeeded earlier, but seemed to fail.
            judged = self._write(batch, describe, is_again=True)
        self._batches += 1
        self._items += len(batch)
        self._refused += len(judged.refused)
        self._fenced += len(judged.fenced)
        return BatchResult(refused=tuple(judged.refused), fenced=tuple(judged.fenced))

    def _try_write_alone(self, new: LedgerOperation) -> bool:
        """Write a lone new job that needs no check; return whether it was one.

        PERF: most submits are this. A single statement is its own transaction, in half the time.
        """
        if not isinstance(new, NewJob):
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
        """Take due jobs that nobody owns, the oldest due first, and return them.

        Args:
            owner: The id of the process that will run them.
            limit: The most jobs to take.
            now: Seconds since the epoch.
            tasks: The names of the tasks that the owner knows; jobs of others are left alone.
        """
        due = self.next_due(tasks)
        if due is None or due > now:
            # Most calls find nothing, and need no lock.
            return []
        wanted = {"holder": owner, "most": limit, "now": now, "tasks": list(tasks)}
        with self.database.writing() as connection:
            rows = connection.execute(sql.CLAIM, wanted).all()
        self._claimed += len(rows)
        return sorted((record_of(row) for row in rows), key=lambda job: (job.due, job.id))

    def release(self, owner: str, ids: Sequence[str]) -> int:
        """Give back jobs that this owner has not begun; return their number."""
        if not ids:
            return 0
        with self.database.writing() as connection:
            return sum(
                connection.execute(sql.RELEASE, {"holder": owner, "ids": chunk}).rowcount
                for chunk in chunks(sorted(ids))
            )

    def get(self, id: str) -> JobRecord | None:
        """Return a job, or None if the ledger has no job with this id."""
        with self.database.reading() as connection:
            row = self.database.run(connection, sql.JOB, [{"job": id}]).one_or_none()
        return None if row is None else record_of(row)

    def get_many(self, ids: Sequence[str]) -> dict[str, JobRecord]:
        """Return the jobs that the ledger has, by id."""
        with self.database.reading() as connection:
            return {row.id: record_of(row) for row in rows_of(connection, sql.JOBS, ids)}

    def counts(self) -> dict[JobState, int]:
        """Return the number of jobs in each state, all at the same moment.

        Counting the done ones scans the ids of all jobs: some 50 ms for a million.
        """
        with self.database.reading() as connection:
            return counts_of(connection.execute(sql.COUNTS).mappings().one())

    def next_due(self, tasks: Collection[str]) -> float | None:
        """Return when the first waiting job without an owner is due; None if there is none.

        Args:
            tasks: The names of the tasks whose jobs count.
        """
        names = {"tasks": list(tasks)}
        with self.database.reading() as connection:
            due: float | None = connection.execute(sql.NEXT_DUE, names).scalar_one()
        return due

    def cancel(self, id: str, now: float, describe: Describe = describe_record) -> bool:
        """Cancel a waiting job; return whether it was waiting.

        Args:
            id: The id of the job.
            now: Seconds since the epoch.
            describe: Makes the body of its callback.
        """
        with self.database.writing() as connection:
            did = connection.execute(sql.CANCEL, {"job": id, "now": now}).rowcount == 1
            insert_described(connection, [id] if did else [], describe)
        return did

    def cancel_running(self, id: str) -> bool:
        """Mark a running job to be stopped; return whether it is running. It never runs again."""
        with self.database.writing() as connection:
            return connection.execute(sql.STOP, {"job": id}).rowcount == 1

    def stop_requests(self, owner: str) -> list[str]:
        """Return the ids of the jobs that this owner has to stop."""
        with self.database.reading() as connection:
            return list(connection.execute(sql.STOPS, {"holder": owner}).scalars())

    def retry(self, id: str, now: float) -> bool:
        """Queue a failed, cancelled or lost job again; return whether it was one.

        It keeps the count of its attempts, so late reports on an earlier attempt are fenced.
        """
        with self.database.writing() as connection:
            return connection.execute(sql.RETRY, {"job": id, "now": now}).rowcount == 1

    def purge(self, before: float, limit: int = 1000) -> int:
        """Delete jobs that ended before a time; return their number. Call again until it is 0.

        A job whose callback is pending is kept. PERF: each call goes on after the one before.

        Args:
            before: Seconds since the epoch.
            limit: The most jobs to delete, which bounds how long writers wait.
        """
        with self.database.reading() as connection:
            ids = ended_before(connection, before, limit, self._purged_up_to)
        self._purged_up_to = ids[-1] if len(ids) == limit else ""
        if not ids:
            return 0
        with self.database.writing() as connection:
            return drop_ended(connection, ids, before)

    def beat(self, owner: LedgerOwner, until: float) -> bool:
        """Renew an owner's lease; return whether the ledger knew the owner.

        Call it once before the owner has its first job. False on a later call means that the owner
        was taken for dead and its jobs were given away: its reports on them have no effect.

        Args:
            owner: This process.
            until: When the lease runs out, in seconds since the epoch. Others see by its change
                that the owner is alive.
        """
        renewed = {"holder": owner.id, "until": until}
        with self.database.writing() as connection:
            is_known = connection.execute(sql.RENEW, renewed).rowcount > 0
            if not is_known:
                connection.execute(owners.insert(), {**asdict(owner), "lease_until": until})
        return is_known

    def leave(self, owner: str) -> None:
        """Remove an owner and give back the jobs that it has not begun.

        Jobs that it still runs are left to `recover`.
        """
        with self.database.writing() as connection:
            connection.execute(sql.RELEASE_ALL, {"holder": owner})
            connection.execute(sql.FORGET_OWNER, {"holder": owner})

    def recover(
        self, now: float, find_gone: FindGone, describe: Describe = describe_record
    ) -> RecoveryResult:
        """Take the jobs of owners that are gone.

        Their running jobs wait again, or are lost if they may not be repeated. Jobs that had not
        begun lose their owner. If several processes recover at once, only one has an effect.

        Args:
            now: Seconds since the epoch.
            find_gone: `OwnerWatch.gone`, called in the transaction.
            describe: Makes the body of the callback of a lost job.
        """
        with self.database.writing() as connection:
            self.database.advisory_lock(connection, "recover")
            result = recover_jobs(connection, now, find_gone, describe)
        self._recovered += len(result.requeued) + len(result.lost)
        return result

    def changes(self) -> int:
        """Return a number that changes with each commit by anybody, and sometimes without one.

        It costs less than a query: poll it before you query.
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

        Args:
            state: Only jobs in this state.
            task: Only jobs of this task; one with few jobs costs a scan of all.
            limit: The most jobs to return.
            before: The id of the last job of the page before; None for the first page.
        """
        with self.database.reading() as connection:
            rows = connection.execute(sql.page(state, task, before), {"most": limit})
            return [record_of(row) for row in rows]

    def statistics(self) -> LedgerStatistics:
        """Return the counts of this process."""
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
        """Close the idle connections of this process; a later call opens them again."""
        self.database.close()

    def __repr__(self) -> str:
        return f"<Ledger {self.database.name}, {self._items} items in {self._batches} batches>"
