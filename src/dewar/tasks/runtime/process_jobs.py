"""`ProcessJobs`: what the parts of one process's runtime share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.owners import LedgerOwner
from dewar.tasks.ledger.records import JobRecord, NewJob
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
    """

    ledger: Ledger
    owner: LedgerOwner
    claimed: ClaimedJobs
    futures: JobFutures
    describe: Callable[[JobRecord], str]
    clock: Callable[[], float]
    monotonic: Callable[[], float]

    def claimed_at_once(self, new: NewJob) -> NewJob:
        """Return a new job, with this process as its owner if it can run it at once."""
        claimed = self.claimed
        may_claim = self.monotonic() >= claimed.claims_from
        if may_claim and new.due <= self.clock() and len(claimed.attempts) < claimed.limit:
            return replace(new, owner=self.owner.id)
        return new

    def all_claimed_at_once(self, jobs: Sequence[NewJob]) -> Sequence[NewJob]:
        """Return new jobs, with this process as the owner of those that it has room for."""
        now = self.clock()
        room = self.claimed.room if self.monotonic() >= self.claimed.claims_from else 0
        if not room:
            return jobs
        ours = [replace(new, owner=self.owner.id) for new in jobs[:room] if new.due <= now]
        return [*ours, *jobs[len(ours) :]]
