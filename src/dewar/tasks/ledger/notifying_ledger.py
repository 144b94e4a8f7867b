"""`NotifyingLedger`: a ledger that tells other processes what they may wait for.

They are told after the commit. A notice that says too much costs them a look, so it is made from
what was given and returned, and never costs the writer a query of its own for each job.
"""

from collections.abc import Collection, Sequence

from dewar.tasks.ledger.batch import LedgerOperation
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.notifications import JOBS, Notice, Notifications
from dewar.tasks.ledger.outbox_insert import Describe, describe_record
from dewar.tasks.ledger.owners import OwnerRecord
from dewar.tasks.ledger.records import BatchResult, JobState, NewJob, Outcome, RecoveryResult
from dewar.tasks.ledger.recovery import FindGone


class NotifyingLedger(Ledger):
    """A `Ledger` with notices.

    Args:
        database: Its database.
        notifications: How the processes that use it tell one another of changes.
    """

    def __init__(self, database: Database, notifications: Notifications) -> None:
        super().__init__(database)
        self.notifications = notifications

    def write(
        self, batch: Sequence[LedgerOperation], describe: Describe = describe_record
    ) -> BatchResult:
        """See `Ledger.write`."""
        written = super().write(batch, describe)
        # PERF: most submits are this, and tell nobody anything.
        if len(batch) == 1 and isinstance(batch[0], NewJob) and batch[0].owner is not None:
            return written
        notice = notice_of(batch, written)
        if notice:
            self.notifications.notify(notice)
        return written

    def release(self, owner: str, ids: Sequence[str]) -> int:
        """See `Ledger.release`."""
        count = super().release(owner, ids)
        if count:
            self.notifications.notify(JOBS)
        return count

    def cancel(self, id: str, now: float, describe: Describe = describe_record) -> bool:
        """See `Ledger.cancel`."""
        did = super().cancel(id, now, describe)
        if did:
            self.notifications.notify(Notice(ended=(id,), owners=self._owners_of(id)))
        return did

    def cancel_running(self, id: str) -> bool:
        """See `Ledger.cancel_running`."""
        did = super().cancel_running(id)
        if did:
            self.notifications.notify(Notice(owners=self._owners_of(id)))
        return did

    def retry(self, id: str, now: float) -> bool:
        """See `Ledger.retry`."""
        did = super().retry(id, now)
        if did:
            self.notifications.notify(JOBS)
        return did

    def leave(self, owner: str) -> None:
        """See `Ledger.leave`."""
        super().leave(owner)
        self.notifications.notify(JOBS)

    def recover(
        self, now: float, find_gone: FindGone, describe: Describe = describe_record
    ) -> RecoveryResult:
        """See `Ledger.recover`."""
        gone: list[str] = []

        def find(owners: Sequence[OwnerRecord]) -> Collection[str]:
            found = find_gone(owners)
            gone.extend(found)
            return found

        result = super().recover(now, find, describe)
        if gone:
            self.notifications.notify(Notice(jobs=True, ended=(*result.lost, *result.cancelled)))
        return result

    def close(self) -> None:
        """Close the idle connections of this process, and listen no more; see `Ledger.close`."""
        self.notifications.close()
        super().close()

    def _owners_of(self, id: str) -> tuple[str, ...]:
        record = self.get(id)
        return () if record is None or record.owner is None else (record.owner,)


def notice_of(batch: Sequence[LedgerOperation], written: BatchResult) -> Notice:
    """Return what others may want to know of a batch that is written."""
    void = {id(operation) for operation in (*written.refused, *written.fenced)}
    jobs, ended = False, []
    for operation in batch:
        if id(operation) in void:
            continue
        if isinstance(operation, NewJob):
            jobs |= operation.owner is None
        elif isinstance(operation, Outcome):
            # Instead of running again, the job may have been cancelled.
            jobs |= operation.state is JobState.QUEUED
            ended.append(operation.id)
    return Notice(jobs=jobs, ended=tuple(ended))
