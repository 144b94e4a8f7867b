"""`Submitter`: makes tasks, and accepts their jobs for the app that is current."""

from collections.abc import Callable, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Any

from dewar.tasks.attached_apps import AttachedApps
from dewar.tasks.job_maker import job_maker, jobs_of
from dewar.tasks.ledger.ids import IdGenerator
from dewar.tasks.scheduled_job import check_scheduled
from dewar.tasks.stored_job import StoredJob
from dewar.tasks.submission import Submission
from dewar.tasks.task import Arguments, AsyncTask, Task
from dewar.tasks.task_options import TaskOptions
from dewar.tasks.workflows.plan import planned
from dewar.tasks.workflows.steps import WorkflowStep
from dewar.tasks.workflows.workflow import Workflow


class Submitter:
    """Makes tasks, and accepts their jobs.

    Args:
        apps: The apps of the tasks.
    """

    def __init__(self, apps: AttachedApps) -> None:
        self._apps = apps
        self._ids = IdGenerator()

    def __repr__(self) -> str:
        return f"<Submitter of {self._apps!r}>"

    def make_task(self, function: Callable[..., Any], options: TaskOptions) -> Task[..., Any]:
        """Declare a task whose jobs it accepts, and return it."""
        make: type[Task[..., Any]] = AsyncTask if iscoroutinefunction(function) else Task
        accept = self.submit, self.submit_all, self.submit_workflow
        task = make(function, options, lambda: self._apps.here.directory, *accept)
        check_scheduled(task)
        task.directory().add(task)
        return task

    def submit(
        self,
        task: Task[Any, Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        submission: Submission,
    ) -> StoredJob:
        """Accept a job; see `Task.submit`."""
        new = job_maker(task, submission, self._ids.new)(args, kwargs)
        here = self._apps.here
        if submission.connection is not None:
            # What it waits for may be in the same transaction, which only that connection sees.
            return here.accept_in(submission.connection, new, task)
        if new.after:
            here.runtime.workflows.check_known(new.after)
        return here.runtime.accept_one(new, task)

    def submit_all(
        self, task: Task[Any, Any], calls: Sequence[Arguments], submission: Submission
    ) -> list[StoredJob]:
        """Accept a job for each call; see `Task.map`."""
        make = job_maker(task, submission, self._ids.new)
        new = [make(args, kwargs) for args, kwargs in calls]
        after = {id for one in new for id in one.after}
        if after:
            self._apps.here.runtime.workflows.check_known(sorted(after))
        return self._apps.here.runtime.accept(new, task)

    def submit_workflow(self, step: WorkflowStep) -> Workflow:
        """Accept the jobs of a workflow; see `WorkflowStep.submit`."""
        here = self._apps.here
        runtime, directory = here.runtime, here.directory
        plan = planned(step, self._ids.new, directory.tasks, directory.clock())
        new = jobs_of(plan)
        own = {one.id for one in new}
        awaited = [id for one in new for id in one.after if id not in own]
        if awaited:
            runtime.workflows.check_known(awaited)
        runtime.accept_workflow(plan, new)
        return Workflow(plan.id, plan.ends, runtime)
