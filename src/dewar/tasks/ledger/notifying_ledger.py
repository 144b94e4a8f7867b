"""`NotifyingLedger`: a ledger that tells other processes what they may wait for.

They are told after the commit. A notice that says too much costs them a look, so it is made from
what was given and returned, and never costs the writer a query of its own for each job.
"""

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.batch import LedgerOperation
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.notifications import JOBS, PARTIAL, Notice, Notifications, Tell, Topic
from dewar.tasks.ledger.outbox_insert import Describe, describe_record
from dewar.tasks.ledger.owners import OwnerRecord
from dewar.tasks.ledger.records import (
    AttemptStart,
    BatchResult,
    JobState,
    NewJob,
    Outcome,
    ProgressUpdate,
    RecoveryResult,
    Settled,
)
from dewar.tasks.ledger.recovery import FindGone
from dewar.tasks.ledger.schedule_table import ScheduleRow, ScheduleTable


class NotifyingLedger(Ledger):
    """A `Ledger` with notices.

    Args:
        database: Its database.
        notifications: How the processes that use it tell one another of changes.
    """

    def __init__(self, database: Database, notifications: Notifications) -> None:
        super().__init__(database)
        self.notifications = notifications
        self._changing = threading.Lock()
        #: Who watches here. PERF: a tuple, which is read without the lock.
        self._watchers: tuple[Tell, ...] = ()

    @contextmanager
    def watched(self, tell: Tell) -> Iterator[None]:
        """Call a function with what changes, during a ``with`` block.

        It is called after each commit of this process, and with what others tell if this process
        listens at all. It must return at once, and raise nothing.
        """
        with self._changing:
            self._watchers = (*self._watchers, tell)
        for topic in (Topic.ENDED, Topic.CHANGED):
            self.notifications.add_topic(topic)
        try:
            yield
        finally:
            with self._changing:
                self._watchers = tuple(one for one in self._watchers if one is not tell)

    @property
    def is_listening(self) -> bool:
        """Whether this process hears what others commit, so that it need not poll."""
        return self.notifications.is_listening

    def tell_watchers(self, notice: Notice) -> None:
        """Tell those who watch in this process what has changed."""
        for tell in self._watchers:
            tell(notice)

    def _notify(self, notice: Notice) -> None:
        self.tell_watchers(notice)
        self.notifications.notify(notice)

    def write(
        self, batch: Sequence[LedgerOperation], describe: Describe = describe_record
    ) -> BatchResult:
        """See `Ledger.write`."""
        written = super().write(batch, describe)
        # PERF: most submits are this, and tell nobody anything.
        is_single = len(batch) == 1 and not written.replaced
        if is_single and isinstance(batch[0], NewJob) and batch[0].owner is not None:
            return written
        self._tell(batch, written)
        return written

    def fire(
        self, seen: ScheduleRow, moved: ScheduleRow, jobs: Sequence[NewJob], describe: Describe
    ) -> BatchResult | None:
        """See `dewar.tasks.ledger.schedule_table.ScheduleTable.fire`."""
        table = ScheduleTable(self.database, self._note_settled)
        written = table.fire(seen, moved, jobs, describe)
        if written is not None:
            self._tell(jobs, written)
        return written

    def _tell(self, batch: Sequence[LedgerOperation], written: BatchResult) -> None:
        notice = notice_of(batch, written)
        if written.replaced:
            notice = notice.joined(self._notice_of_cancelled(written.replaced))
        if notice:
            self._notify(notice)

    def release(self, owner: str, ids: Sequence[str]) -> int:
        """See `Ledger.release`."""
        count = super().release(owner, ids)
        if count:
            self._notify(JOBS)
        return count

    def cancel(self, id: str, now: float, describe: Describe = describe_record) -> bool:
        """See `Ledger.cancel`."""
        did = super().cancel(id, now, describe)
        if did:
            self._notify(self._notice_of_cancelled([id]))
        return did

    def cancel_running(self, id: str) -> bool:
        """See `Ledger.cancel_running`."""
        did = super().cancel_running(id)
        if did:
            self._notify(self._notice_of_stopped(id))
        return did

    def retry(self, id: str, now: float) -> bool:
        """See `Ledger.retry`."""
        did = super().retry(id, now)
        if did:
            self._notify(JOBS)
        return did

    def leave(self, owner: str) -> None:
        """See `Ledger.leave`."""
        super().leave(owner)
        self._notify(JOBS)

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
            self._notify(Notice(jobs=True, ended=(*result.lost, *result.cancelled)))
        return result

    def cancel_workflow(
        self, id: str, now: float, describe: Describe = describe_record, kept: Sequence[str] = ()
    ) -> Sequence[str]:
        """See `Ledger.cancel_workflow`."""
        done = self.workflows.cancel(id, now, describe, kept)
        notice = Notice(jobs=bool(done.owners), ended=tuple(done.ids), owners=tuple(done.owners))
        if notice:
            self._notify(notice)
        return done.ids

    def _note_settled(self, settled: Settled) -> None:
        super()._note_settled(settled)
        if settled:
            notice = Notice(jobs=bool(settled.released), ended=tuple(settled.stopped))
            self._notify(notice)

    def close(self) -> None:
        """Close the idle connections of this process, and listen no more; see `Ledger.close`."""
        self.notifications.close()
        super().close()

    def _notice_of_stopped(self, id: str) -> Notice:
        """Return what the owner of a job has to know that it is to stop; it never fails."""
        try:
            record = self.get(id)
        except LedgerError:
            return PARTIAL
        return Notice(owners=() if record is None or record.owner is None else (record.owner,))

    def _notice_of_cancelled(self, ids: Sequence[str]) -> Notice:
        """Return what others may want to know of jobs that are cancelled.

        It never fails: they are cancelled already, whatever has become of the database since.
        """
        try:
            records = self.get_many(ids).values()
        except LedgerError:
            return PARTIAL
        return Notice(
            # An owned one counted among those of its task, so another may run now.
            jobs=any(record.limited for record in records),
            ended=tuple(ids),
            owners=tuple({record.owner for record in records if record.owner is not None}),
        )


def notice_of(batch: Sequence[LedgerOperation], written: BatchResult) -> Notice:
    """Return what others may want to know of a batch that is written."""
    void = {id(operation) for operation in (*written.refused, *written.fenced)}
    void.update(id(one) for one in batch if one.id in written.duplicates)
    jobs, ended, changed = False, [], set[str]()
    for operation in batch:
        if id(operation) in void:
            continue
        if isinstance(operation, NewJob):
            jobs |= operation.owner is None
        elif isinstance(operation, Outcome):
            # Instead of running again, the job may have been cancelled. The end of one with limits
            # lets another of its task run.
            jobs |= operation.limited or operation.state is JobState.QUEUED
            ended.append(operation.id)
            changed.discard(operation.id)
        elif isinstance(operation, AttemptStart | ProgressUpdate):
            changed.add(operation.id)
    return Notice(jobs=jobs, ended=tuple(ended), changed=tuple(changed))
