"""`WorkflowPlan`: which jobs a workflow has, and which of them wait for which."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.ledger.ids import new_workflow_id
from dewar.tasks.ledger.workflow_rows import ids_in
from dewar.tasks.serialization.job_results import JobOutcome, JobResult
from dewar.tasks.workflows.steps import Chain, Signature, WorkflowStep

#: The id of a job whose result is that of a step, or a list of such.
Ends: TypeAlias = Any
#: The most pairs of jobs one of which waits for the other, in a workflow.
MOST_DEPENDENCIES = 200_000


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A job of a workflow. `submission` has what it waits for."""

    id: str
    task: Any
    args: Sequence[Any]
    kwargs: dict[str, Any]
    submission: Any


class WorkflowPlan:
    """The jobs of a workflow, each after those that it waits for.

    Args:
        workflow: The id of the workflow.
        ids: The ids of its jobs. They sort in the order of the jobs.
        step: All of it.

    Attributes:
        ends: The jobs whose results are that of the workflow.

    Raises:
        TaskSetupError: If too many jobs wait for too many, or a call has the wrong arguments.
    """

    def __init__(self, workflow: str, ids: Sequence[str], step: WorkflowStep) -> None:
        self.id = workflow
        self._ids = iter(ids)
        self._count = 0
        self.jobs: list[PlannedJob] = []
        self.ends: Ends = self._add(step, None, False)

    def __repr__(self) -> str:
        return f"<WorkflowPlan {self.id}, {len(self.jobs)} jobs>"

    def _add(self, step: WorkflowStep, before: Ends | None, continues: bool) -> Ends:
        """Add the jobs of a step after those of another one; return its own ends."""
        continues = continues if step.continues is None else step.continues
        if isinstance(step, Signature):
            return self._add_job(step, before, continues)
        steps: Sequence[WorkflowStep] = step.steps  # type: ignore[attr-defined]  # a chain or a group
        if not isinstance(step, Chain):
            return [self._add(one, before, continues) for one in steps]
        for one in steps:
            before = self._add(one, before, continues)
        return before

    def _add_job(self, call: Signature, before: Ends | None, continues: bool) -> str:
        id, args, submission = next(self._ids), tuple(call.args), call.submission
        after = list(submission.after)
        if before is not None:
            after += ids_in(before)
            if not call.is_immutable:
                args = (_results(before, JobOutcome if continues else JobResult), *args)
        self._count += len(after)
        if self._count > MOST_DEPENDENCIES:
            raise TaskSetupError(
                f"In this workflow more than {MOST_DEPENDENCIES:,} pairs of jobs wait for each"
                " other. Put a step between two large groups: chain(group(...), collect.s(),"
                " group(...))."
            )
        # A call that cannot work is the caller's mistake, and raises here.
        call.task.check_call(args, call.kwargs)
        submission = replace(submission, after=tuple(after), continues=continues, workflow=self.id)
        self.jobs.append(PlannedJob(id, call.task, args, dict(call.kwargs), submission))
        return id


def planned(
    step: WorkflowStep, new_id: Callable[[float], str], tasks: Mapping[str, Any], now: float
) -> WorkflowPlan:
    """Return the jobs of a workflow that is to be accepted.

    Args:
        step: All of it.
        new_id: Makes an id for a time in seconds since the epoch.
        tasks: The tasks that its jobs may be of, by name.
        now: In seconds since the epoch.

    Raises:
        TaskSetupError: If it has another one, or is not possible.
    """
    calls = list(step.signatures())
    for call in calls:
        if tasks.get(call.task.name) is not call.task:
            raise TaskSetupError(
                f"{call.task.name} was declared with another Tasks object. Declare all tasks of a"
                " workflow with the same one."
            )
        if call.submission.connection is not None:
            raise TaskSetupError(
                "A workflow has a transaction of its own, so its steps take no connection=. For one"
                " in yours, submit each job: first = task.submit(..., connection=connection), and"
                " then other.options_for(after=first, connection=connection).submit(first)."
            )
    # Those of one moment are random, so they are sorted.
    return WorkflowPlan(new_workflow_id(now), sorted(new_id(now) for _ in calls), step)


def _results(ends: Ends, kind: type[JobResult | JobOutcome]) -> Any:
    return kind(ends) if isinstance(ends, str) else [_results(one, kind) for one in ends]
