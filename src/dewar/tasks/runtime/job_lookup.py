"""`JobLookup`: finds jobs in the ledger, whichever process accepted them."""

from collections.abc import Callable, Sequence
from typing import Any

from dewar.tasks.directory import TaskDirectory
from dewar.tasks.errors import Duplicate, QueueFull, UnknownJob
from dewar.tasks.ledger.ids import is_workflow
from dewar.tasks.ledger.records import JobRecord, NewJob
from dewar.tasks.placement import OnDuplicate
from dewar.tasks.progress import shielded
from dewar.tasks.runtime.process_jobs import ProcessJobs
from dewar.tasks.status import JobStatus
from dewar.tasks.stored_job import StoredJob


class JobLookup:
    """Returns the Futures and the status of jobs. Any thread may call any method.

    Args:
        jobs: The jobs of this process.
        directory: Reads JSON.
        future_of: Returns the Future of a job, by its id and its task.
        hear_ends: Has this process hear of the ends of jobs elsewhere.
    """

    def __init__(
        self,
        jobs: ProcessJobs,
        directory: TaskDirectory,
        future_of: Callable[[str, str], StoredJob],
        hear_ends: Callable[[], object],
    ) -> None:
        self._jobs = jobs
        self._future_of = future_of
        self._hear_ends = hear_ends
        self._directory = directory

    def __repr__(self) -> str:
        return f"<JobLookup in {self._jobs.ledger!r}>"

    @shielded
    def job(self, id: str) -> StoredJob:
        """Return a job; see `Tasks.get`."""
        record = self.record(id)
        job = self._future_of(id, record.task)
        if not record.state.is_final and not self.is_here(job):
            self._hear_ends()
        # Looked up again: it may have ended before its Future was there.
        self._jobs.futures.resolve([self.record(id)])
        return job

    @shielded
    def jobs(self, ids: Sequence[str]) -> list[StoredJob]:
        """Return many jobs at once, as `job` does."""
        ledger = self._jobs.ledger
        records = ledger.get_many(ids)
        missing = next((id for id in ids if id not in records), None)
        if missing is not None:
            raise UnknownJob(missing)
        jobs = [self._future_of(id, records[id].task) for id in ids]
        self._hear_ends()
        self._jobs.futures.resolve(ledger.get_many(ids).values())
        return jobs

    @shielded
    def status(self, id: str) -> JobStatus:
        """Return what the ledger knows of a job; see `Tasks.status`."""
        return JobStatus.of(self.record(id), self._directory.json.loads)

    def record(self, id: str) -> JobRecord:
        """Return the record of a job.

        Raises:
            UnknownJob: If the ledger has none.
        """
        given: Any = id  # what a program gives may be of any type
        record = self._jobs.ledger.get(id) if isinstance(given, str) else None
        if record is None and is_workflow(id):
            raise UnknownJob(id, "it is a workflow: tasks.get_workflow(id).")
        if record is None:
            raise UnknownJob(id)
        return record

    def is_here(self, job: StoredJob) -> bool:
        """Return whether a job's end is known here, or will be without a notice of others."""
        return self._jobs.claimed.find(job.id) is not None or job.done()

    def found(
        self,
        new: Sequence[NewJob],
        jobs: Sequence[StoredJob],
        accepted: Sequence[bool],
        task: Any,
    ) -> list[StoredJob]:
        """Return the jobs of a submission, with the existing ones in the place of duplicates.

        Raises:
            Duplicate: If there are duplicates that the task refuses.
            QueueFull: If some did not fit.
        """
        kept = [job for job, is_kept in zip(jobs, accepted, strict=True) if is_kept]
        holders = {one.id: self._jobs.duplicates.pop(one.id, None) for one in new}
        for one, is_kept in zip(new, accepted, strict=True):
            holder = holders[one.id]
            if holder is not None and one.on_duplicate is not OnDuplicate.RETURN:
                raise Duplicate(task.name, holder, kept)
            if holder is None and not is_kept:
                raise QueueFull(f"The task {task.name}", task.options.max_queue, kept)
        return [
            job if holder is None else self.job(holder)
            for job, holder in zip(jobs, holders.values(), strict=True)
        ]
