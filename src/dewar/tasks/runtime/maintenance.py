"""`LedgerMaintenance`: renews the lease, recovers and claims jobs, and follows other processes.

All of it runs on the writer's thread, except `poll_soon`, which any thread may call.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from math import inf

from dewar.tasks.errors import LedgerError, NotSupported
from dewar.tasks.ledger.notifications import JOBS, Topic
from dewar.tasks.ledger.owner_watch import OwnerWatch
from dewar.tasks.ledger.records import JobRecord
from dewar.tasks.ledger.recovery import bring_forward
from dewar.tasks.runtime.cancellation import JobCancellation
from dewar.tasks.runtime.clock_steps import ClockSteps
from dewar.tasks.runtime.process_jobs import ProcessJobs
from dewar.tasks.runtime.retention_clock import RetentionClock
from dewar.tasks.settings import TasksSettings

_logger = logging.getLogger("dewar.tasks")
# How often jobs that ended long ago are deleted, in seconds, and how many at a time: some 20 ms.
_PURGE_INTERVAL, _PURGE_LIMIT = 60.0, 1000
# The least seconds between two looks at the ledger, shortly after something happened.
_SHORTEST_POLL = 0.005
# How many jobs are looked up at a time.
_LOOKUP_LIMIT = 200
# After how many seconds at most something is done again that the database has not allowed.
_RETRY = 1.0


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

    def add(self, interval: float, do: Callable[[], object], due: float = 0.0) -> None:
        """Have a function called at a time, or at once, and every *interval* seconds from then."""
        self._timers.append(_Timer(interval, do, due))

    def run(self, now: float) -> float:
        """Call what is due; return the seconds until something is due again.

        If a function raises, it is due again after its interval, and later ones are not called. If
        the database was away, that is soon.
        """
        for one in self._timers:
            if one.due <= now:
                one.due = now + one.interval
                try:
                    one.do()
                except LedgerError:
                    one.due = min(one.due, now + _RETRY)
                    raise
        return max(0.0, min(one.due for one in self._timers) - now)

    def make_due(self, do: Callable[[], object], at: float = 0.0) -> None:
        """Make a function due now, or at a time if it is due later. Any thread may call it."""
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
        self._watch = OwnerWatch(settings.lease, jobs.monotonic)
        self._clock_steps = ClockSteps(jobs.clock, jobs.monotonic)
        self._tasks = tasks
        self._dispatch = dispatch
        self._cancellation = cancellation
        self._seen: object = None
        self._poll_took = 0.0
        # The jobs of which it is logged that they cannot be stopped.
        self._unstoppable: set[str] = set()
        self._lookup_start = 0  # Which jobs of other processes are looked up next.
        self._timers = Timers()
        self._timers.add(settings.lease / 3, self.heartbeat)
        self._timers.add(settings.poll, self._poll)
        kept = inf if settings.retention_seconds is None else settings.retention_seconds
        self._retention = RetentionClock(jobs.clock, jobs.monotonic, kept)
        if kept < inf:
            # A short retention is kept to within a tenth.
            interval = min(_PURGE_INTERVAL, max(1.0, kept / 10))
            # Not at once: a clock that is wrong when this process starts may be set right soon.
            self._timers.add(interval, self._purge_ended, jobs.monotonic() + interval)

    def __repr__(self) -> str:
        return f"<LedgerMaintenance {self._timers!r}>"

    def every(self, interval: float, do: Callable[[], object]) -> None:
        """Have a function called every *interval* seconds. Call it before the writer starts."""
        self._timers.add(interval, do)

    def hasten(self, do: Callable[[], object], seconds: float) -> None:
        """Have such a function called in a number of seconds, if it is due later."""
        self._timers.make_due(do, self._jobs.monotonic() + seconds)

    def poll_soon(self) -> None:
        """Make the look at the ledger due at once."""
        self._claimed.note_jobs()
        self._timers.make_due(self._poll)

    def run_due(self) -> float:
        """Do what is due; return the seconds until something is due again."""
        claimed = self._claimed
        self.claim()
        now = self._jobs.monotonic()
        due_in = self._timers.run(now)
        # A job for later, or the next one of a task with a rate, is claimed at its time.
        next_due_in = claimed.next_due - self._jobs.clock()
        if 0 < next_due_in < due_in:
            due_in = next_due_in
        if claimed.attempts or self._ledger.notifications.is_listening:
            return due_in
        # This process has nothing to do, or waits for others, and nobody tells it. A share of the
        # time that has passed: the next job of a series is found at once, the end of a long one
        # soon enough, and a quiet process looks as seldom as it may. Looks that take long are rare.
        quiet = now - self._claimed.active_at
        pause = max(_SHORTEST_POLL, quiet / 4, 4 * self._poll_took)
        self._timers.make_due(self._poll, now + pause)
        return min(due_in, pause)

    def claim(self) -> None:
        """Claim jobs, and give them to the engine, if there are some and it is time to."""
        claimed = self._claimed
        claimed.note_time(self._jobs.clock())
        if claimed.wants_jobs:
            self._claim()

    def heartbeat(self) -> None:
        """Renew the lease of this process, and recover the jobs of processes that have died."""
        now = self._jobs.clock()
        self._ledger.notifications.maintain()
        if not self._ledger.beat(self._jobs.owner, now + self._lease):
            self._note_forgotten()
        recovered = self._ledger.recover(now, self._watch.gone, self._jobs.describe)
        if recovered.requeued or recovered.lost:
            _logger.warning(
                "A process is gone. Of its jobs, run again: %d; lost: %d",
                len(recovered.requeued),
                len(recovered.lost),
            )
        if recovered.requeued or recovered.lost or recovered.cancelled:
            self.poll_soon()  # others are told, and this process may run or await them too
        self._jobs.moments.changed([*recovered.requeued, *recovered.lost, *recovered.cancelled])
        self._retention.observe()
        if self._clock_steps.take_step_back():
            self._bring_forward()

    def _bring_forward(self) -> None:
        """Let jobs run that were due at once before the clock was set back."""
        count = bring_forward(self._ledger.database, self._jobs.clock)
        if count:
            _logger.warning(
                "The clock was set back. Jobs that were due before, and are now: %d", count
            )
            self.poll_soon()
            self._ledger.notifications.notify(JOBS)

    def _note_forgotten(self) -> None:
        """Let go of the jobs that others have taken over, if there are any.

        A running one goes on, because nobody can tell how far it is. Its outcome counts only if
        the job is still this process's, at the same attempt.
        """
        if self._claimed.attempts:
            dropped = self._claimed.drop_waiting()
            self._ledger.release(self._jobs.owner.id, dropped)
            _logger.warning(
                "This process could not renew its lease of %g seconds, and another one has taken"
                " over its jobs. Given back: %d; still running here, perhaps for nothing: %d."
                " Set TASKS_LEASE to more than the longest time without the database or without"
                " a free interpreter lock",
                self._lease,
                len(dropped),
                len(self._claimed.attempts),
            )

    def _poll(self) -> None:
        """Look at what other processes have changed in the ledger."""
        began = self._jobs.monotonic()
        claimed, seen = self._claimed, self._ledger.changes()
        changed, self._seen = seen != self._seen, seen
        claimed.note_time(self._jobs.clock())
        if changed or claimed.may_have_jobs:
            self._claim()
        if changed and claimed.attempts:
            self._apply_stop_requests()
            self._drop_cancelled()
        if changed:
            self._resolve_elsewhere()
        self._poll_took = self._jobs.monotonic() - began

    def _claim(self) -> None:
        claimed, now = self._claimed, self._jobs.clock()
        room = claimed.room
        if not room or self._jobs.monotonic() < claimed.claims_from:
            return
        records = self._look(room, now)
        if records:
            claimed.active_at = self._jobs.monotonic()
        for record in records:
            self._dispatch(record)

    def _look(self, room: int, now: float) -> list[JobRecord]:
        """Claim jobs, and note what is left."""
        claimed, rules = self._claimed, self._jobs.rules()
        claimed.begin_look()
        try:
            records = self._ledger.claim(self._jobs.owner.id, room, now, self._tasks, rules)
            claimed.note_claimed([record.priority for record in records], room)
            if len(records) < room:
                claimed.note_outlook(self._ledger.outlook(self._tasks, rules))
        except LedgerError:
            claimed.note_jobs()
            raise
        return records

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
        self._ledger.notifications.add_topic(Topic.ENDED)
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
            some = [attempt.record.id for attempt in waiting[start : start + _LOOKUP_LIMIT]]
            for record in self._ledger.get_many(some).values():
                if self._claimed.drop_cancelled(record):
                    self._futures.resolve([record])

    def _purge_ended(self) -> None:
        """Delete some of the jobs that ended long ago, and the rest after what waits is written."""
        before = self._retention.oldest_kept()
        if self._ledger.purge(before, _PURGE_LIMIT) >= _PURGE_LIMIT:
            self._timers.make_due(self._purge_ended)
