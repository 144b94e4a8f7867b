"""`Timers`: what is done again and again, each at its own pace, by one thread."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Timer:
    interval: float
    do: Callable[[], object]
    due: float


class Timers:
    """Functions and their intervals. It reads no clock."""

    def __init__(self) -> None:
        self._timers: list[_Timer] = []

    def __repr__(self) -> str:
        return f"<Timers {[(one.do.__name__, one.due) for one in self._timers]}>"

    def add(self, interval: float, do: Callable[[], object]) -> None:
        """Have a function called at once, and every *interval* seconds from then on."""
        self._timers.append(_Timer(interval, do, due=0.0))

    def run(self, now: float) -> float:
        """Call what is due; return the seconds until something is due again.

        One that raises is due again after its interval, and keeps later ones from this round.
        """
        for one in self._timers:
            if one.due <= now:
                one.due = now + one.interval
                one.do()
        return max(0.0, min(one.due for one in self._timers) - now)

    def make_due(self, do: Callable[[], object]) -> None:
        """Make a function due now. Any thread may call it."""
        for one in self._timers:
            if one.do == do:
                one.due = 0.0
