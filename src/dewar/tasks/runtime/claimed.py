"""`ClaimedJobs`: the jobs that one process has claimed, and when to claim more, and how many."""

import threading
from collections.abc import Sequence
from math import inf

from dewar.tasks.ledger.claiming import Outlook
from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.runtime.attempt import Attempt

# A process claims what it will run within this time, in seconds: with more, other processes would
# be idle while its jobs wait; with less, its own workers would wait for the database.
_HORIZON = 0.5
#: How long the same jobs have to run until others do not wait for them here, in seconds.
STALL_INTERVAL = _HORIZON
# A process that has left no job to others for this time looks at once after the next, in seconds.
_QUIET_TIME = 0.1
# How long it is likely that another process has the next job of a series, in seconds.
_ACTIVE = 1.0
# Less than any priority.
_LEAST_PRIORITY = -1000
# The share of the latest second in the rate.
_WEIGHT = 0.5


class ClaimedJobs:
    """Attempts by the ids of their jobs.

    Any thread may call any method, except `note_ended`, which is the writer's. PERF: what happens
    to each job is one look at an attribute, or one operation on the dict.

    Args:
        workers: How many jobs run at a time; None if only the remote side knows.
        prefetch: The most to claim.
        runs_jobs: Whether this process runs jobs at all.

    Attributes:
        attempts: The attempts. Use `take` to remove one.
        limit: How many to hold at most.
        claims_from: When this process claims jobs again; infinite if it never does.
        may_have_jobs: Whether the ledger may have a job to claim.
        waiting_priority: The highest priority of the jobs that may wait there, as far as is known.
        next_due: When it has one at the latest, as far as is known.
        active_at: When this process last claimed a job, or left one to others; monotonic.
    """

    def __init__(self, workers: int | None, prefetch: int, runs_jobs: bool = True) -> None:
        self.attempts: dict[str, Attempt] = {}
        self._prefetch = prefetch
        self._minimum = prefetch if workers is None else min(prefetch, 2 * workers)
        self._rate = 0.0
        self._ended = 0
        self._since: float | None = None
        self._changing = threading.Lock()
        self._emptied = threading.Condition()
        self._workers = prefetch if workers is None else workers
        # The jobs that have ended, and whose outcomes are not written.
        self._finished: set[str] = set()
        # What ran at the last look of `drop_stalled`, if others waited for it.
        self._running: frozenset[str] = frozenset()
        self.limit = self._minimum
        self.claims_from = 0.0 if runs_jobs else inf
        self.may_have_jobs = True
        self.waiting_priority = _LEAST_PRIORITY
        self._waits_for_end = False
        # What was noted since the latest look began: whether there are jobs, and their priority.
        self._is_noted, self._noted_priority = True, _LEAST_PRIORITY
        self.next_due = 0.0
        self.active_at = -inf

    def __len__(self) -> int:
        return len(self.attempts)

    def __repr__(self) -> str:
        return f"<ClaimedJobs {len(self.attempts)}, at most {self.limit}>"

    @property
    def room(self) -> int:
        """How many more it should hold."""
        return max(0, self.limit - len(self.attempts))

    @property
    def room_at_once(self) -> int:
        """How many new jobs may be claimed before those that wait in the ledger.

        While some may wait there, new ones leave half of the room to them. Otherwise a process that
        always gets new ones would never run low, and those that wait would never run.
        """
        limit = self.limit // 2 if self.may_have_jobs else self.limit
        return limit - len(self.attempts)

    @property
    def is_running_low(self) -> bool:
        """Whether it is time to claim more."""
        return 2 * len(self.attempts) <= self.limit

    @property
    def wants_jobs(self) -> bool:
        """Whether the ledger may have a job to claim, and it is time to."""
        return self.may_have_jobs and self.is_running_low

    @property
    def has_backlog(self) -> bool:
        """Whether more jobs are here, and have not ended, than run at a time."""
        return len(self.attempts) - len(self._finished) > self._workers

    def is_active(self, now: float) -> bool:
        """Whether it is worth while to look at the ledger often, at a monotonic time."""
        return now - self.active_at < _ACTIVE

    def pause(self, until: float) -> None:
        """Claim nothing before a time."""
        with self._changing:
            self.claims_from = max(self.claims_from, until)

    def close(self) -> None:
        """Claim nothing more."""
        with self._changing:
            self.claims_from = inf

    def begin_look(self) -> None:
        """Begin a look at the ledger. What is noted during it is not forgotten after it.

        Until it has ended, the jobs that it is for wait: new ones must not pass them.
        """
        self._is_noted = False
        self._noted_priority = _LEAST_PRIORITY
        self.next_due = inf

    def note_jobs(self) -> None:
        """Note that the ledger may have a job to claim."""
        # In this order, because `note_claimed` has the opposite one.
        self._is_noted = True
        self.may_have_jobs = True

    def note_claimed(self, priorities: Sequence[int], room: int) -> None:
        """Note the priorities of the jobs that were claimed, for which there was some room."""
        self.may_have_jobs = False
        if len(priorities) == room or self._is_noted:
            self.may_have_jobs = True
        # Those that are left have no higher one, except for jobs that came since.
        self.waiting_priority = max((self._noted_priority, *priorities))

    def note_outlook(self, outlook: Outlook) -> None:
        """Note when the ledger has the next job to claim."""
        self.note_queued(outlook.next_due)
        self._waits_for_end = outlook.is_blocked

    def note_time(self, now: float) -> None:
        """Note that a job for later may be due by now, in seconds since the epoch."""
        if self.next_due <= now:
            self.note_jobs()

    def note_left(self, priority: int) -> bool:
        """Note a job that others may run; return whether no look at the ledger is to come yet."""
        is_news = not self._is_noted
        self._noted_priority = max(self._noted_priority, priority)
        self.waiting_priority = max(self.waiting_priority, priority)
        self.note_jobs()
        return is_news

    def note_activity(self, now: float) -> bool:
        """Note that others may do something for this process; return whether it was quiet before.

        Args:
            now: A monotonic clock in seconds.
        """
        quiet, self.active_at = now - self.active_at, now
        return quiet > _QUIET_TIME

    def note_queued(self, due: float) -> bool:
        """Note that the ledger has a job to claim from a time on; return whether that is news."""
        is_news = due < self.next_due
        if is_news:
            self.next_due = due
        return is_news

    def find(self, id: str) -> Attempt | None:
        """Return the attempt at a job, if it is here."""
        return self.attempts.get(id)

    def take(self, id: str) -> Attempt | None:
        """Remove the attempt at a job and return it; None for every caller but the first."""
        attempt = self.attempts.pop(id, None)
        self._finished.discard(id)
        if not self.attempts:
            with self._emptied:
                self._emptied.notify_all()
        return attempt

    def take_attempt(self, id: str, number: int) -> Attempt | None:
        """Remove an attempt as `take` does, but not a later one at the same job."""
        attempt = self.attempts.get(id)
        return self.take(id) if attempt is not None and attempt.number == number else None

    def drop_waiting(self) -> list[str]:
        """Cancel and remove the attempts that have not begun; return the ids of their jobs."""
        return [
            attempt.record.id
            for attempt in self.all()
            if attempt.cancel() and self.take(attempt.record.id) is not None
        ]

    def drop_stalled(self) -> list[str]:
        """Cancel and remove what waits here for jobs that run for long; return the ids.

        Other processes may be idle. Until a job ends, no more are claimed than run at a time. Call
        it every `STALL_INTERVAL` seconds: nothing begins or ends between two calls then.
        """
        waits, before = self.has_backlog, self._running
        running = frozenset(one.record.id for one in self.all() if waits and one.running())
        self._running = running
        if len(running) < self._workers or running != before:
            return []
        self.limit = self._workers
        self.note_jobs()
        return self.drop_waiting()

    def drop_cancelled(self, record: JobRecord) -> bool:
        """Cancel and remove the attempt at a cancelled job, if it has not begun; return whether."""
        attempt = self.find(record.id)
        if attempt is None or record.state is not JobState.CANCELLED or not attempt.cancel():
            return False
        self.take(record.id)
        return True

    def all(self) -> list[Attempt]:
        """Return all attempts."""
        return list(self.attempts.values())

    def recall(self, waited: float, patience: float) -> None:
        """Recall all attempts, wait for them, and name those that are left in the log.

        Args:
            waited: How long they have had to end, in seconds.
            patience: How long to wait, in seconds.
        """
        for attempt in self.all():
            attempt.recall()
        if not self.wait_empty(patience):
            for attempt in self.all():
                attempt.log_left(waited)

    def wait_empty(self, timeout: float | None) -> bool:
        """Wait until no attempt is left; return whether that is so within `timeout` seconds.

        None is for as long as it takes.
        """
        with self._emptied:
            return self._emptied.wait_for(lambda: not self.attempts, timeout)

    def note_finished(self, id: str) -> None:
        """Note that a job has ended, whose outcome is to be written next."""
        self._finished.add(id)

    def note_ended(self, count: int, now: float) -> None:
        """Update the limit after some jobs have ended.

        Args:
            count: How many have ended since the last call.
            now: A monotonic clock in seconds.
        """
        self._ended += count
        # One of a task with a limit may have ended, so that another may run.
        if self._waits_for_end:
            self.note_jobs()
        if self._since is None:
            self._since = now
        elapsed = now - self._since
        if elapsed >= _HORIZON:
            self._rate += _WEIGHT * (self._ended / elapsed - self._rate)
            self._since, self._ended = now, 0
            self.limit = max(self._minimum, min(self._prefetch, int(self._rate * _HORIZON)))
