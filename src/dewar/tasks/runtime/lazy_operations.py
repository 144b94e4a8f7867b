"""`LazyOperations`: what a process has for the ledger that no thread waits for, until it is due.

While operations keep coming, they are put off for some milliseconds, and written together. Those of
one job follow each other closely, and so do those of many jobs.
"""

import time
from collections import deque
from collections.abc import Iterable

from dewar.tasks.runtime.pending_write import Entry, Operation

# How long an operation is put off at most, and how long after the latest one, in seconds.
_MAX_DELAY, _QUIET_TIME = 0.02, 0.003


class LazyOperations:
    """A queue of operations. Any thread may put one; the thread that writes takes them.

    Args:
        max_batch: With so many, they are due at once.
    """

    def __init__(self, max_batch: int) -> None:
        self._entries: deque[Entry] = deque()
        self._max_batch = max_batch
        # When the latest one was put, and since when the first one has waited.
        self._put_at = self._since = 0.0
        # Whether one is to be written at once.
        self._is_urgent = False

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<LazyOperations, {len(self)} waiting>"

    def put(self, operation: Operation, is_urgent: bool) -> bool:
        """Add an operation; return whether the thread that writes has to know at once.

        If it is urgent, everything is due.
        """
        self._put_at = now = time.monotonic()
        if not self._entries:
            self._since = now
        self._entries.append((operation, None))
        if is_urgent:
            self._is_urgent = True
        # PERF: if others wait, the thread has a time to wake up already.
        return is_urgent or len(self._entries) <= 1

    def hurry(self) -> None:
        """Make everything due."""
        self._is_urgent = True

    def due(self, other_at: float) -> float:
        """Return when they are to be written.

        Args:
            other_at: When something else was last written, which more of it is likely to follow.
        """
        if self._is_urgent or len(self._entries) >= self._max_batch:
            return 0.0
        quiet_since = max(other_at, self._put_at)
        return min(quiet_since + _QUIET_TIME, self._since + _MAX_DELAY)

    def take(self, now: float) -> list[Entry]:
        """Remove the first ones, and return them."""
        self._is_urgent = False  # first: what is put from now on may be urgent again
        self._since = now
        entries = self._entries
        return [entries.popleft() for _ in range(min(len(entries), self._max_batch))]

    def put_back(self, entries: Iterable[Entry]) -> None:
        """Put the last ones that were taken before the others again."""
        self._entries.extendleft(entries)

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
