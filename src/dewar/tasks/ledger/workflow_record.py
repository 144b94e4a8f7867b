"""`WorkflowRecord`: a workflow as the ledger knows it."""

from collections.abc import Mapping
from dataclasses import dataclass

from dewar.tasks.ledger.records import JobRecord, JobState


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkflowRecord:
    """A workflow in the ledger, and what its jobs are together. Times are seconds since the epoch.

    Attributes:
        ends: The id of the job whose result is that of the workflow, or a list of such.
        counts: The number of its jobs in each state.
        fraction: How far the workflow is, from 0 to 1.
        has_result: Whether all of the `ends` are done.
        last: The job whose result is that of the workflow, if it is one and has ended.
        failed: The job that failed first.
    """

    id: str
    created: float
    ends: str
    counts: Mapping[JobState, int]
    fraction: float
    started: float | None
    finished: float | None
    has_result: bool
    last: JobRecord | None = None
    failed: JobRecord | None = None

    @property
    def state(self) -> JobState:
        """What its jobs are together: it has ended if all of them have."""
        counts = self.counts
        if counts[JobState.QUEUED] or counts[JobState.RUNNING]:
            is_new = counts[JobState.QUEUED] == sum(counts.values())
            return JobState.QUEUED if is_new else JobState.RUNNING
        if self.has_result:
            return JobState.DONE
        badly = (JobState.FAILED, JobState.LOST, JobState.CANCELLED)
        return next((state for state in badly if counts[state]), JobState.LOST)
