"""`ProcessJobs`: what the parts of one process's runtime share."""

from collections.abc import Callable
from dataclasses import dataclass

from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.owners import LedgerOwner
from dewar.tasks.ledger.records import JobRecord
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
