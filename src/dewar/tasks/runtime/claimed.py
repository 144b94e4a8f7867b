"""`ClaimedJobs`: the jobs that one process has claimed, and how many it should claim."""

from dewar.tasks.runtime.attempt import Attempt

# A process takes what it will run within this time, in seconds: more, and others would stand
# idle while its jobs wait; less, and its own workers would wait for the database.
_HORIZON = 0.5
# How much the latest second counts in the rate.
_WEIGHT = 0.5


class ClaimedJobs:
    """Attempts by the ids of their jobs.

    Any thread may `put`, `take` and `find`: each is one operation on a dict. The writer's thread
    alone calls `note_ended`.

    Args:
        workers: How many jobs run at a time; None where only the remote side knows.
        prefetch: The most to take.
    """

    def __init__(self, workers: int | None, prefetch: int) -> None:
        self._attempts: dict[str, Attempt] = {}
        self._prefetch = prefetch
        self._minimum = prefetch if workers is None else min(prefetch, 2 * workers)
        self._rate = 0.0
        self._ended = 0
        self._since: float | None = None

    def __len__(self) -> int:
        return len(self._attempts)

    def __repr__(self) -> str:
        return f"<ClaimedJobs {len(self)}, at most {self.limit}>"

    @property
    def limit(self) -> int:
        """How many it should hold at most."""
        return max(self._minimum, min(self._prefetch, int(self._rate * _HORIZON)))

    @property
    def room(self) -> int:
        """How many more it should hold."""
        return max(0, self.limit - len(self._attempts))

    @property
    def is_running_low(self) -> bool:
        """Whether it is time to take more."""
        return 2 * len(self._attempts) <= self.limit

    def put(self, attempt: Attempt) -> None:
        """Hold an attempt."""
        self._attempts[attempt.record.id] = attempt

    def find(self, id: str) -> Attempt | None:
        """Return the attempt at a job, if it is here."""
        return self._attempts.get(id)

    def take(self, id: str) -> Attempt | None:
        """Return the attempt at a job, and hold it no more; None for who comes second."""
        return self._attempts.pop(id, None)

    def all(self) -> list[Attempt]:
        """Return all attempts."""
        return list(self._attempts.values())

    def note_ended(self, count: int, now: float) -> None:
        """Learn from what has ended how quick jobs are.

        Args:
            count: How many have ended since the last call.
            now: A clock in seconds.
        """
        self._ended += count
        if self._since is None:
            self._since = now
        elapsed = now - self._since
        if elapsed >= _HORIZON:
            self._rate += _WEIGHT * (self._ended / elapsed - self._rate)
            self._since, self._ended = now, 0
