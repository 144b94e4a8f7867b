"""`EveryRule`: due times at equal intervals."""

from dataclasses import dataclass
from datetime import timedelta
from math import floor
from typing import Any

from dewar.tasks.errors import TaskSetupError

_MICROSECOND = 1_000_000
_SHORTEST, _LONGEST = 1.0, 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class EveryRule:
    """Due at each multiple of an interval since the epoch.

    So the times do not depend on when a process starts: no process drifts away from another, and a
    deployment delays nothing.

    Attributes:
        interval: In microseconds.
    """

    interval: int

    @classmethod
    def read(cls, every: Any) -> "EveryRule":
        """Return the rule for a number of seconds or a `~datetime.timedelta`.

        Raises:
            TaskSetupError: If it is neither, or not from a second to a year.
        """
        seconds = every.total_seconds() if isinstance(every, timedelta) else every
        is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not is_number or not _SHORTEST <= seconds <= _LONGEST:
            raise TaskSetupError(
                f"every={every!r} should be a timedelta or a number of seconds, from 1 second to"
                " 366 days: every=timedelta(minutes=5), or every=300."
            )
        return cls(round(seconds * _MICROSECOND))

    def __str__(self) -> str:
        # All digits: each process has to read the same rule.
        whole, rest = divmod(self.interval, _MICROSECOND)
        return f"every {whole}" + f".{rest:06}".rstrip("0").rstrip(".")

    def after(self, moment: float) -> float:
        """Return the first due time after a moment; both in seconds since the epoch."""
        number = floor(moment * _MICROSECOND) // self.interval
        # Compared as they are given: a product that is rounded could give the same time again.
        while (due := number * self.interval / _MICROSECOND) <= moment:
            number += 1
        return due
