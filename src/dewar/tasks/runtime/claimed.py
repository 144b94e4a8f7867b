"""`ClaimedJobs`: the jobs that one process has claimed, and when to claim more, and how many."""

import threading
from math import inf

from dewar.tasks.runtime.attempt import Attempt

# A process claims what it will run within this time, in seconds: with more, other processes would
# be idle while its jobs wait; with less, its own workers would wait for the database.
_HORIZON = 0.5
# How long after a job was left to others no look at the ledger needs to be hurried, in seconds.
_SOON = 0.1
# How long it is likely that another process has the next job of a series, in seconds.
_ACTIVE = 1.0
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
        self.limit = self._minimum
        self.claims_from = 0.0 if runs_jobs else inf
        self.may_have_jobs = True
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
    def is_running_low(self) -> bool:
        """Whether it is time to claim more."""
        return 2 * len(self.attempts) <= self.limit

    @property
    def wants_jobs(self) -> bool:
        """Whether the ledger may have a job to claim, and it is time to."""
        return self.may_have_jobs and self.is_running_low

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

    def note_left(self, now: float) -> bool:
        """Note a job that others may run; return whether a look at the ledger is not due soon.

        Args:
            now: A monotonic clock in seconds.
        """
        self.may_have_jobs = True
        quiet, self.active_at = now - self.active_at, now
        return quiet > _SOON

    def note_queued(self, due: float) -> None:
        """Note that the ledger has a job to claim from a time on."""
        self.next_due = min(self.next_due, due)

    def find(self, id: str) -> Attempt | None:
        """Return the attempt at a job, if it is here."""
        return self.attempts.get(id)

    def take(self, id: str) -> Attempt | None:
        """Remove the attempt at a job and return it; None for every caller but the first."""
        attempt = self.attempts.pop(id, None)
        if not self.attempts:
            with self._emptied:
                self._emptied.notify_all()
        return attempt

    def drop_waiting(self) -> list[str]:
        """Cancel and remove the attempts that have not begun; return the ids of their jobs."""
        return [
            attempt.record.id
            for attempt in self.all()
            if attempt.cancel() and self.take(attempt.record.id) is not None
        ]

    def all(self) -> list[Attempt]:
        """Return all attempts."""
        return list(self.attempts.values())

    def wait_empty(self, timeout: float | None) -> bool:
        """Wait until no attempt is left; return whether that is so within `timeout` seconds.

        None is for as long as it takes.
        """
        with self._emptied:
            return self._emptied.wait_for(lambda: not self.attempts, timeout)

    def note_ended(self, count: int, now: float) -> None:
        """Update the limit after some jobs have ended.

        Args:
            count: How many have ended since the last call.
            now: A monotonic clock in seconds.
        """
        self._ended += count
        if self._since is None:
            self._since = now
        elapsed = now - self._since
        if elapsed >= _HORIZON:
            self._rate += _WEIGHT * (self._ended / elapsed - self._rate)
            self._since, self._ended = now, 0
            self.limit = max(self._minimum, min(self._prefetch, int(self._rate * _HORIZON)))
