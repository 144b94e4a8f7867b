"""`StartupBackoff`: when the next worker may be started, after some that died as they began."""

#: In seconds, before the second, third and fourth attempt; after that nobody tries any more.
_PAUSES = (0.1, 0.3, 1.0)


class StartupBackoff:
    """Counts the workers in a row that died before they were ready.

    Attributes:
        until: When the next may be started; in the past where nothing stands against it.
    """

    def __init__(self) -> None:
        self.until = 0.0
        self._failures = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether so many died that the next would as well."""
        return self._failures > len(_PAUSES)

    def note_success(self) -> None:
        """Take note that one is ready."""
        self.until = 0.0
        self._failures = 0

    def note_failure(self, now: float) -> None:
        """Take note that one died, or could not be started."""
        self._failures += 1
        if not self.is_exhausted:
            self.until = now + _PAUSES[self._failures - 1]

    def __repr__(self) -> str:
        return f"<StartupBackoff, {self._failures} failures in a row>"
