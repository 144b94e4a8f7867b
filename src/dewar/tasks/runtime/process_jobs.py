"""`ProcessJobs`: what the parts of one process's runtime share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dewar.tasks.ledger.claiming import ClaimRules
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.owners import LedgerOwner
from dewar.tasks.ledger.records import JobRecord, NewJob
from dewar.tasks.limits import TaskLimits
from dewar.tasks.runtime.claimed import ClaimedJobs
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
    """

    ledger: Ledger
    owner: LedgerOwner
    claimed: ClaimedJobs
    futures: JobFutures
    describe: Callable[[JobRecord], str]
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    queues: Sequence[str] | None = None
    limits: Callable[[], Mapping[str, TaskLimits]] = dict
    duplicates: dict[str, str] = field(default_factory=dict)

    def rules(self) -> ClaimRules:
        """Return what this process claims."""
        return ClaimRules(queues=self.queues, limits=self.limits())

    def claimed_at_once(self, new: NewJob) -> NewJob:
        """Return a new job, with this process as its owner if it can run it at once."""
        claimed = self.claimed
        may_claim = self.monotonic() >= claimed.claims_from and self._may_go_first(new)
        if may_claim and new.due <= self.clock() and claimed.room_at_once > 0:
            return replace(new, owner=self.owner.id)
        return new

    def _may_go_first(self, new: NewJob) -> bool:
        """Return whether a new job may be claimed before those that wait in the ledger.

        The limits of a task hold only for jobs that are claimed there.
        """
        if new.limited or (self.queues is not None and new.queue not in self.queues):
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
