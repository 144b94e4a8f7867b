"""`JobClock`: the time of jobs in a test."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class JobClock:
    """The time of the system, and what a test has added to it.

    It follows `time.time`, so a library that replaces that one moves it, too.

    Args:
        before_move: Called before a test moves the time.
    """

    def __init__(self, before_move: Callable[[], object] = bool) -> None:
        self._before_move = before_move
        self._added = 0.0

    def __repr__(self) -> str:
        return f"<JobClock {self.now():%Y-%m-%d %H:%M:%S}>"

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, by: timedelta | float) -> None:
        """Move the time forward.

        Args:
            by: A `~datetime.timedelta`, or seconds.

        Raises:
            ValueError: If it is negative.
        """
        seconds = by.total_seconds() if isinstance(by, timedelta) else float(by)
        if not seconds >= 0:
            raise ValueError(f"advance({by!r}): the time of jobs only moves forward.")
        self._before_move()
        self._added += seconds

    def advance_to(self, at: datetime) -> None:
        """Move the time forward to a date, such as the due time of a schedule.

        Raises:
            ValueError: If it has no time zone, or has passed.
        """
        if at.tzinfo is None:
            raise ValueError(f"advance_to({at!r}): name its zone, as in datetime(..., tzinfo=UTC).")
        if at < self.now():
            raise ValueError(f"advance_to({at!r}): it is {self.now():%Y-%m-%d %H:%M:%S} UTC.")
        self._before_move()
        self.move_on(at.timestamp())

    def move_on(self, at: float) -> None:
        """Move the time forward to seconds since the epoch, if that is later than now."""
        self._added += max(0.0, at - self.time())

    def time(self) -> float:
        """Return the seconds since the epoch."""
        return time.time() + self._added

    def monotonic(self) -> float:
        """Return the seconds of a clock for what lasts: what a test adds has passed there, too."""
        return time.monotonic() + self._added
