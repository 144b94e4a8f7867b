"""`TasksRuntime`: what one process has for an app's tasks: ledger, pool, job runner, webhooks."""

import atexit
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from dewar.loop.call_queue import CallQueue
from dewar.support.background_thread import BackgroundThread
from dewar.tasks.directory import TaskDirectory
from dewar.tasks.engines.execution import is_remote
from dewar.tasks.errors import Duplicate, QueueFull, UnknownJob
from dewar.tasks.job import Job
from dewar.tasks.ledger.owners import this_owner
from dewar.tasks.ledger.records import JobRecord, JobState, NewJob
from dewar.tasks.placement import OnDuplicate
from dewar.tasks.progress import shielded
from dewar.tasks.runtime.blocked_workers import BlockedWorkers
from dewar.tasks.runtime.cancellation import JobCancellation
from dewar.tasks.runtime.claimed import STALL_INTERVAL
from dewar.tasks.runtime.engine_abilities import EngineAbilities
from dewar.tasks.runtime.job_source import JobSource
from dewar.tasks.runtime.ledger_listener import LedgerListener
from dewar.tasks.runtime.limited_jobs import LimitedJobs
from dewar.tasks.runtime.maintenance import LedgerMaintenance
from dewar.tasks.runtime.runner import JobRunner
from dewar.tasks.runtime.runtime_parts import open_pool, process_jobs, wait_as_running
from dewar.tasks.runtime.unknown_tasks import INTERVAL, UnknownTasks
from dewar.tasks.status import JobStatus
from dewar.tasks.stored_job import JobBackend, StoredJob
from dewar.tasks.webhooks.webhooks import Webhooks

# How often the progress of jobs is written, in seconds: a page shows no more.
_PROGRESS_INTERVAL = 0.2
# How long this package's own threads may take to end, in seconds.
_FINAL_WAIT = 5.0


