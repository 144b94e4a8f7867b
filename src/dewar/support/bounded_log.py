"""`BoundedLog`: warnings that clients, or a system without resources, can cause without end."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

# In seconds.
_INTERVAL = 10.0


@dataclass(slots=True)
class _Kind:
    """What is known of one message: when it is due, and the values of those left out since."""

    due: float
    left_out: int = 0
    values: tuple[object, ...] = ()


class BoundedLog:
    """Logs the first warning of a kind, and in the next 10 seconds only counts the others.

    The next line of the kind, or `flush`, says how many there were. Any thread may use it.

    Args:
        logger: Where to.
        clock: A monotonic clock in seconds.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float]) -> None:
        self._logger = logger
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[str, _Kind] = {}

    def __repr__(self) -> str:
        return f"<BoundedLog of {len(self._kinds)} messages>"

    def warn(self, message: str, *values: object) -> None:
        """Log *message* with *values*, as `logging.Logger.warning` does.

        Args:
            message: A constant text, which tells one kind of warning from another.
            values: What is inserted.
        """
        now = self._clock()
        with self._lock:
            kind = self._kinds.setdefault(message, _Kind(now))
            if now < kind.due:
                kind.left_out += 1
                kind.values = values
                return
            left_out = self._begin_interval(kind, now)
        self._write(message, values, left_out)

    def flush(self) -> None:
        """Log the last of each kind whose interval is over, with the number of the others."""
        now = self._clock()
        with self._lock:
            over = [
                (message, kind.values, self._begin_interval(kind, now) - 1)
                for message, kind in self._kinds.items()
                if kind.left_out and now >= kind.due
            ]
        for message, values, left_out in over:
            self._write(message, values, left_out)

    def has_more(self) -> bool:
        """Return whether there is something for `flush`, now or later."""
        return any(kind.left_out for kind in tuple(self._kinds.values()))

    def _begin_interval(self, kind: _Kind, now: float) -> int:
        left_out, kind.left_out, kind.due = kind.left_out, 0, now + _INTERVAL
        return left_out

    def _write(self, message: str, values: tuple[object, ...], left_out: int) -> None:
        if left_out:
            message += " (and %d more since the last such line)"
            values = (*values, left_out)
        # The line is that of who called `warn`: an app's log names the module.
        self._logger.warning(message, *values, stacklevel=3)
