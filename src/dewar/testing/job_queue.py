"""`JobQueue`: the jobs of a test, which run when the test says so."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from dewar.tasks.directory import TaskDirectory
from dewar.tasks.errors import JobFailed
from dewar.tasks.ledger.records import JobState, NewJob
from dewar.tasks.runtime.job_clock import JobClock
from dewar.tasks.runtime.manual_runtime import ManualRuntime
from dewar.tasks.runtime.runtime import NewScheduled
from dewar.tasks.serialization.job_results import filled
from dewar.tasks.serialization.values import unpack_arguments
from dewar.tasks.stored_job import StoredJob
from dewar.tasks.tasks import Tasks
from dewar.tasks.webhooks.records import Delivery
from dewar.testing.submitted_jobs import SubmittedJob, SubmittedJobs

#: More jobs than a test has.
_ALL = 1_000_000


class RecordingRuntime(ManualRuntime):
    """A manual runtime that tells what it accepts.

    Args:
        directory: As for the `ManualRuntime`.
        new_scheduled: The same.
        clock: The same.
        tell: Called with each job that is accepted.
    """

    def __init__(
        self,
        directory: TaskDirectory,
        new_scheduled: NewScheduled,
        clock: JobClock,
        tell: Callable[[SubmittedJob], object],
    ) -> None:
        self._tell = tell
        super().__init__(directory, new_scheduled, clock)

    def accept_one(self, new: NewJob, task: Any) -> StoredJob:
        """Accept a job, and record it."""
        job = super().accept_one(new, task)
        self._note(new, job)
        return job

    def accept(self, new: Sequence[NewJob], task: Any) -> list[StoredJob]:
        """Accept jobs, and record them."""
        jobs = super().accept(new, task)
        for one, job in zip(new, jobs, strict=True):
            self._note(one, job)
        return jobs

    def accept_workflow(self, plan: Any, new: Sequence[NewJob]) -> None:
        """Accept the jobs of a workflow, and record them."""
        super().accept_workflow(plan, new)
        for one in new:
            self._note(one, self.lookup.job(one.id))

    def _accept_committed(self, new: NewJob, task: Any) -> None:
        self.accept_one(new, task)

    def _note(self, new: NewJob, job: StoredJob) -> None:
        if job.id != new.id:
            return  # another one has its key
        # What is the result of another job is not there yet: it is recorded as the job's id.
        arguments = filled(new.arguments, lambda id, _: json.dumps(id))
        args, kwargs = unpack_arguments(arguments, self.directory.json.loads)
        self._tell(
            SubmittedJob(
                task=new.task,
                args=args,
                kwargs=kwargs,
                queue=new.queue,
                priority=new.priority,
                due=datetime.fromtimestamp(new.due, UTC),
                callback=new.callback,
                job=job,
            )
        )


class JobQueue:
    """The jobs that a test submits. They wait until `drain`; `hold_jobs` makes it.

    Args:
        tasks: What they are jobs of.

    Attributes:
        submitted: What was submitted.
        clock: The time of the jobs; `advance` it, so that jobs for later and schedules are due.
    """

    def __init__(self, tasks: Tasks) -> None:
        self.submitted = SubmittedJobs()
        self.clock = JobClock(self._begin_schedules)
        self._tasks = tasks
        self._runtimes: list[RecordingRuntime] = []
        self._reported: set[str] = set()

    def __repr__(self) -> str:
        return f"<JobQueue, {len(self.submitted)} submitted>"

    def make_runtime(
        self, directory: TaskDirectory, new_scheduled: NewScheduled
    ) -> RecordingRuntime:
        """Return a runtime whose jobs are in this queue."""
        tell = self.submitted.append
        runtime = RecordingRuntime(directory, new_scheduled, self.clock, tell)
        self._runtimes.append(runtime)
        return runtime

    def drain(self, *, propagate: bool = False) -> int:
        """Run all jobs that are due, and those that they submit, in this thread.

        Jobs for later, and retries whose pause is not over, wait.

        Args:
            propagate: Whether to raise the error of the first job that has failed.

        Returns:
            How many attempts were made.
        """
        self._begin_schedules()
        count = 0
        while ran := sum(runtime.run_due() for runtime in self._runtimes):
            count += ran
        failed = [job for job in self._failed() if job.id not in self._reported]
        self._reported.update(job.id for job in failed)
        for job in failed if propagate else ():
            raise job.exception() or JobFailed(job.task, "failed")
        return count

    def _begin_schedules(self) -> None:
        """Have schedules begin as in a process that runs, also if the test has no other job."""
        if self._tasks.schedules():
            self._tasks.start()
        for runtime in self._runtimes:
            if runtime.is_running:
                runtime.look_at_schedules()

    def _failed(self) -> list[StoredJob]:
        """Return the jobs that have failed, also those of schedules, in the order of their ends."""
        found: list[tuple[float, StoredJob]] = []
        for runtime in self._runtimes:
            if runtime.is_running:
                records = runtime.ledger.list(state=JobState.FAILED, limit=_ALL)
                found += [(one.finished or 0.0, runtime.lookup.job(one.id)) for one in records]
        return [job for _, job in sorted(found, key=itemgetter(0))]

    @property
    def callbacks(self) -> list[Delivery]:
        """The callbacks of the jobs that have ended, the oldest first. None is sent."""
        running = [runtime for runtime in self._runtimes if runtime.is_running]
        found = [one for runtime in running for one in runtime.webhooks.outbox.list()]
        return sorted(found, key=lambda one: one.created)


@contextmanager
def hold_jobs(tasks: Tasks) -> Iterator[JobQueue]:
    """Have jobs wait in a `JobQueue` during a ``with`` block, in memory.

    It holds for all threads of this process.
    """
    queue = JobQueue(tasks)
    with tasks.using(queue.make_runtime):
        yield queue