class TasksRuntime:
    """One process's part in an app's tasks, from the first job to the end of the process.

    It makes its parts one after the other, and each knows only those before it. Only the Futures
    of jobs and the atexit handler point back: a Future asks the runtime that it came from.

    Args:
        directory: The tasks, their app and their settings.
    """

    def __init__(self, directory: TaskDirectory) -> None:
        self.directory = directory
        #: The process that it was made in: a fork inherits it, and must not use it.
        self.pid = os.getpid()
        self.has_ended = False
        self._settings = settings = directory.settings()
        # On the remote side of an engine another process stores the jobs and runs them.
        runs_jobs = settings.run_jobs and not is_remote.get()
        self._pool = open_pool(settings, directory) if runs_jobs else None
        engine = None if self._pool is None else self._pool.engine
        self._engine, self._abilities = engine, EngineAbilities(engine)
        self.ledger = directory.open_ledger()
        owner = this_owner(time.time())
        jobs = process_jobs(directory, self.ledger, owner, settings, runs_jobs)
        self._futures, self._duplicates = jobs.futures, jobs.duplicates
        self._limited_jobs = LimitedJobs(jobs)
        self.webhooks = Webhooks(self.ledger, settings, owner.id)
        self._callback_queue = CallQueue("dewar-tasks-callbacks")
        self._backend = self._make_backend(waits=hasattr(engine, "wait_for"))
        self._claimed = jobs.claimed
        self.source = JobSource(directory, engine is not None and engine.name == "threads")
        self._cancellation = JobCancellation(jobs, self.webhooks.wake)
        self._runner = JobRunner(jobs, engine, self.source, self._cancellation, self.webhooks.wake)
        self._blocked_workers = BlockedWorkers(jobs, engine)
        self._maintenance = LedgerMaintenance(
            jobs, settings, directory.tasks, self._runner.dispatch_claimed, self._cancellation
        )
        self._listener = LedgerListener(jobs, self._maintenance.poll_soon, self._runner.wake)
        self._maintenance.every(_PROGRESS_INTERVAL, self._runner.write_progress)
        if runs_jobs:
            self._maintenance.every(STALL_INTERVAL, self._runner.give_back_stalled)
            self._maintenance.every(INTERVAL, UnknownTasks(jobs, directory.tasks).look)
            self._maintenance.every(INTERVAL, self._limited_jobs.mark)

    def __repr__(self) -> str:
        return f"<TasksRuntime of process {self.pid}: {self._runner!r}>"

    @property
    def is_running(self) -> bool:
        """Whether it belongs to this process, and has not ended."""
        return not self.has_ended and self.pid == os.getpid()

    def start(self) -> None:
        """Begin. What dead processes left behind is recovered first.

        Raises:
            LedgerError: If the ledger cannot be written.
            ThreadRefused: If the system starts no thread.
        """
        try:
            self._maintenance.heartbeat()
            # Before the first claim: their jobs count.
            self._limited_jobs.mark()
            self._listener.start(runs_jobs=self._pool is not None)
            # After an outage the lease is renewed before others count this process as gone.
            self._runner.start(self._maintenance.run_due, self._settings.lease / 3)
            self.webhooks.start()
        except BaseException:
            self.stop(0.0)
            raise
        # The pool finishes its jobs when the interpreter ends, and the outcomes must be written.
        atexit.register(self.stop)

    def stop(self, timeout: float | None = None) -> bool:
        """End; see `Tasks.stop`."""
        atexit.unregister(self.stop)
        if self.pid != os.getpid() or (self.has_ended and not self._claimed.attempts):
            return True
        self.has_ended = True
        shutdown_timeout = self._settings.shutdown_timeout if timeout is None else timeout
        if self._runner.stop(shutdown_timeout):
            self._finish(_FINAL_WAIT)
            return True
        # What is left goes on as long as this process lives, so its outcome has to be written:
        # when it ends, or at the end of the interpreter, which waits for the engine.
        atexit.register(self._finish, _FINAL_WAIT)
        with suppress(RuntimeError):  # there may be no thread to be had
            BackgroundThread("dewar-tasks-end", self._finish, None).start()
        return False

    def _finish(self, timeout: float | None) -> None:
        """End all parts after the last outcome, or after a time in seconds. It may run twice."""
        if self.pid != os.getpid():
            return
        is_empty = self._runner.finish(timeout)
        self._callback_queue.close(_FINAL_WAIT)
        self.webhooks.stop(_FINAL_WAIT)
        if self._pool is not None:
            self._pool.shutdown(wait=is_empty, cancel_futures=True)
        self.ledger.close()
        atexit.unregister(self._finish)

    # A job may call what follows, and its soft limit must not end a write half-way.

    @shielded
    def accept_one(self, new: NewJob, task: Any) -> StoredJob:
        """Accept a job of a task; see `Task.submit`."""
        if new.callback is not None or task.options.has_time_limit or new.priority:
            self._check(new, task)
        job = self._future_of(new.id, new.task)
        if not self._runner.submit_one(new):
            return self._found([new], [job], [False], task)[0]
        if not self._listener.hears_ends and not self._is_here(job):
            self._listener.hear_ends()
        return job

    @shielded
    def accept(self, new: Sequence[NewJob], task: Any) -> list[StoredJob]:
        """Accept jobs of a task, all with the same callback; see `Task.map`."""
        if new:
            self._check(new[0], task)
        jobs = [self._future_of(one.id, one.task) for one in new]
        accepted = self._runner.submit(new)
        if not all(accepted):
            return self._found(new, jobs, accepted, task)
        if not self._listener.hears_ends and not all(map(self._is_here, jobs)):
            self._listener.hear_ends()
        return jobs

    def _found(
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
        holders = {one.id: self._duplicates.pop(one.id, None) for one in new}
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

    @shielded
    def job(self, id: str) -> StoredJob:
        """Return a job; see `Tasks.get`."""
        record = self._record(id)
        job = self._future_of(id, record.task)
        if not record.state.is_final and not self._is_here(job):
            self._listener.hear_ends()
        # Looked up again: it may have ended before its Future was there.
        self._futures.resolve([self._record(id)])
        return job

    @shielded
    def status(self, id: str) -> JobStatus:
        """Return what the ledger knows of a job; see `Tasks.status`."""
        return JobStatus.of(self._record(id), self.directory.json.loads)

    @shielded
    def cancel(self, id: str, running: bool) -> bool:
        """Cancel a job; see `Tasks.cancel`."""
        if running and self._abilities.can_stop:
            # Before: its outcome, which may be another attempt, is written after this.
            self._runner.note_stopping(id)
        here = self._cancellation.cancel_claimed(id, running)
        if here is not None:
            return self._woken(here)
        record = self._record(id)
        if record.state is JobState.QUEUED and self._cancellation.cancel_waiting(id):
            return self._woken(True)
        if record.state.is_final or not running:
            return self._record(id).state is JobState.CANCELLED
        self._abilities.check_stop()
        return self.ledger.cancel_running(id)

    def _make_backend(self, *, waits: bool) -> JobBackend:
        return JobBackend(
            directory=self.directory,
            futures=self._futures,
            status=self.status,
            cancel=self.cancel,
            call_soon=self._callback_queue.call_soon,
            note_wait=self._note_wait,
            wait_for=self._wait_for if waits else wait_as_running,
        )

    @shielded
    def _note_wait(self) -> None:
        """Have the work that somebody waits for done at once, unless there is much of it."""
        if not self._claimed.has_backlog:
            self._runner.flush()

    def _wait_for(self, job: Job) -> None:
        engine: Any = self._engine
        engine.wait_for(job, self._blocked_workers.give_way)

    def _woken(self, is_cancelled: bool) -> bool:
        """Look at the ledger soon, to resolve the Future of a job that was cancelled there."""
        if is_cancelled:
            self._maintenance.poll_soon()
            self._runner.wake()
        return is_cancelled

    def _future_of(self, id: str, task: str) -> StoredJob:
        return self._futures.add(id, partial(StoredJob, id, task, self._backend))

    def _is_here(self, job: StoredJob) -> bool:
        """Return whether a job's end is known here, or will be without a notice of others."""
        return self._claimed.find(job.id) is not None or job.done()

    def _record(self, id: str) -> JobRecord:
        record = self.ledger.get(id)
        if record is None:
            raise UnknownJob(id)
        return record

    def _check(self, new: NewJob, task: Any) -> None:
        if new.callback is not None:
            self.webhooks.check(new.callback)
        self._abilities.check(new, task)
