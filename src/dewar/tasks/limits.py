"""The limits of a task over all processes: how many of its jobs run at a time, and how often.

The rate is kept by the generic cell rate algorithm (GCRA, ITU-T I.371): of each task, one time is
stored, the theoretical arrival of the next job. These are pure decisions: the caller gives times.
"""

import re
from dataclasses import dataclass
from math import ceil, floor, inf
from types import MappingProxyType
from typing import Any

from dewar.tasks.errors import TaskSetupError

_PERIODS = MappingProxyType({"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0})
_RATE = re.compile(r"([1-9][0-9]{0,8})/([smhd])")
#: How many seconds' worth of jobs may be claimed at once. A process that comes a little late, as a
#: poll does, makes up for it.
_BURST_TIME = 0.05
# How much later than its claim a job may begin, in seconds, if the rate is one per second. For
# longer periods it is little, and a test that moves its clock by a minute expects the next job.
_LATEST_BEGIN = 0.05
# A share of an interval that rounding may take.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` jobs in any `period` of seconds, evenly spread.

    With a burst of b jobs and an interval of period / (count - b + 1), no period has more than
    `count`: b at its begin, and one after each interval that ends in it. That is true of the times
    at which jobs are claimed. Each begins a little later, one more so than another, so for a rate
    per second the interval is that of a period which is longer by as much.
    """

    count: int
    period: float

    @classmethod
    def read(cls, text: Any) -> "Rate":
        """Return the rate that a text like ``10/m`` means.

        Raises:
            TaskSetupError: If it means none.
        """
        found = _RATE.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise TaskSetupError(
                f"rate={text!r} should be a number of jobs per second, minute, hour or day:"
                " rate='5/s', rate='10/m', rate='100/h' or rate='1000/d'."
            )
        return cls(int(found[1]), _PERIODS[found[2]])

    @property
    def burst(self) -> int:
        """How many jobs may be claimed at once."""
        return max(1, ceil(self.count * _BURST_TIME / self.period))

    @property
    def interval(self) -> float:
        """The seconds from one job to the next."""
        late = _LATEST_BEGIN if self.period <= 1.0 else 0.0
        return (self.period + late) / (self.count - self.burst + 1)

    @property
    def ahead(self) -> float:
        """How far the theoretical arrival may be after the present, in seconds."""
        return self.burst * self.interval

    def free_at(self, arrival: float) -> float:
        """Return when the next job may be claimed, by the theoretical arrival."""
        return arrival - (self.burst - 1) * self.interval

    def allowed(self, arrival: float, now: float) -> int:
        """Return how many jobs may be claimed now."""
        spare = now - self.free_at(max(arrival, now))
        return max(0, floor(spare / self.interval + _ROUNDING) + 1)

    def after(self, arrival: float, now: float, count: int) -> float:
        """Return the theoretical arrival after some jobs were claimed."""
        return max(arrival, now) + count * self.interval


@dataclass(frozen=True, slots=True)
class TaskLimits:
    """The limits of one task; None for none."""

    rate: Rate | None = None
    max_running: int | None = None

    def __bool__(self) -> bool:
        return self.rate is not None or self.max_running is not None

    def allowed(self, running: int, arrival: float, now: float) -> int | None:
        """Return how many more jobs may be claimed now; None for any number.

        Args:
            running: How many are claimed or run.
            arrival: The theoretical arrival of the next.
            now: Seconds since the epoch.
        """
        found = [] if self.max_running is None else [max(0, self.max_running - running)]
        if self.rate is not None:
            found.append(self.rate.allowed(arrival, now))
        return min(found, default=None)

    def free_at(self, due: float, running: int, arrival: float) -> float:
        """Return when the next job may be claimed; infinite if another has to end first.

        Args:
            due: When it is due.
            running: How many are claimed or run.
            arrival: The theoretical arrival of the next.
        """
        if self.max_running is not None and running >= self.max_running:
            return inf
        return due if self.rate is None else max(due, self.rate.free_at(arrival))


#: Of a task that has none.
NO_LIMITS = TaskLimits()
