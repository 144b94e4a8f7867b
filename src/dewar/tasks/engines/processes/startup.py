"""`Startups`: the starts of a pool's processes that failed, and when the next is tried."""

import errno
import logging
from collections.abc import Callable

from dewar.support.backoff import Backoff
from dewar.support.bounded_log import BoundedLog

_log = logging.getLogger("concurrent.futures")
# The seconds until a process is started again, after one, two or three in a row that died before
# they were ready. The fourth is the last.
_STARTUP_PAUSES = (0.1, 0.3, 1.0)
MAX_STARTUP_FAILURES = len(_STARTUP_PAUSES) + 1
# What the system may be short of for a moment: processes, memory, descriptors.
_SHORTAGES = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
# The seconds until the next try in a shortage.
_SHORTAGE_PAUSE = 1.0


class Startups:
    """Decides when a process is started again, and when the pool is given up.

    Args:
        clock: A monotonic clock in seconds.
        give_up: Called with the reason, and with the error if there is one, when none is started
            again.
    """

    def __init__(
        self, clock: Callable[[], float], give_up: Callable[[str, Exception | None], object]
    ) -> None:
        self._clock = clock
        self._give_up = give_up
        self._backoff = Backoff(startup_pause)
        self._bounded_log = BoundedLog(_log, clock)

    @property
    def next_try(self) -> float | None:
        """When the next may be started; None if that is now."""
        until = self._backoff.until
        return until if until > self._clock() else None

    def note_ready(self) -> None:
        """Note that a process was ready for its first job."""
        self._backoff.note_success()

    def note_error(self, error: Exception) -> None:
        """Note that a process could not be started."""
        if isinstance(error, OSError) and error.errno in _SHORTAGES:
            # No fault of the pool's: the jobs wait until the system has what they need.
            self._bounded_log.warn("The jobs of a TaskPool wait for a process: %s", error)
            self._backoff.hold(self._clock(), _SHORTAGE_PAUSE)
        elif isinstance(error, OSError):
            self._note_failure(f"it cannot be started: {error}")
        else:
            self._give_up(f"A process cannot be started: {error!r}", error)

    def note_death(self, code: int | None) -> None:
        """Note that a process has ended with an exit code before it was ready."""
        self._note_failure(f"it ended with exit code {code}")

    def _note_failure(self, what: str) -> None:
        self._backoff.note_failure(self._clock())
        if self._backoff.failures >= MAX_STARTUP_FAILURES:
            self._give_up(
                f"No process of the pool was ready for its first job ({what}). Importing the main"
                ' module must not start any work: put that under if __name__ == "__main__". See'
                " the stderr of the process for details.",
                None,
            )

    def __repr__(self) -> str:
        return f"<Startups, {self._backoff!r}>"


def startup_pause(failures: int) -> float:
    """Return the seconds until a process is started again.

    Args:
        failures: The processes in a row that died before they were ready, from 1 on.
    """
    return _STARTUP_PAUSES[min(failures, len(_STARTUP_PAUSES)) - 1]
