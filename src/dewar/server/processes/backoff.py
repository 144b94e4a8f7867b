"""How long to wait before a dead worker is replaced."""

# A worker that served this long, in seconds, did not die of what it is: the next comes at once.
_SETTLED = 1.0
_FIRST, _MOST = 0.1, 10.0
# After the system had no process to give.
_EXHAUSTED = 1.0


class Backoff:
    """Replaces the first at once, and quick deaths in a row ever more slowly.

    Attributes:
        until: When the next fork may be; in the past where nothing stands against it.
        streak: Quick deaths in a row.
    """

    def __init__(self) -> None:
        self.until = 0.0
        self.streak = 0

    def __repr__(self) -> str:
        return f"<Backoff {self.streak} in a row, until {self.until:.1f}>"

    def note_failure(self, now: float, served: float) -> None:
        """Count the end, after it *served* for some seconds, of a worker that nobody asked to."""
        self.streak = 0 if served >= _SETTLED else self.streak + 1
        if self.streak > 1:
            self.until = now + min(_MOST, _FIRST * 2.0 ** min(self.streak - 2, 16))

    def hold(self, now: float) -> None:
        """Wait a while, because the system has no process to give."""
        self.until = now + _EXHAUSTED
