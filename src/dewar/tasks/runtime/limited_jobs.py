"""`LimitedJobs`: applies the limits of tasks to jobs that were accepted before these had any."""

import logging

from dewar.tasks.ledger.claiming import mark_limited
from dewar.tasks.runtime.process_jobs import ProcessJobs

_logger = logging.getLogger("dewar.tasks")


class LimitedJobs:
    """Looks for jobs from before a deployment, and from processes that it has not reached yet.

    Args:
        jobs: The jobs of this process.
    """

    def __init__(self, jobs: ProcessJobs) -> None:
        self._jobs = jobs

    def __repr__(self) -> str:
        return f"<LimitedJobs of {self._jobs.owner.id}>"

    def mark(self) -> None:
        """Mark such jobs in the ledger, so that they count, and are claimed within the limits."""
        limits = self._jobs.limits()
        if not limits:
            return
        count = mark_limited(self._jobs.ledger.database, limits)
        if count:
            _logger.info("The limits of their tasks now apply to %d older jobs", count)
            self._jobs.claimed.note_jobs()
