"""`WorkflowStatus`: the state of a workflow at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.ledger.workflow_record import WorkflowRecord
from dewar.tasks.progress import Progress
from dewar.tasks.serialization.values import Loads
from dewar.tasks.status import JobStatus, time_of


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkflowStatus(JobStatus):
    """What the ledger knows of a workflow, told as of one job.

    Its `task` is empty, which is the name of no task. Its `progress` is the share of its jobs that
    have ended, with the progress of those that run. Its `result` is that of its last job; None if
    it ends with several. Its `error` is that of the job that failed first.

    Attributes:
        jobs: The number of its jobs in each state.
    """

    jobs: Mapping[JobState, int]

    @classmethod
    def of_workflow(cls, record: WorkflowRecord, loads: Loads) -> "WorkflowStatus":
        """Return the status that a record describes."""
        done, total = record.counts[JobState.DONE], sum(record.counts.values())
        last = None if record.last is None else JobStatus.of(record.last, loads)
        error = None if last is None else last.error
        if record.failed is not None and record.failed.error is not None:
            error = loads(record.failed.error)
        state = record.state
        return cls(
            id=record.id,
            task="",
            state=state,
            progress=Progress(record.fraction, f"{done} of {total} jobs done"),
            attempts=0,
            created=time_of(record.created),
            due=time_of(record.created),
            started=None if record.started is None else time_of(record.started),
            finished=None if record.finished is None else time_of(record.finished),
            result=None if last is None or state is not JobState.DONE else last.result,
            error=None if state is JobState.DONE and last is not None and not last.error else error,
            jobs=record.counts,
        )

    def as_dict(self, *, shows_errors: bool = False) -> dict[str, Any]:
        """Return what a client may see, as plain JSON; see `JobStatus.as_dict`."""
        told = JobStatus.as_dict(self, shows_errors=shows_errors)
        counts = {state.value: count for state, count in self.jobs.items() if count}
        return {**told, "task": None, "jobs": counts}


def status_of(record: JobRecord | WorkflowRecord, loads: Loads) -> JobStatus:
    """Return the status that a record of the ledger describes."""
    if isinstance(record, WorkflowRecord):
        return WorkflowStatus.of_workflow(record, loads)
    return JobStatus.of(record, loads)
