"""`CronRule`: due times by a cron expression, in a time zone."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from math import inf
from typing import Any
from zoneinfo import ZoneInfo

from dewar.tasks.errors import MissingExtra, TaskSetupError

try:
    from cronsim import CronSim, CronSimError
except ModuleNotFoundError as error:
    raise MissingExtra("A schedule", "tasks") from error

_UTC = "UTC"
_FIELDS = 5


@dataclass(frozen=True, slots=True)
class CronRule:
    """Due when the local time matches a cron expression, as Debian's cron and cronsim see it.

    Where the clock is set forward, a fixed time that does not exist is due right after the gap.
    Where it is set back, a fixed time is due once: the first time. If the minute or the hour begins
    with ``*``, the local time is followed as it is.

    Attributes:
        expression: Its five fields, with single blanks.
        time_zone: The key of the zone.
    """

    expression: str
    time_zone: str

    @classmethod
    def read(cls, cron: Any, time_zone: Any) -> "CronRule":
        """Return the rule for an expression and a zone, or the name of one; None for UTC.

        Raises:
            TaskSetupError: If one of them cannot be read, or no time matches.
        """
        fields = cron.split() if isinstance(cron, str) else []
        key = _UTC if time_zone in (None, UTC) else getattr(time_zone, "key", time_zone)
        rule = cls(" ".join(fields), key)
        zone_of(rule.time_zone)  # a check
        if len(fields) != _FIELDS:
            raise _unreadable(cron, f"it has {len(fields)} fields")
        try:
            is_due = rule.after(0.0) < inf
        except (CronSimError, AssertionError) as error:
            raise _unreadable(cron, str(error)) from error
        if not is_due:
            raise TaskSetupError(f"cron={cron!r} is never due: there is no such date.")
        return rule

    def __str__(self) -> str:
        return f"cron {self.expression} {self.time_zone}"

    def after(self, moment: float) -> float:
        """Return the first due time after a moment, in seconds since the epoch; or infinity."""
        try:
            begin = datetime.fromtimestamp(moment, zone_of(self.time_zone))
            # In an hour that comes twice, the first ones found may be before the moment.
            for found in CronSim(self.expression, begin):
                due = found.timestamp()
                if due > moment:
                    return due
        except (OverflowError, ValueError):  # the calendar ends
            pass
        return inf


def _unreadable(cron: Any, reason: str) -> TaskSetupError:
    return TaskSetupError(
        f"cron={cron!r} cannot be read ({reason}). It has five fields, for minute, hour, day, month"
        " and weekday: cron='*/5 * * * *', or cron='30 3 * * MON-FRI'. For seconds: every=10."
    )


def zone_of(key: Any) -> tzinfo:
    """Return the time zone with a key such as ``Europe/Berlin``.

    Raises:
        TaskSetupError: If the system has none.
    """
    if key == _UTC:
        return UTC  # also where the system has no time zones
    try:
        return ZoneInfo(key)
    except (LookupError, ValueError, TypeError, AttributeError, OSError) as error:
        raise TaskSetupError(
            f"time_zone={key!r} is not a time zone of this system. Give a name such as"
            " time_zone='Europe/Berlin'; if the system has none, install the package tzdata."
        ) from error
