"""`Ledger`: the record of every accepted job, on disk before its submitter goes on.

Rules for the file:

- The ledger reads no clock: the caller gives each time, in seconds since the epoch.
- Each method is one transaction (`purge` and reading many are one per chunk), so a process may die
  at any point. Everything that a method returns is committed.
- No lock is held here while the database works, so any thread may call any method at any time.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict

from dewar.tasks.errors import Duplicate, LedgerError
from dewar.tasks.ledger import statements as sql
from dewar.tasks.ledger.batch import LedgerOperation
from dewar.tasks.ledger.batch_writing import BatchWriter
from dewar.tasks.ledger.claiming import ANY_JOB, ClaimRules, JobClaims, Outlook
from dewar.tasks.ledger.database import Database, is_conflict
from dewar.tasks.ledger.dependencies import settle, wait_again
from dewar.tasks.ledger.job_filter import JobFilter
from dewar.tasks.ledger.outbox_insert import (
    Describe,
    describe_record,
    insert_described,
)
from dewar.tasks.ledger.owners import LedgerOwner
from dewar.tasks.ledger.purging import drop_ended, ended_before
from dewar.tasks.ledger.records import (
    BatchResult,
    JobRecord,
    JobState,
    LedgerStatistics,
    RecoveryResult,
    Settled,
)
from dewar.tasks.ledger.recovery import FindGone, recover_jobs
from dewar.tasks.ledger.rows import chunks, counts_of, record_of, rows_of
from dewar.tasks.ledger.schema import owners
from dewar.tasks.ledger.workflow_rows import LedgerWorkflows


class Ledger:
    """An open ledger; `dewar.tasks.ledger.opening.open_ledger` makes one.

    Any thread may use it, and after a fork the child as well as the parent. Every method but
    `close` raises `LedgerError` if the database fails; then nothing has changed.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        #: Called after a commit with what became of jobs that waited for others. It must not raise.
        self.on_settled: Callable[[Settled], object] = bool
        self._writer = BatchWriter(database, self._note_settled)
        self.workflows = LedgerWorkflows(database, self._writer, self._note_settled)
        self._claims = JobClaims(database)
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
        return self._writer.write(batch, describe)

    def claim(
        self,
        owner: str,
        limit: int,
        now: float,
        tasks: Collection[str],
        rules: ClaimRules = ANY_JOB,
    ) -> list[JobRecord]:
        """Take due jobs that nobody owns, and return them in the order of their priority and due.

        Args:
            owner: The id of the process that will run them.
            limit: The most jobs to take.
            now: Seconds since the epoch.
            tasks: The names of the tasks that the owner knows; jobs of others are left alone.
            rules: Its queues, and the limits of its tasks.
        """
        claimed = self._claims.claim(owner, limit, now, tasks, rules)
        self._claimed += len(claimed)
        return claimed

    def outlook(self, tasks: Collection[str], rules: ClaimRules = ANY_JOB) -> Outlook:
        """Return when the first waiting job without an owner may be claimed.

        Args:
            tasks: The names of the tasks whose jobs count.
            rules: As for `claim`.
        """
        return self._claims.outlook(tasks, rules)

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

    def cancel(self, id: str, now: float, describe: Describe = describe_record) -> bool:
        """Cancel a waiting job; return whether it was waiting.

        Args:
            id: The id of the job.
            now: Seconds since the epoch.
            describe: Makes the body of its callback.
        """
        with self.database.writing() as connection:
            rows = connection.execute(sql.CANCEL, {"job": id, "now": now}).all()
            ended = {id: JobState.CANCELLED} if any(row.followed for row in rows) else {}
            settled = settle(connection, ended, now, describe)
            insert_described(connection, [id] if rows else [], describe)
        self._note_settled(settled)
        return bool(rows)

    def cancel_workflow(
        self, id: str, now: float, describe: Describe = describe_record, kept: Sequence[str] = ()
    ) -> Sequence[str]:
        """Cancel the jobs of a workflow that wait, but for some; return their ids."""
        return self.workflows.cancel(id, now, describe, kept).ids

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

        It keeps the count of its attempts, so late reports on an earlier attempt are fenced. Jobs
        that did not run because of it wait for it again.

        Raises:
            Duplicate: If another job with its key has not ended.
        """
        try:
            with self.database.writing() as connection:
                did = connection.execute(sql.RETRY, {"job": id, "now": now}).rowcount == 1
                if did:
                    wait_again(connection, id)
                return did
        except LedgerError as error:
            job = self.get(id) if is_conflict(error) else None
            if job is None or job.unique_key is None:
                raise
            raise Duplicate(job.task) from error

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
        self._note_settled(result.settled)
        return result

    def changes(self) -> int:
        """Return a number that changes with each commit by anybody, and sometimes without one.

        It costs less than a query: poll it before you query.
        """
        return self.database.changes()

    def find(self, wanted: JobFilter, limit: int = 50) -> list[JobRecord]:
        """Return the jobs that meet conditions, the newest first, up to a number."""
        with self.database.reading() as connection:
            return [record_of(row) for row in connection.execute(wanted.page(), {"most": limit})]

    def count(self, wanted: JobFilter) -> int:
        """Return how many jobs meet conditions."""
        with self.database.reading() as connection:
            return int(connection.execute(wanted.count()).scalar_one())

    def list(
        self,
        state: JobState | None = None,
        task: str | None = None,
        limit: int = 50,
        before: str | None = None,
        queue: str | None = None,
    ) -> list[JobRecord]:
        """Return jobs, the newest first.

        Args:
            state: Only jobs in this state.
            task: Only jobs of this task; one with few jobs costs a scan of all.
            limit: The most jobs to return.
            before: The id of the last job of the page before; None for the first page.
            queue: Only jobs of this queue, at the same cost as those of a task.
        """
        wanted = JobFilter(state=state, task=task, before=before, queue=queue)
        return self.find(wanted, limit)

    def statistics(self) -> LedgerStatistics:
        """Return the counts of this process."""
        return LedgerStatistics(
            where=self.database.name,
            batches=self._writer.batches,
            items=self._writer.items,
            refused=self._writer.refused,
            fenced=self._writer.fenced,
            claimed=self._claimed,
            recovered=self._recovered,
        )

    def close(self) -> None:
        """Close the idle connections of this process; a later call opens them again."""
        self.database.close()

    def _note_settled(self, settled: Settled) -> None:
        if settled:
            self.on_settled(settled)

    def __repr__(self) -> str:
        writer = self._writer
        return f"<Ledger {self.database.name}, {writer.items} items in {writer.batches} batches>"
