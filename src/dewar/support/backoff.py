"""`Backoff`: growing pauses after failures in a row. It reads no clock."""

from collections.abc import Callable

# 2 ** 30 times the first pause is beyond every limit; more would overflow a float in the end.
_MAX_DOUBLINGS = 30


def doubled(first: float, failures: int, longest: float) -> float:
    """Return the pause after a number of failures in a row: it doubles with each.

    Args:
        first: The pause after the first failure, in seconds.
        failures: The failures in a row, from 1 on.
        longest: The pause that no other exceeds, in seconds.
    """
    return min(longest, first * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))


class Backoff:
    """Counts failures in a row and says when the next attempt is due.

    Args:
        pause: Returns the seconds to wait after a number of failures in a row, from 1 on.

    Attributes:
        failures: The failures since the last success.
        until: When the next attempt is due; in the past if it is due now.
    """

    __slots__ = ("_pause", "failures", "until")

    def __init__(self, pause: Callable[[int], float]) -> None:
        self._pause = pause
        self.failures = 0
        self.until = 0.0

    def __repr__(self) -> str:
        return f"<Backoff {self.failures} failures in a row, until {self.until:.1f}>"

    def note_failure(self, now: float) -> float:
        """Count a failure; return the seconds until the next attempt is due."""
        self.failures += 1
        pause = self._pause(self.failures)
        self.until = now + pause
        return pause

    def note_success(self) -> None:
        """Forget the failures: the next attempt is due at once."""
        self.failures = 0
        self.until = 0.0

    def hold(self, now: float, seconds: float) -> None:
        """Wait without counting a failure, for example because the system is out of something."""
        self.until = now + seconds
