"""`RetryPolicy`: decides whether a job that failed runs again, and when."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from dewar.support.backoff import doubled
from dewar.tasks.errors import TaskSetupError

#: Seconds before the next attempt: a base that doubles, one number per attempt, or a function of
#: the attempt that failed (1 for the first).
BackoffRule = float | Sequence[float] | Callable[[int], float]

# The longest pause. For longer ones there is submit_later.
_MAX_PAUSE = 3600.0
# How often a job begins again after its worker died. Without a limit, a job that kills its worker
# would run for ever.
_MAX_WORKER_DEATHS = 3
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
        if self.retries < 0:
            raise TaskSetupError(f"retries={self.retries} should be 0 or more.")
        if isinstance(self.backoff, (int, float)) and self.backoff < 0:
            raise TaskSetupError(f"backoff={self.backoff} should be 0 seconds or more.")
        if isinstance(self.backoff, Sequence) and not self.backoff:
            raise TaskSetupError("backoff=[] has no pause: backoff=[1, 10, 60], or leave it out.")

    def as_accepted(self, idempotent: bool) -> Self:
        """Return the policy for a job that was accepted as idempotent, or not.

        The task may have changed since: a job is repeated only if both allow it.
        """
        if idempotent or not self.idempotent:
            return self
        return replace(self, idempotent=False)

    def after_error(self, attempt: int) -> float | None:
        """Return the seconds to wait before the next attempt, or None if that was the last."""
        return self._pause(attempt) if attempt <= self.retries else None

    def after_timeout(self, attempt: int) -> float | None:
        """Return the same for a job that was stopped after its timeout."""
        return self.after_error(attempt) if self.idempotent else None

    def after_death(self, attempt: int) -> float | None:
        """Return the same for a job whose worker died."""
        if not self.idempotent or attempt > max(self.retries, _MAX_WORKER_DEATHS):
            return None
        return self._pause(attempt) if attempt > 1 else 0.0

    def _pause(self, attempt: int) -> float:
        backoff = self.backoff
        if callable(backoff):
            return max(0.0, float(backoff(attempt)))
        if isinstance(backoff, Sequence):
            return float(backoff[min(attempt, len(backoff)) - 1])
        spread = 1 + _JITTER * random.random()  # noqa: S311  # no secret
        return doubled(backoff * spread, attempt, _MAX_PAUSE)
