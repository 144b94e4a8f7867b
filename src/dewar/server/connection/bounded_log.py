"""Warnings that clients can cause as often as they like, and that must not fill the log."""

import logging
from collections.abc import Callable

_logger = logging.getLogger("dewar.server")

# In seconds.
_INTERVAL = 60.0


class BoundedLog:
    """Logs each message once a minute as a warning, and otherwise for debugging only.

    Any thread may use it. Two that come at the same moment may both be logged.

    Args:
        clock: A monotonic clock in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<BoundedLog of {len(self._next)} messages>"

    def warn(self, message: str, *values: object) -> None:
        """Log *message* with *values*, as `logging.Logger.warning` does.

        Args:
            message: A text of the server's own, which tells one kind of warning from another.
            values: What is inserted.
        """
        now = self._clock()
        is_due = now >= self._next.get(message, now)
        if is_due:
            self._next[message] = now + _INTERVAL
        _logger.log(logging.WARNING if is_due else logging.DEBUG, message, *values)
