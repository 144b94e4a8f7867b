"""`ManualRuntime`: a runtime without threads and files, for tests. Who asks for it runs the jobs.

Jobs go the way of all others: arguments and results through JSON, the ledger (in memory), claims,
attempts, retries. Only what gives them a time and a thread is replaced: the engine, the writer and
the clock.

Invariants:

1. A job is claimed only in `_claim`, one thread at a time, and runs in the thread that has called
   it.
2. No lock is held while a function runs, so a job may submit others and wait for them.
3. What it does for a job that submits or waits is shielded from the soft limit of that job.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import inf
from threading import RLock
from typing import Any

from dewar.tasks.directory import TaskDirectory
from dewar.tasks.engines.inline import InlineEngine
from dewar.tasks.engines.interface import Ability
from dewar.tasks.engines.threads import ThreadEngine
from dewar.tasks.errors import JobNotRun
from dewar.tasks.job import Job
from dewar.tasks.ledger.notifying_ledger import NotifyingLedger
from dewar.tasks.ledger.opening import open_memory_ledger
from dewar.tasks.ledger.records import NewJob
from dewar.tasks.pool import TaskPool
from dewar.tasks.progress import shielded
from dewar.tasks.runtime.direct_writer import DirectWriter
from dewar.tasks.runtime.job_clock import JobClock
from dewar.tasks.runtime.manual_transactions import ManualTransactions
from dewar.tasks.runtime.runtime import NewScheduled, TasksRuntime
from dewar.tasks.settings import TasksSettings
from dewar.tasks.stored_job import JobBackend, StoredJob

# The time between two jobs, in seconds: they are due in the order in which they were submitted.
_TICK = 0.001


class ManualJob(StoredJob):
    """A stored job that runs, at the latest, when somebody waits for it."""

    def _check_wait(self, timeout: float | None) -> None:  # noqa: ARG002  # a wait is a wait
        if self._wait is not None and not self.done():
            self._wait(self)


class ManualRuntime(TasksRuntime):
    """Accepts jobs, and runs them when it is told to. It has begun when it is made.

    Args:
        directory: As for the `TasksRuntime`.
        new_scheduled: The same.
        clock: The time of the jobs.
    """

    make_writer = DirectWriter

    def __init__(
        self, directory: TaskDirectory, new_scheduled: NewScheduled, clock: JobClock
    ) -> None:
        self._clock = clock
        self._outer = directory.clock, directory.monotonic
        directory.clock, directory.monotonic = clock.time, clock.monotonic
        self._accepting = RLock()
        self._last_due = 0.0
        super().__init__(directory, new_scheduled)
        self._claimed.close()
        self.transaction_jobs = ManualTransactions(  # type: ignore[assignment]  # accepts as well
            self._check, self._accept_committed, self._run_committed, self._future_of
        )
        # It begins, and starts nothing that would run on.
        self._maintenance.heartbeat()
        self._limited_jobs.mark()

    def _make_settings(self) -> TasksSettings:
        """Return the settings for one process that runs the jobs of all queues, one by one."""
        given = self.directory.settings()
        is_here = given.engine is None and given.processes is None
        self._abilities_there = ThreadEngine.abilities if is_here else frozenset(Ability)
        own = {"engine": None, "processes": None, "threads": 1, "prefetch": 1, "queues": None}
        worker = {"max_jobs_per_worker": None, "max_memory_per_worker": None, "run_jobs": True}
        return replace(given, **own, **worker, retention=None)  # type: ignore[arg-type]

    def _open_pool(self) -> TaskPool:
        self._inline = InlineEngine(self._abilities_there)
        return TaskPool(engine=self._inline)

    def _open_ledger(self) -> NotifyingLedger:
        return open_memory_ledger()

    def stop(self, timeout: float | None = None) -> bool:
        """End, and give the tasks their clock back; jobs that have not run are lost."""
        self.directory.clock, self.directory.monotonic = self._outer
        return super().stop(timeout)

    def accept_one(self, new: NewJob, task: Any) -> StoredJob:
        """Accept a job; see `TasksRuntime.accept_one`."""
        with self._accepting:
            return super().accept_one(self._in_order(new), task)

    def accept(self, new: Sequence[NewJob], task: Any) -> list[StoredJob]:
        """Accept jobs; see `TasksRuntime.accept`."""
        with self._accepting:
            return super().accept([self._in_order(one) for one in new], task)

    @shielded
    def accept_workflow(self, plan: Any, new: Sequence[NewJob]) -> None:
        """Accept the jobs of a workflow; see `TasksRuntime.accept_workflow`."""
        with self._accepting:
            super().accept_workflow(plan, [self._in_order(one) for one in new])

    def look_at_schedules(self) -> None:
        """Have the schedules begin that have not, before the time is moved; run nothing."""
        with self._accepting:
            self._scheduler.look()

    def run_due(self) -> int:
        """Run what is due, and what that submits, in this thread; return how many attempts."""
        count = 0
        if self.has_ended:
            return count
        while self._inline.run_next() or (self._claim() and self._inline.run_next()):
            count += 1
        return count

    def run_all(self) -> int:
        """Do the same with what waits for its time: the clock moves on, and nobody waits."""
        count = self.run_due()
        while (due := self._claimed.next_due) < inf:
            self._clock.move_on(due)
            count += self.run_due()
        return count

    def _accept_committed(self, new: NewJob, task: Any) -> None:
        ManualRuntime.accept_one(self, new, task)

    def _run_committed(self) -> None:
        """Do nothing: the jobs of a transaction wait like others."""

    def _claim(self) -> bool:
        """Claim the next job for this thread; return whether it has one to run."""
        claimed = self._claimed
        with self._accepting:
            self._clock.move_on(self._last_due)
            # One more than those that wait for others in the threads that call this.
            claimed.limit = max(1, 2 * len(claimed.attempts))
            claimed.claims_from = 0.0
            try:
                self._look()
                if claimed.wants_jobs and not self._inline.has_jobs:
                    self._look()  # a schedule has fired
            finally:
                claimed.close()
        return self._inline.has_jobs

    def _look(self) -> None:
        self._maintenance.run_due()

    def _in_order(self, new: NewJob) -> NewJob:
        if new.due > self.directory.clock():
            return new
        self._last_due = max(new.due, self._last_due + _TICK)
        return replace(new, due=self._last_due)

    def _make_backend(self, *, waits: bool) -> JobBackend:  # noqa: ARG002  # every wait is seen
        return super()._make_backend(waits=True)

    def _wait_for(self, job: Job) -> None:
        self.run_due()
        stored: Any = job
        if not job.done() and self._claimed.find(stored.id) is None:
            raise JobNotRun(stored.task)

    def _future_of(self, id: str, task: str) -> StoredJob:
        return self._futures.add(id, partial(ManualJob, id, task, self._backend))


class ImmediateRuntime(ManualRuntime):
    """Runs each job as soon as it is accepted, with its retries, in the thread that submits it.

    Args:
        directory: As for the `ManualRuntime`.
        new_scheduled: The same.
        propagate: Whether `submit` raises what a job raises.
    """

    def __init__(
        self, directory: TaskDirectory, new_scheduled: NewScheduled, propagate: bool = False
    ) -> None:
        super().__init__(directory, new_scheduled, JobClock())
        self._propagate = propagate

    @shielded
    def accept_one(self, new: NewJob, task: Any) -> StoredJob:
        """Accept a job, and run it."""
        with self._accepting:
            job = super().accept_one(new, task)
            self._claim()  # before another thread does
        return self._run([job])[0]

    @shielded
    def accept(self, new: Sequence[NewJob], task: Any) -> list[StoredJob]:
        """Accept jobs, and run them."""
        with self._accepting:
            jobs = super().accept(new, task)
            for _ in jobs:
                self._claim()
        return self._run(jobs)

    def accept_workflow(self, plan: Any, new: Sequence[NewJob]) -> None:
        """Accept the jobs of a workflow, and run them."""
        super().accept_workflow(plan, new)
        self._run(self.lookup.jobs([one.id for one in new]))

    def _run(self, jobs: list[StoredJob]) -> list[StoredJob]:
        self.run_all()
        for job in jobs:
            # One that another job holds back by its limit runs after that one.
            error = job.exception() if self._propagate and job.done() else None
            if error is not None:
                raise error
        return jobs

    def _run_committed(self) -> None:
        self.run_all()

    def _look(self) -> None:
        # Nothing else: what is to be done from time to time has no time here.
        self._maintenance.claim()
