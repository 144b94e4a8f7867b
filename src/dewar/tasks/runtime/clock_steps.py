"""`ClockSteps`: finds that the clock was set back, by a clock that nobody sets."""

from collections.abc import Callable
from math import inf

# A step back of less is no step: a clock is corrected by some milliseconds all the time.
_LEAST_STEP = 1.0


class ClockSteps:
    """Compares two clocks. One thread uses it.

    Args:
        clock: Returns seconds since the epoch.
        monotonic: Returns seconds that nobody sets.
    """

    def __init__(self, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._offset = inf

    def __repr__(self) -> str:
        return f"<ClockSteps at {self._offset}>"

    def take_step_back(self) -> float:
        """Return by how many seconds the clock was set back since the last call; 0 if it was not.

        The first call returns infinity, because nobody knows what happened before.
        """
        before, self._offset = self._offset, self._clock() - self._monotonic()
        step = before - self._offset
        return step if step >= _LEAST_STEP else 0.0
