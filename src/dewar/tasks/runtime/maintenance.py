"""`LedgerMaintenance`: renews the lease, recovers and claims jobs, and follows other processes.

All of it runs on the writer's thread, except `poll_soon`, which any thread may call.
"""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from math import inf

from dewar.tasks.errors import NotSupported
from dewar.tasks.ledger.owners import is_alive
from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.runtime.cancellation import JobCancellation
from dewar.tasks.runtime.process_jobs import ProcessJobs
from dewar.tasks.settings import TasksSettings

_logger = logging.getLogger("dewar.tasks")
# How often jobs that ended long ago are deleted, in seconds, and how many at a time.
_PURGE_INTERVAL, _PURGE_LIMIT = 60.0, 1000
# The shortest pause between two looks at the ledger, in seconds, and how many times the processor
# time of a look it is at least.
_MIN_PAUSE, _MIN_RATIO = 0.005, 20.0
# How many jobs are looked up at a time.
_LOOKUP_LIMIT = 200


@dataclass(slots=True)
class _Timer:
    interval: float
    do: Callable[[], object]
    due: float


class Timers:
    """Functions that one thread calls at intervals. It reads no clock."""

    def __init__(self) -> None:
        self._timers: list[_Timer] = []

    def __repr__(self) -> str:
        return f"<Timers {[(one.do.__name__, one.due) for one in self._timers]}>"

    def add(self, interval: float, do: Callable[[], object]) -> None:
        """Have a function called at once, and every *interval* seconds from then on."""
        self._timers.append(_Timer(interval, do, due=0.0))

    def run(self, now: float) -> float:
        """Call what is due; return the seconds until something is due again.

        If a function raises, it is due again after its interval, and later ones are not called.
        """
        for one in self._timers:
            if one.due <= now:
                one.due = now + one.interval
                one.do()
        return max(0.0, min(one.due for one in self._timers) - now)

    def make_due(self, do: Callable[[], object], at: float = 0.0) -> None:
        """Make a function due at a time, if it is not due before; by default now.

        Any thread may call it.
        """
        for one in self._timers:
            if one.do == do:
                one.due = min(one.due, at)


