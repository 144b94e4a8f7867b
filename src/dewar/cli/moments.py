"""`MomentType`: a time in the past on the command line, as an age or as a date."""

import re
import time
from datetime import UTC, datetime
from typing import Any

import click

_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def moment_of(text: str, now: float) -> float:
    """Return the time that a text describes, in seconds since the epoch.

    Args:
        text: An age such as ``7d``, in seconds, minutes, hours, days or weeks; or a date in ISO
            8601, with or without a time. Without a zone it is in UTC.
        now: In seconds since the epoch.

    Raises:
        ValueError: If it is neither, or not in the past.
        OverflowError: If it is before the first possible date.
    """
    age = _AGE.fullmatch(text.strip())
    if age is not None:
        date = datetime.fromtimestamp(now - float(age[1]) * _SECONDS[age[2]], UTC)
    else:
        date = datetime.fromisoformat(text.strip())
    moment = (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    if moment > now:
        raise ValueError(f"{text} is not in the past.")
    return moment


class MomentType(click.ParamType):  # type: ignore[type-arg]  # generic since Click 8.4
    """A time in the past, converted to seconds since the epoch."""

    name = "age|date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the time.

        Raises:
            click.BadParameter: If the text is not such a time.
        """
        if isinstance(value, float):
            return value
        try:
            return moment_of(value, time.time())
        except (ValueError, OverflowError):
            raise click.BadParameter(
                f"{value!r} is no moment in the past. Write an age, as in '7d', '12h' or '30m', or"
                " a date, as in '2026-01-31' or '2026-01-31T12:00'.",
                ctx,
                param,
            ) from None
