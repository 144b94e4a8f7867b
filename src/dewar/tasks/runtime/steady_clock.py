"""`SteadyClock`: the time, without steps that are taken back soon."""

from collections.abc import Callable

#: For how long the clock has to stay where it was set, in seconds, to be believed.
HOLD = 30.0
# Less is no step: a clock is corrected by some milliseconds all the time, and is followed.
_LEAST_STEP = 1.0
# How far another process may be behind, in seconds: its time is some seconds old.
_MOST_DIFFERENCE = 60.0


class SteadyClock:
    """The clock for what cannot be taken back: a due time that was reached is over.

    If the clock is set, forward or back, the time goes on as before, until the clock has stayed
    where it was set for `HOLD` seconds. One thread uses it. Call `now` at least that often.

    Args:
        clock: Returns seconds since the epoch.
        monotonic: Returns seconds that nobody sets.
    """

    def __init__(self, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._offset = self._new_offset = clock() - monotonic()
        self._since = 0.0

    def __repr__(self) -> str:
        return f"<SteadyClock at {self._offset}>"

    def begin(self, other: float | None) -> None:
        """Begin with the time of now, or with that of another process, if it is far earlier.

        A clock that was wrong when this process began is set right before it is believed. If the
        two differ, nobody knows which one is wrong. With the earlier one nothing is fired too soon.
        """
        monotonic = self._monotonic()
        now = self._clock()
        self._offset = self._new_offset = now - monotonic
        if other is not None and now - other >= _MOST_DIFFERENCE:
            self._since, self._offset = monotonic, other - monotonic

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        monotonic = self._monotonic()
        offset = self._clock() - monotonic
        if abs(offset - self._new_offset) >= _LEAST_STEP:
            self._since = monotonic
        self._new_offset = offset
        is_step = abs(offset - self._offset) >= _LEAST_STEP
        if not is_step or monotonic - self._since >= HOLD:
            self._offset = offset
        return self._offset + monotonic