class LedgerMaintenance:
    """Does what a process has to do in its ledger from time to time.

    Args:
        jobs: The jobs of this process.
        settings: How often, and what.
        tasks: The names of the tasks that this process can run.
        dispatch: Gives a claimed job to the engine.
        cancellation: Cancels what another process asks for.
    """

    def __init__(
        self,
        jobs: ProcessJobs,
        settings: TasksSettings,
        tasks: Collection[str],
        dispatch: Callable[[JobRecord], None],
        cancellation: JobCancellation,
    ) -> None:
        self._ledger, self._claimed, self._futures = jobs.ledger, jobs.claimed, jobs.futures
        self._jobs = jobs
        self._lease = settings.lease
        self._tasks = tasks
        self._dispatch = dispatch
        self._cancellation = cancellation
        self._seen: object = None
        self._pause = self._interval = settings.poll
        # The jobs of which it is logged that they cannot be stopped.
        self._unstoppable: set[str] = set()
        self._lookup_start = 0  # Which jobs of other processes are looked up next.
        self._timers = Timers()
        self._timers.add(settings.lease / 3, self.heartbeat)
        self._timers.add(settings.poll, self._poll)
        if settings.retention_seconds is not None:
            self._retention = settings.retention_seconds
            self._timers.add(_PURGE_INTERVAL, self._purge_ended)

    def __repr__(self) -> str:
        return f"<LedgerMaintenance {self._timers!r}>"

    def every(self, interval: float, do: Callable[[], object]) -> None:
        """Have a function called every *interval* seconds. Call it before the writer starts."""
        self._timers.add(interval, do)

    def poll_soon(self) -> None:
        """Make the look at the ledger due at once."""
        self._claimed.may_have_jobs = True
        self._timers.make_due(self._poll)

    def run_due(self) -> float:
        """Do what is due; return the seconds until something is due again."""
        if self._claimed.wants_jobs:
            self._claim()
        return self._timers.run(self._jobs.clock())

    def heartbeat(self) -> None:
        """Renew the lease of this process, and recover the jobs of processes that have died."""
        now = self._jobs.clock()
        self._ledger.beat(self._jobs.owner, now + self._lease)
        recovered = self._ledger.recover(now, is_alive, self._jobs.describe)
        if recovered.requeued or recovered.lost:
            _logger.warning(
                "A process has died. Of its jobs, run again: %d; lost: %d",
                len(recovered.requeued),
                len(recovered.lost),
            )
            self._claimed.may_have_jobs = True

    def _poll(self) -> None:
        """Look at what other processes have changed in the ledger, and decide when to look again.

        Where something has just changed, more is likely to: a job is accepted in one process and
        runs in another. So a process without jobs of its own looks again soon, and each look that
        finds nothing doubles the pause. A busy one takes the time for its jobs.
        """
        was_idle, began = not self._claimed.attempts, time.thread_time()
        if self._look() and was_idle:
            took = time.thread_time() - began
            self._pause = max(_MIN_PAUSE, took * _MIN_RATIO)
        else:
            self._pause = min(2 * self._pause, self._interval)
        self._timers.make_due(self._poll, self._jobs.clock() + self._pause)

    def _look(self) -> bool:
        """Look at what other processes have changed; return whether anything has changed."""
        claimed, seen = self._claimed, self._ledger.changes()
        changed, self._seen = seen != self._seen, seen
        if changed or claimed.may_have_jobs or claimed.next_due <= self._jobs.clock():
            self._claim()
        if changed and claimed.attempts:
            self._apply_stop_requests()
            self._drop_cancelled()
        if changed:
            self._resolve_elsewhere()
        return changed

    def _claim(self) -> None:
        claimed, now = self._claimed, self._jobs.clock()
        room = claimed.room
        if not room or now < claimed.claims_from:
            return
        records = self._ledger.claim(self._jobs.owner.id, room, now, self._tasks)
        claimed.may_have_jobs = len(records) == room
        if not claimed.may_have_jobs:
            claimed.next_due = self._ledger.next_due(self._tasks) or inf
        for record in records:
            self._dispatch(record)

    def _apply_stop_requests(self) -> None:
        """Stop the jobs that another process was asked to stop."""
        requests = self._ledger.stop_requests(self._jobs.owner.id)
        self._unstoppable.intersection_update(requests)
        for id in requests:
            try:
                self._cancellation.cancel_claimed(id, running=True)
            except NotSupported as error:
                # The request stays, and is found again with each change of the ledger.
                if id not in self._unstoppable:
                    self._unstoppable.add(id)
                    _logger.warning("The job %s goes on: %s", id, error)

    def _resolve_elsewhere(self) -> None:
        """Resolve the Futures of jobs that another process has ended."""
        away = [id for id in self._futures.ids() if self._claimed.find(id) is None]
        if not away:
            return
        # The oldest first, and the others in turn: there may be thousands.
        first = self._lookup_start = (
            self._lookup_start + _LOOKUP_LIMIT
            if self._lookup_start + _LOOKUP_LIMIT < len(away)
            else 0
        )
        ids = [*away[:_LOOKUP_LIMIT], *away[max(first, _LOOKUP_LIMIT) : first + _LOOKUP_LIMIT]]
        self._futures.resolve(self._ledger.get_many(ids).values())

    def _drop_cancelled(self) -> None:
        """Drop the attempts that have not begun and whose jobs another process has cancelled."""
        waiting = [a for a in self._claimed.all() if not a.running() and not a.done()]
        for start in range(0, len(waiting), _LOOKUP_LIMIT):
            some = {
                attempt.record.id: attempt for attempt in waiting[start : start + _LOOKUP_LIMIT]
            }
            for record in self._ledger.get_many(list(some)).values():
                if record.state is JobState.CANCELLED and some[record.id].cancel():
                    self._claimed.take(record.id)
                    self._futures.resolve([record])

    def _purge_ended(self) -> None:
        """Delete some of the jobs that ended long ago; the rest the next time."""
        self._ledger.purge(self._jobs.clock() - self._retention, _PURGE_LIMIT)
