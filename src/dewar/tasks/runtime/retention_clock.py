"""`RetentionClock`: tells which ended jobs are old, also if the clock is set forward."""

from collections.abc import Callable
from math import inf


class RetentionClock:
    """The clock, without the steps forward of the last *retention* seconds. One thread uses it.

    A job has the time of its end by the clock. A clock that is set forward would make all jobs old
    at once, and what is deleted does not come back when the clock is set right.

    The rule: the difference to `monotonic` that it uses is at most each one that it has seen in the
    last *retention* seconds. So no job that ended meanwhile is older here than it is, and after
    that time a clock that stays ahead is believed.

    Args:
        clock: Returns seconds since the epoch.
        monotonic: Returns seconds that nobody sets.
        retention: How long ended jobs are kept, in seconds.
    """

    def __init__(
        self, clock: Callable[[], float], monotonic: Callable[[], float], retention: float
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._retention = retention
        self._offset = inf
        # While the clock is ahead: its smallest offset, and since when it is.
        self._ahead = inf
        self._since = 0.0
        self.observe()

    def __repr__(self) -> str:
        return f"<RetentionClock at {self._offset}>"

    def observe(self) -> None:
        """Look at the clock. Call it often: a step that is taken back in between is not seen."""
        now = self._monotonic()
        offset = self._clock() - now
        if offset <= self._offset:
            self._offset, self._ahead = offset, inf
            return
        if self._ahead == inf:
            self._since = now
        self._ahead = min(self._ahead, offset)
        if now - self._since >= self._retention:
            self._offset, self._ahead = self._ahead, inf

    def oldest_kept(self) -> float:
        """Return the time of the end before which a job is old, in seconds since the epoch."""
        self.observe()
        return self._offset + self._monotonic() - self._retention
