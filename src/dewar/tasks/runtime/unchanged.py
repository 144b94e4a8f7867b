"""`UnchangedValues`: for how long values of others have not changed, as one process sees them."""

from collections.abc import Callable, Mapping
from typing import NamedTuple


class _Seen(NamedTuple):
    value: float
    since: float


class UnchangedValues:
    """Compares what is seen with what was seen before. One thread uses it.

    After a pause between two looks the time begins again: the others may have had the same pause.

    Args:
        monotonic: A clock in seconds that nobody sets.
        longest_pause: The most seconds between two looks.
    """

    def __init__(self, monotonic: Callable[[], float], longest_pause: float) -> None:
        self._monotonic = monotonic
        self._longest_pause = longest_pause
        self._seen: dict[str, _Seen] = {}
        self._looked = monotonic()

    def __repr__(self) -> str:
        return f"<UnchangedValues of {len(self._seen)} names>"

    def look(self, values: Mapping[str, float]) -> dict[str, float]:
        """Look at all values; return for each name the seconds without a change."""
        now = self._monotonic()
        before = self._seen if now - self._looked <= self._longest_pause else {}
        self._looked = now
        self._seen = {
            name: before[name]
            if name in before and before[name].value == value
            else _Seen(value, now)
            for name, value in values.items()
        }
        return {name: now - seen.since for name, seen in self._seen.items()}
