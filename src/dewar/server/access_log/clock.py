"""The time of day as logs have it, formatted once a second."""

import time

# Not strftime's, which are in the language of the process.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class LogClock:
    """Formats times; safe for any thread."""

    __slots__ = ("_latest",)

    def __init__(self) -> None:
        # One tuple, so that no thread sees the text of one second with the number of another.
        self._latest = (-1, "", "", "")

    def __repr__(self) -> str:
        return f"<LogClock {self._latest[1]}>"

    def common(self, now: float) -> str:
        """Return ``10/Oct/2000:13:55:36 -0700``, as Apache's ``%t`` has it in brackets."""
        latest = self._latest
        return latest[1] if latest[0] == int(now) else self._at(now)[1]

    def iso(self, now: float) -> str:
        """Return ``2000-10-10T13:55:36.042-07:00`` (ISO 8601)."""
        _, _, second, offset = self._at(now)
        return f"{second}.{int(now * 1000) % 1000:03d}{offset}"

    def _at(self, now: float) -> tuple[int, str, str, str]:
        latest = self._latest
        if latest[0] == int(now):
            return latest
        local = time.localtime(now)
        zone = time.strftime("%z", local)
        month = _MONTHS[local.tm_mon - 1]
        common = time.strftime(f"%d/{month}/%Y:%H:%M:%S {zone}", local)
        second = time.strftime("%Y-%m-%dT%H:%M:%S", local)
        latest = self._latest = (int(now), common, second, f"{zone[:3]}:{zone[3:]}")
        return latest
