"""`TaskSchedule`: when the jobs of a task are due, and which of the missed ones are made up for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import islice, takewhile
from typing import Any, Protocol

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.schedules.cron_rule import CronRule, zone_of
from dewar.tasks.schedules.every_rule import EveryRule

#: How late a due time may be with `MissedPolicy.SKIP`, in seconds: it bears a restart.
GRACE = 60.0
#: How old a due time may be with `MissedPolicy.ALL`, in seconds: after a clock that stood at 1970,
#: half a century of jobs would be due.
MOST_AGE = 31 * 86_400.0
#: The most jobs of one firing, which is one transaction. What is left is due at once.
MOST_AT_ONCE = 1000
#: How far ahead of the clock a schedule may be, in seconds, before that was an error of a clock. As
#: in Debian's cron, the due times of less are not repeated after the clock was set back.
MOST_AHEAD = 3 * 3600.0


class ScheduleRule(Protocol):
    """Says when a schedule is due. Its text is the same in each process."""

    def after(self, moment: float) -> float:
        """Return the first due time after a moment, in seconds since the epoch; or infinity."""


class MissedPolicy(Enum):
    """What becomes of due times at which no process ran."""

    SKIP = "skip"
    ONCE = "once"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Firing:
    """What a schedule does at a moment: a job for each of some due times; then it waits."""

    due_times: tuple[float, ...]
    next_due: float


@dataclass(frozen=True, slots=True)
class TaskSchedule:
    """When the jobs of a task are due.

    Attributes:
        rule: The due times.
        missed: What is done if some of them have passed.
    """

    rule: ScheduleRule
    missed: MissedPolicy = MissedPolicy.ONCE

    def firing(self, next_due: float, now: float) -> Firing | None:
        """Return what is to be done now; None if nothing is due.

        Args:
            next_due: The first due time that nothing was done for.
            now: Seconds since the epoch.
        """
        if next_due > now:
            return None
        if self.missed is MissedPolicy.ALL:
            times = tuple(islice(self._times(next_due, now), MOST_AT_ONCE))
            return Firing(times, self.rule.after(times[-1] if times else now))
        latest = self._latest(next_due, now)
        is_kept = self.missed is MissedPolicy.ONCE or now - latest <= GRACE
        return Firing((latest,) if is_kept else (), self.rule.after(latest))

    def first_due(self, now: float, last_due: float | None = None) -> float:
        """Return the due time that a schedule begins with, or goes on with.

        Args:
            now: Seconds since the epoch.
            last_due: The due time of its last job, which another host's clock may have reached
                earlier.
        """
        is_close = last_due is not None and last_due <= now + MOST_AHEAD
        return self.rule.after(max(now, last_due or now) if is_close else now)

    def _times(self, next_due: float, now: float) -> Iterator[float]:
        oldest = now - MOST_AGE
        first = next_due if next_due >= oldest else self.rule.after(oldest)
        return takewhile(lambda due: due <= now, _from(self.rule, first))

    def _latest(self, next_due: float, now: float) -> float:
        """Return the last due time up to now, from one due time on, by halving what is between."""
        latest, end = next_due, now
        while (following := self.rule.after(latest)) <= now:
            middle = (latest + end) / 2
            found = self.rule.after(middle)
            latest, end = (found, end) if found <= now else (following, middle)
        return latest


def schedule_of(every: Any, cron: Any, time_zone: Any, missed: Any) -> TaskSchedule | None:
    """Return the schedule of a task, as it was declared; None for none.

    Raises:
        TaskSetupError: For a value that is not possible.
    """
    if every is None and cron is None:
        if time_zone is not None or missed is not None:
            raise TaskSetupError(
                "time_zone and missed belong to a schedule: @tasks.task(cron='0 3 * * *',"
                " time_zone='Europe/Berlin'), or @tasks.task(every=60, missed='skip')."
            )
        return None
    if cron is None and time_zone is None:
        return TaskSchedule(EveryRule.read(every), _checked_missed(missed))
    if every is not None:
        raise TaskSetupError(
            "A schedule is by every= or by cron=, and only cron has a time_zone: every=300, or"
            " cron='0 3 * * *', time_zone='Europe/Berlin'."
        )
    return TaskSchedule(CronRule.read(cron, time_zone), _checked_missed(missed))


def read_rule(text: str) -> ScheduleRule:
    """Return the rule that a text in the ledger is of.

    Raises:
        TaskSetupError: If it is of a newer Dewar, or of a time zone that this system does not have.
    """
    kind, _, rest = text.partition(" ")
    if kind == "every":
        return EveryRule.read(float(rest))
    expression, _, time_zone = rest.rpartition(" ")
    return CronRule.read(expression, time_zone)


def local_time(rule: ScheduleRule, due: float) -> datetime:
    """Return a due time in the zone of its rule."""
    return datetime.fromtimestamp(due, zone_of(getattr(rule, "time_zone", "UTC")))


def _checked_missed(missed: Any) -> MissedPolicy:
    try:
        return MissedPolicy.ONCE if missed is None else MissedPolicy(missed)
    except ValueError:
        raise TaskSetupError(
            f"missed={missed!r} should be 'skip' (the due times at which no process ran), 'once'"
            " (one job for all of them) or 'all' (one for each)."
        ) from None


def _from(rule: ScheduleRule, first: float) -> Iterator[float]:
    """Yield due times, beginning with one."""
    while True:
        yield first
        first = rule.after(first)
