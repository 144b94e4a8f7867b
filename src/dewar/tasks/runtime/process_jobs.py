"""`ProcessJobs`: what the parts of one process's runtime share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dewar.tasks.ledger.claiming import ClaimRules
from dewar.tasks.ledger.notifying_ledger import NotifyingLedger
from dewar.tasks.ledger.owners import LedgerOwner
from dewar.tasks.ledger.records import JobRecord, NewJob
from dewar.tasks.limits import TaskLimits
from dewar.tasks.runtime.attempt import Attempt
from dewar.tasks.runtime.claimed import ClaimedJobs
from dewar.tasks.runtime.job_moments import JobMoments
from dewar.tasks.stored_job import JobFutures


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessJobs:
    """The jobs of one process.

    Attributes:
        ledger: Where jobs are stored.
        owner: This process in the ledger.
        claimed: The attempts that this process has claimed.
        futures: The jobs that somebody in this process may wait for.
        describe: Returns the callback's body of a job that ended without an attempt's outcome.
        clock: Returns the time in seconds since the epoch. Only times that are stored come from it:
            it may be set forward or back.
        monotonic: A clock in seconds that nobody sets, for everything that lasts or is repeated.
        queues: The queues that this process serves; None for all.
        limits: Returns the limits of the tasks that have any.
        duplicates: The ids of new jobs that were not accepted, because another job has the key,
            and of these others. The thread that submits a job removes it.
        moments: Tells signals and metrics what becomes of the jobs.
    """

    ledger: NotifyingLedger
    owner: LedgerOwner
    claimed: ClaimedJobs
    futures: JobFutures
    describe: Callable[[JobRecord], str]
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    queues: Sequence[str] | None = None
    limits: Callable[[], Mapping[str, TaskLimits]] = dict
    duplicates: dict[str, str] = field(default_factory=dict)
    moments: JobMoments = field(default_factory=JobMoments)

    def rules(self) -> ClaimRules:
        """Return what this process claims."""
        return ClaimRules(queues=self.queues, limits=self.limits())

    def serves(self, queue: str) -> bool:
        """Return whether this process claims jobs of a queue."""
        return self.queues is None or queue in self.queues

    def is_urgent(self, attempt: Attempt) -> bool:
        """Return whether to write at once that an attempt has ended.

        Somebody may wait for it: here, or in the process that has accepted it. PERF: with a
        backlog, many outcomes are written together instead.
        """
        if self.claimed.has_backlog:
            return False
        return attempt.was_claimed or self.futures.is_awaited(attempt.record.id)

    def claimed_at_once(self, new: NewJob) -> NewJob:
        """Return a new job, with this process as its owner if it can run it at once."""
        claimed = self.claimed
        may_claim = self.monotonic() >= claimed.claims_from and self._may_go_first(new)
        if may_claim and new.due <= self.clock() and claimed.room_at_once > 0:
            return replace(new, owner=self.owner.id)
        return new

    def note_left(self, new: NewJob) -> bool:
        """Note a new job that others may run; return whether to look at the ledger at once."""
        was_quiet = self.claimed.note_activity(self.monotonic())
        is_news = self.serves(new.queue) and self.claimed.note_left(new.priority)
        return was_quiet or is_news

    def give_back_waiting(self) -> None:
        """Give back to the ledger what has not begun.

        Raises:
            LedgerError: If that cannot be written; the jobs wait until this process has ended.
        """
        self.ledger.release(self.owner.id, self.claimed.drop_waiting())

    def _may_go_first(self, new: NewJob) -> bool:
        """Return whether a new job may be claimed before those that wait in the ledger.

        The limits of a task hold only for jobs that are claimed there.
        """
        if new.limited or not self.serves(new.queue):
            return False
        claimed = self.claimed
        return new.priority >= claimed.waiting_priority or not claimed.may_have_jobs

    def all_claimed_at_once(self, jobs: Sequence[NewJob]) -> Sequence[NewJob]:
        """Return new jobs of a task, with this process as the owner of those it has room for."""
        now = self.clock()
        room = self.claimed.room_at_once if self.monotonic() >= self.claimed.claims_from else 0
        if room <= 0 or not jobs or not self._may_go_first(jobs[0]):
            return jobs
        ours = [replace(new, owner=self.owner.id) for new in jobs[:room] if new.due <= now]
        return [*ours, *jobs[len(ours) :]]
