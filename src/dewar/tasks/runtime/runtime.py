"""`TasksRuntime`: what one process has for an app's tasks: ledger, pool, job runner, webhooks."""

import atexit
import json
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
from dewar.tasks.engines.interface import Ability
from dewar.tasks.errors import NotSupported, QueueFull, UnknownJob
from dewar.tasks.job import Job
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.outbox_insert import describe_record
from dewar.tasks.ledger.owners import this_owner
from dewar.tasks.ledger.records import JobRecord, JobState, NewJob
from dewar.tasks.pool import TaskPool
from dewar.tasks.progress import running
from dewar.tasks.runtime.blocked_workers import BlockedWorkers
from dewar.tasks.runtime.cancellation import JobCancellation
from dewar.tasks.runtime.claimed import ClaimedJobs
from dewar.tasks.runtime.job_source import JobSource
from dewar.tasks.runtime.maintenance import LedgerMaintenance
from dewar.tasks.runtime.outcomes import describe_outcome
from dewar.tasks.runtime.process_jobs import ProcessJobs
from dewar.tasks.runtime.runner import JobRunner
from dewar.tasks.runtime.unknown_tasks import INTERVAL, UnknownTasks
from dewar.tasks.settings import TasksSettings
from dewar.tasks.status import JobStatus
from dewar.tasks.stored_job import JobBackend, JobFutures, StoredJob
from dewar.tasks.webhooks.webhooks import Webhooks

# How many threads run jobs if no setting says so.
_THREADS = 4
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
        self._pool = _open_pool(settings) if runs_jobs else None
        engine = None if self._pool is None else self._pool.engine
        self._engine = engine
        self.ledger: Ledger = open_ledger(directory.ledger_location(), durable=settings.durable)
        owner = this_owner(time.time())
        self.webhooks = Webhooks(self.ledger, settings, owner.id)
        self._callback_queue = CallQueue("dewar-tasks-callbacks")
        self._futures = JobFutures()
        self._backend = JobBackend(
            directory=directory,
            futures=self._futures,
            status=self.status,
            cancel=self.cancel,
            call_soon=self._callback_queue.call_soon,
            wait_for=self._wait_for if hasattr(engine, "wait_for") else _wait_as_running,
        )
        jobs = ProcessJobs(
            ledger=self.ledger,
            owner=owner,
            claimed=ClaimedJobs(_workers(settings), settings.prefetch, runs_jobs),
            futures=self._futures,
            describe=partial(_describe, directory),
            clock=time.time,
            monotonic=time.monotonic,
        )
        self.source = JobSource(directory, engine is not None and engine.name == "threads")
        self._cancellation = JobCancellation(jobs, self.webhooks.wake)
        self._runner = JobRunner(jobs, engine, self.source, self._cancellation, self.webhooks.wake)
        self._blocked_workers = BlockedWorkers(jobs, self._runner.give_back_waiting, engine)
        self._maintenance = LedgerMaintenance(
            jobs, settings, directory.tasks, self._runner.dispatch_claimed, self._cancellation
        )
        self._maintenance.every(_PROGRESS_INTERVAL, self._runner.write_progress)
        if runs_jobs:
            self._maintenance.every(INTERVAL, UnknownTasks(jobs, directory.tasks).look)

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
        if self.pid != os.getpid() or (self.has_ended and self._runner.is_idle):
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

    def accept_one(self, new: NewJob, task: Any) -> StoredJob:
        """Accept a job of a task; see `Task.submit`."""
        if new.callback is not None or task.options.timeout is not None:
            self._check(new, task)
        job = self._future_of(new.id, new.task)
        if not self._runner.submit_one(new):
            raise QueueFull(f"The task {task.name}", task.options.max_queue)
        return job

    def accept(self, new: Sequence[NewJob], task: Any) -> list[StoredJob]:
        """Accept jobs of a task, all with the same callback; see `Task.map`."""
        if new:
            self._check(new[0], task)
        jobs = [self._future_of(one.id, one.task) for one in new]
        accepted = self._runner.submit(new)
        if not all(accepted):
            kept = [job for job, is_kept in zip(jobs, accepted, strict=True) if is_kept]
            raise QueueFull(f"The task {task.name}", task.options.max_queue, kept)
        return jobs

    def job(self, id: str) -> StoredJob:
        """Return a job; see `Tasks.get`."""
        record = self._record(id)
        job = self._future_of(id, record.task)
        # Looked up again: it may have ended before its Future was there.
        self._futures.resolve([self._record(id)])
        return job

    def status(self, id: str) -> JobStatus:
        """Return what the ledger knows of a job; see `Tasks.status`."""
        return JobStatus.of(self._record(id), self.directory.json.loads)

    def cancel(self, id: str, running: bool) -> bool:
        """Cancel a job; see `Tasks.cancel`."""
        here = self._cancellation.cancel_claimed(id, running)
        if here is not None:
            return self._woken(here)
        record = self._record(id)
        if record.state is JobState.QUEUED and self._cancellation.cancel_waiting(id):
            return self._woken(True)
        if record.state.is_final or not running:
            return self._record(id).state is JobState.CANCELLED
        self._check_ability(Ability.STOP, "Wait for it, or let it look at a flag now and then.")
        return self.ledger.cancel_running(id)

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

    def _record(self, id: str) -> JobRecord:
        record = self.ledger.get(id)
        if record is None:
            raise UnknownJob(id)
        return record

    def _check(self, new: NewJob, task: Any) -> None:
        if new.callback is not None:
            self.webhooks.check(new.callback)
        if task.options.timeout is not None:
            self._check_ability(
                Ability.TIMEOUT, "Run tasks with a timeout in processes: Tasks(app, processes=2)."
            )

    def _check_ability(self, ability: Ability, repair: str) -> None:
        engine = self._engine
        if engine is not None and ability not in engine.abilities:
            raise NotSupported(engine.name, ability.value, repair)


def _wait_as_running(job: Job) -> None:
    """Wait for a job in a worker process, as its parent wants it done."""
    here = running.get(None)
    if here is not None and here.wait_for is not None:
        here.wait_for(job)


def _open_pool(settings: TasksSettings) -> TaskPool:
    if settings.engine is not None:
        return TaskPool(engine=settings.engine)
    if settings.processes is not None:
        return TaskPool(processes=settings.processes)
    return TaskPool(threads=settings.threads or _THREADS, thread_name_prefix="dewar-task")


def _workers(settings: TasksSettings) -> int | None:
    """Return how many jobs run at a time; None if only the remote side knows."""
    return (
        None if settings.engine is not None else settings.processes or settings.threads or _THREADS
    )


def _describe(directory: TaskDirectory, record: JobRecord) -> str:
    """Return the callback's body of a job that ended without an attempt's outcome."""
    error = None if record.error is None else json.loads(record.error)
    try:
        return describe_outcome(record, record.state, None, error, directory.json)
    except Exception:  # noqa: BLE001  # the app's own JSON; the transaction must not fail with it
        return describe_record(record)
