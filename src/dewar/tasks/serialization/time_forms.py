"""Dates with a time, times and time zones as JSON: a zone and a fold are part of the value.

A usual time is the text of ISO 8601. With a zone that has a name, or with a fold (PEP 495), it is
a list: the text without the zone, the fold, and the zone.
"""

from collections.abc import Sequence
from datetime import datetime, time, timedelta, timezone, tzinfo
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

T = TypeVar("T", datetime, time)


class Inexact(TypeError):  # noqa: N818  # never leaves the package
    """Raised inside for a value that would come back as something else; its text is the problem."""


def write_time(value: datetime | time) -> Any:
    """Return a datetime or a time as JSON.

    Raises:
        Inexact: If its zone is not of the standard library, or is not found by its key.
    """
    zone = write_zone(value.tzinfo)
    if not value.fold and (zone is None or (type(zone) is list and len(zone) == 1)):
        return value.isoformat()
    return [value.replace(tzinfo=None, fold=0).isoformat(), value.fold, zone]


def read_datetime(content: Any) -> datetime:
    """Return the datetime that `write_time` was called with."""
    return _read(datetime, content)


def read_time(content: Any) -> time:
    """Return the time that `write_time` was called with."""
    return _read(time, content)


def _read(kind: type[T], content: Any) -> T:
    if isinstance(content, str):
        return kind.fromisoformat(content)
    text, fold, zone = content
    return kind.fromisoformat(text).replace(tzinfo=read_zone(zone), fold=fold)


def write_zone(zone: tzinfo | None) -> Any:
    """Return a zone as JSON: the key of a `ZoneInfo`, a list for a `timezone`, or None.

    Raises:
        Inexact: As `write_time`.
    """
    if zone is None:
        return None
    if type(zone) is timezone:
        offset, *name = zone.__getinitargs__()  # type: ignore[attr-defined]  # as pickle does
        return [write_delta(offset), *name]
    if type(zone) is ZoneInfo and _is_known(zone.key):
        return zone.key
    raise Inexact(
        f"has a time zone of the class {type(zone).__module__}.{type(zone).__qualname__} that is"
        " not found by a key, so another process cannot make it again. Use"
        ' zoneinfo.ZoneInfo("Europe/Berlin"), or datetime.UTC.'
    )


def read_zone(content: Any) -> tzinfo | None:
    """Return the zone that `write_zone` was called with."""
    if content is None:
        return None
    if isinstance(content, str):
        return ZoneInfo(content)
    offset, *name = content
    return timezone(read_delta(offset), *name)


def write_delta(value: timedelta) -> list[int]:
    """Return a timedelta as JSON."""
    return [value.days, value.seconds, value.microseconds]


def read_delta(parts: Sequence[int]) -> timedelta:
    """Return the timedelta that `write_delta` was called with."""
    return timedelta(*parts)


def _is_known(key: str | None) -> bool:
    try:
        return key is not None and ZoneInfo(key) is not None
    except (ValueError, OSError, LookupError):
        return False
