"""`TimeLimits`: how long a job may run."""

from dataclasses import dataclass
from math import inf
from typing import Any

from dewar.tasks.errors import TaskSetupError


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """The time limits of a job, in seconds from its begin; None for none.

    Attributes:
        hard: When it is stopped, as its ``timeout``.
        soft: When its function gets a `SoftTimeLimitExceeded`, as its ``soft_timeout``.

    Raises:
        TaskSetupError: (a `ValueError`) for a limit that cannot be, or a soft one that is not the
            first.
    """

    hard: float | None = None
    soft: float | None = None

    def __post_init__(self) -> None:
        _check("timeout", self.hard)
        _check("soft_timeout", self.soft)
        if self.hard is not None and self.soft is not None and self.soft >= self.hard:
            raise TaskSetupError(
                f"soft_timeout={self.soft!r} should be less than timeout={self.hard!r}, so that a"
                " job has time to clean up before it is stopped."
            )

    @property
    def shown(self) -> str:
        """The limits as a text."""
        limits = {"timeout": self.hard, "soft_timeout": self.soft}
        return ", ".join(f"{k}={v:g}" for k, v in limits.items() if v is not None) or "no limit"


def _check(name: str, value: Any) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (is_number and 0 < value < inf):
        raise TaskSetupError(
            f"{name}={value!r} should be a number of seconds above 0, or None for no limit."
        )
