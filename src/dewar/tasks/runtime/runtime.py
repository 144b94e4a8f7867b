"""`TasksRuntime`: what one process has for an app's tasks: ledger, pool, job runner, webhooks."""

import atexit
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from dewar.loop.call_queue import CallQueue
from dewar.support.background_thread import BackgroundThread
from dewar.support.metric_sources import metric_sources
from dewar.tasks.directory import TaskDirectory
from dewar.tasks.engines.execution import is_remote
from dewar.tasks.job import Job
from dewar.tasks.ledger.notifying_ledger import NotifyingLedger
from dewar.tasks.ledger.owners import this_owner
from dewar.tasks.ledger.queue_overview import read_queues
from dewar.tasks.ledger.records import JobState, NewJob
from dewar.tasks.metrics import job_counts
from dewar.tasks.pool import TaskPool
from dewar.tasks.progress import shielded
from dewar.tasks.runtime.blocked_workers import BlockedWorkers
from dewar.tasks.runtime.cancellation import JobCancellation
from dewar.tasks.runtime.claimed import STALL_INTERVAL
from dewar.tasks.runtime.declarations import INTERVAL as LOOK_INTERVAL
from dewar.tasks.runtime.engine_abilities import EngineAbilities
from dewar.tasks.runtime.group_commit import LedgerWriter
from dewar.tasks.runtime.job_lookup import JobLookup
from dewar.tasks.runtime.job_source import JobSource
from dewar.tasks.runtime.ledger_listener import LedgerListener
from dewar.tasks.runtime.limited_jobs import LimitedJobs
from dewar.tasks.runtime.maintenance import LedgerMaintenance
from dewar.tasks.runtime.pending_write import MakeWriter
from dewar.tasks.runtime.process_jobs import ProcessJobs
from dewar.tasks.runtime.queue_metrics import QueueMetrics
from dewar.tasks.runtime.runner import JobRunner
from dewar.tasks.runtime.runtime_parts import open_pool, process_jobs, wait_as_running
from dewar.tasks.runtime.scheduler import Scheduler
from dewar.tasks.runtime.stored_results import StoredResults
from dewar.tasks.runtime.transaction_jobs import TransactionJobs
from dewar.tasks.runtime.unknown_tasks import INTERVAL, UnknownTasks
from dewar.tasks.runtime.workflow_jobs import MISSED_INTERVAL, WorkflowJobs
from dewar.tasks.settings import TasksSettings
from dewar.tasks.stored_job import JobBackend, StoredJob
from dewar.tasks.webhooks.webhooks import Webhooks

# How often the progress of jobs is written, in seconds: a page shows no more.
_PROGRESS_INTERVAL = 0.2
# How long this package's own threads may take to end, in seconds.
_FINAL_WAIT = 5.0

#: Makes the job of a task for a due time, at a time.
NewScheduled = Callable[[Any, float, float], NewJob]


