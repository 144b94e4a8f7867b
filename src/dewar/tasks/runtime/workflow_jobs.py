"""`WorkflowJobs`: the jobs of one process that wait for others, and its workflows."""

import logging
from collections.abc import Callable, Sequence

from dewar.tasks.errors import Duplicate, QueueFull, UnknownJob
from dewar.tasks.ledger.ids import is_workflow
from dewar.tasks.ledger.notifications import JOBS
from dewar.tasks.ledger.records import JobRecord, NewJob, Settled
from dewar.tasks.ledger.workflow_record import WorkflowRecord
from dewar.tasks.runtime.cancellation import JobCancellation
from dewar.tasks.runtime.process_jobs import ProcessJobs

_logger = logging.getLogger("dewar.tasks")
#: How often to look for jobs that a process of an older Dewar has ended, in seconds.
MISSED_INTERVAL = 5.0


class WorkflowJobs:
    """Any thread may call any method.

    Args:
        jobs: The jobs of this process.
        cancellation: Resolves the jobs that are cancelled.
        wake: Has the writer's thread do what is due.
    """

    def __init__(
        self,
        jobs: ProcessJobs,
        cancellation: JobCancellation,
        wake: Callable[[], object],
    ) -> None:
        self._jobs = jobs
        self._workflows = jobs.ledger.workflows
        self._cancellation = cancellation
        self._wake = wake

    def __repr__(self) -> str:
        return f"<WorkflowJobs of {self._jobs.owner.id}>"

    def accept(self, id: str, ends: str, new: Sequence[NewJob]) -> None:
        """Accept all jobs of a workflow, or none.

        Raises:
            QueueFull: If not all of them fit into the queues of their tasks.
            Duplicate: If another job has the key of one of them.
        """
        written = self._workflows.accept(id, ends, new, self._jobs.describe)
        for refused in written.refused:
            raise QueueFull(f"The task {refused.task}", refused.max_queue or 0)
        for duplicate, holder in written.duplicates.items():
            task = next(one.task for one in new if one.id == duplicate)
            raise Duplicate(task, holder)
        for one in new:
            self._jobs.moments.accepted(one)
        self._jobs.ledger.notifications.notify(JOBS)
        self._claim_soon()

    def find(self, id: str) -> WorkflowRecord:
        """Return a workflow.

        Raises:
            UnknownJob: If the ledger has none.
        """
        if not is_workflow(id):
            raise UnknownJob(id, "the id of a workflow begins with w_. A job: tasks.get(id).")
        found = self._workflows.find(id)
        if found is None:
            raise UnknownJob(id)
        return found

    def jobs(self, id: str) -> list[JobRecord]:
        """Return the jobs of a workflow, in the order in which they were given.

        Raises:
            UnknownJob: If the ledger has none.
        """
        self.find(id)
        return self._workflows.jobs(id)

    def check_known(self, ids: Sequence[str]) -> None:
        """Check that jobs that are to be waited for are there.

        Raises:
            UnknownJob: If one is not.
        """
        missing = self._workflows.missing(ids)
        if missing:
            raise UnknownJob(missing[0])

    def note_settled(self, settled: Settled) -> None:
        """Do what follows from the ends of jobs that others have waited for."""
        try:
            self._cancellation.note_settled(settled)
            if settled.released:
                self._claim_soon()
        except Exception:  # it comes after a commit, which must not seem to have failed
            _logger.exception("After jobs had ended, this failed")

    def settle_missed(self) -> None:
        """Look for jobs that an older process has ended. The writer's own thread calls it."""
        self._workflows.settle_missed(self._jobs.clock(), self._jobs.describe)

    def _claim_soon(self) -> None:
        claimed = self._jobs.claimed
        claimed.note_jobs()
        if claimed.wants_jobs:
            self._wake()
