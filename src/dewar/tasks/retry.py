"""`RetryPolicy`: decides whether a job that failed runs again, and when."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from dewar.support.backoff import doubled
from dewar.tasks.errors import TaskSetupError

#: Seconds before the next attempt: a base that doubles, one number per attempt, or a function of
#: the attempt that failed (1 for the first).
BackoffRule = float | Sequence[float] | Callable[[int], float]

# The longest pause of a number that doubles.
_MAX_PAUSE = 3600.0
# The longest pause that a list or a function may give: a later time may not be in the calendar.
_MAX_GIVEN = 366 * 86_400.0
#: How often a job begins again after its worker died, with no other outcome in between. Without a
#: limit, a job that kills its worker would run for ever.
MOST_DEATHS = 3
# It keeps jobs that failed together from running again together.
_JITTER = 0.25


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The rules of a task for running again.

    Attributes:
        retries: How many times a job that raised an error is run again.
        backoff: How long it waits before that.
        idempotent: Whether it may run again if it is not known how far it came.
    """

    retries: int = 0
    backoff: BackoffRule = 1.0
    idempotent: bool = True

    def __post_init__(self) -> None:
        if type(self.retries) is not int or self.retries < 0:
            raise TaskSetupError(f"retries={self.retries!r} should be a whole number from 0 on.")
        if type(self.idempotent) is not bool:
            raise TaskSetupError(f"idempotent={self.idempotent!r} should be True or False.")
        backoff = self.backoff
        if callable(backoff):
            return
        if not isinstance(backoff, Sequence) or isinstance(backoff, str | bytes):
            checked_pause(backoff, "backoff")
            return
        if not backoff:
            raise TaskSetupError("backoff=[] has no pause: backoff=[1, 10, 60], or leave it out.")
        for place, pause in enumerate(backoff):
            checked_pause(pause, f"backoff[{place}]")

    def as_accepted(self, idempotent: bool) -> Self:
        """Return the policy for a job that was accepted as idempotent, or not.

        The task may have changed since: a job is repeated only if both allow it.
        """
        if idempotent or not self.idempotent:
            return self
        return replace(self, idempotent=False)

    def after_error(self, attempt: int) -> float | None:
        """Return the seconds to wait before the next attempt, or None if that was the last.

        Raises:
            Exception: What the task's own `backoff` raises.
            TaskSetupError: If it returns anything but a possible number of seconds.
        """
        return self._pause(attempt) if attempt <= self.retries else None

    def after_timeout(self, attempt: int) -> float | None:
        """Return the same for a job that was stopped after its timeout."""
        return self.after_error(attempt) if self.idempotent else None

    def after_death(self, deaths: int) -> float | None:
        """Return the same for a job of which so many workers have died in a row."""
        if not self.idempotent or deaths > max(self.retries, MOST_DEATHS):
            return None
        return self._pause(deaths) if deaths > 1 else 0.0

    def _pause(self, attempt: int) -> float:
        backoff = self.backoff
        if callable(backoff):
            return checked_pause(backoff(attempt), f"backoff({attempt})", least=-_MAX_GIVEN)
        if isinstance(backoff, Sequence):
            return float(backoff[min(attempt, len(backoff)) - 1])
        spread = 1 + _JITTER * random.random()  # noqa: S311  # no secret
        return doubled(backoff * spread, attempt, _MAX_PAUSE)


def checked_pause(pause: Any, name: str, least: float = 0.0) -> float:
    """Return a pause as seconds, and 0 for one that is over.

    Args:
        pause: What the task gives.
        name: What the error calls it.
        least: The least number that is allowed.

    Raises:
        TaskSetupError: If it is no number, not finite, less than `least` or longer than a year.
    """
    # A timedelta is refused: a number is read the same in a list, in a function and on its own.
    is_number = isinstance(pause, int | float) and not isinstance(pause, bool)
    if is_number and least <= pause <= _MAX_GIVEN:
        return max(0.0, float(pause))
    raise TaskSetupError(
        f"{name} is {pause!r}, and should be a number of seconds from 0 to {_MAX_GIVEN:.0f}, a"
        " year: backoff=2.0, backoff=[1, 10, 60] or backoff=lambda attempt: 5.0 * attempt. Of a"
        " timedelta, take total_seconds()."
    )