class TasksRuntime:
    """One process's part in an app's tasks, from the first job to the end of the process.

    It makes its parts one after the other, and each knows only those before it. Only the Futures
    of jobs and the atexit handler point back: a Future asks the runtime that it came from.

    Args:
        directory: The tasks, their app and their settings.
        new_scheduled: Makes the job of a task for a due time, at a time.
    """

    def __init__(self, directory: TaskDirectory, new_scheduled: NewScheduled) -> None:
        self.directory = directory
        #: The process that it was made in: a fork inherits it, and must not use it.
        self.pid = os.getpid()
        self.has_ended = False
        self._settings = settings = self._make_settings()
        # On the remote side of an engine another process stores the jobs and runs them.
        runs_jobs = settings.run_jobs and not is_remote.get()
        self._pool = self._open_pool() if runs_jobs else None
        engine = None if self._pool is None else self._pool.engine
        self._engine, self._abilities = engine, EngineAbilities(engine)
        self.ledger = self._open_ledger()
        owner = this_owner(directory.clock())
        jobs = process_jobs(directory, self.ledger, owner, settings, runs_jobs)
        self._futures, self._duplicates = jobs.futures, jobs.duplicates
        self._limited_jobs = LimitedJobs(jobs)
        self.webhooks = Webhooks(self.ledger, settings, owner.id)
        self._callback_queue = CallQueue("dewar-tasks-callbacks")
        self._claimed = jobs.claimed
        is_local = engine is not None and engine.name == "threads"
        self.source = JobSource(directory, is_local, StoredResults(self.ledger))
        self._cancellation = JobCancellation(jobs, self.webhooks.wake)
        self._runner = JobRunner(
            jobs, engine, self.source, self._cancellation, self.webhooks.wake, self.make_writer
        )
        self._blocked_workers = BlockedWorkers(jobs, engine)
        self._maintenance = LedgerMaintenance(
            jobs, settings, directory.tasks, self._runner.dispatch_claimed, self._cancellation
        )
        self._moments = jobs.moments
        self._queues = QueueMetrics(partial(read_queues, self.ledger.database))
        self._listener = LedgerListener(jobs, self._maintenance.poll_soon, self._runner.wake)
        self.lookup = JobLookup(jobs, directory, self._future_of, self._listener.hear_ends)
        self._backend = self._make_backend(waits=hasattr(engine, "wait_for"))
        self.transaction_jobs = TransactionJobs(jobs, self._listener, self._check, self._future_of)
        self.workflows = WorkflowJobs(jobs, self._cancellation, self._runner.wake)
        self.ledger.on_settled = self.workflows.note_settled
        self._maintenance.every(_PROGRESS_INTERVAL, self._runner.write_progress)
        if runs_jobs:
            self._add_timers(jobs, new_scheduled)

    def _add_timers(self, jobs: ProcessJobs, new_scheduled: NewScheduled) -> None:
        """Have done from time to time what a process does that runs jobs."""
        self._scheduler = Scheduler(
            jobs,
            self.directory,
            new_scheduled,
            self._abilities.check,
            self._cancellation.note_written,
            self._maintenance.hasten,
        )
        self._maintenance.every(LOOK_INTERVAL, self._scheduler.look)
        self._maintenance.every(INTERVAL, UnknownTasks(jobs, self.directory.tasks).look)
        self._maintenance.every(INTERVAL, self._limited_jobs.mark)
        self._maintenance.every(MISSED_INTERVAL, self.workflows.settle_missed)
        self._maintenance.every(STALL_INTERVAL, self._runner.give_back_stalled)

    def __repr__(self) -> str:
        return f"<TasksRuntime of process {self.pid}: {self._runner!r}>"

    # What a runtime for tests has in another way.

    make_writer: MakeWriter = LedgerWriter

    def _make_settings(self) -> TasksSettings:
        return self.directory.settings()

    def _open_pool(self) -> TaskPool:
        return open_pool(self._settings, self.directory)

    def _open_ledger(self) -> NotifyingLedger:
        return self.directory.open_ledger()

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
        metric_sources.add(job_counts.families)
        metric_sources.add(self._queues.families)
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
        self._moments.close(_FINAL_WAIT)
        metric_sources.remove(self._queues.families)
        self._queues.close(_FINAL_WAIT)
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
            return self.lookup.found([new], [job], [False], task)[0]
        if not self._listener.hears_ends and not self.lookup.is_here(job):
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
            return self.lookup.found(new, jobs, accepted, task)
        if not self._listener.hears_ends and not all(map(self.lookup.is_here, jobs)):
            self._listener.hear_ends()
        return jobs

    @shielded
    def accept_workflow(self, plan: Any, new: Sequence[NewJob]) -> None:
        """Accept all jobs of a `WorkflowPlan`, or none; see `WorkflowJobs.accept`."""
        for one, planned in zip(new, plan.jobs, strict=True):
            self._check(one, planned.task)
        self.workflows.accept(plan.id, json.dumps(plan.ends), new)

    @shielded
    def cancel_workflow(self, id: str, running: bool) -> bool:
        """Cancel what waits of a workflow, and stop what runs; return whether there was any."""
        self.workflows.find(id)
        cancelled, begun = self._cancellation.cancel_workflow(id)
        did = bool(cancelled)
        if running:
            for job in {*begun, *self.ledger.workflows.running(id)}:
                did |= self.cancel(job, True)
        return self._woken(did)

    @shielded
    def cancel(self, id: str, running: bool) -> bool:
        """Cancel a job; see `Tasks.cancel`."""
        if running and self._abilities.can_stop:
            # Before: its outcome, which may be another attempt, is written after this.
            self._runner.note_stopping(id)
        here = self._cancellation.cancel_claimed(id, running)
        if here is not None:
            return self._woken(here)
        record = self.lookup.record(id)
        if record.state is JobState.QUEUED and self._cancellation.cancel_waiting(id):
            return self._woken(True)
        if record.state.is_final or not running:
            return self.lookup.record(id).state is JobState.CANCELLED
        self._abilities.check_stop()
        return self.ledger.cancel_running(id)

    def _make_backend(self, *, waits: bool) -> JobBackend:
        return JobBackend(
            directory=self.directory,
            futures=self._futures,
            status=self.lookup.status,
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

    def _check(self, new: NewJob, task: Any) -> None:
        if new.callback is not None:
            self.webhooks.check(new.callback)
        self._abilities.check(new, task)
