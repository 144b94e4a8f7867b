"""Wait for what tells nobody that it has happened."""

import time
from collections.abc import Callable
from typing import TypeVar

#: Seconds in which a condition has to hold: far more than it takes, also on a busy machine.
LIMIT = 30.0
#: Seconds between two looks: short at first, and then such that looking costs little.
_FIRST, _LONGEST = 0.001, 0.02

Found = TypeVar("Found")


def eventually(
    condition: Callable[[], Found | None],
    what: str | Callable[[], str] = "",
    limit: float = LIMIT,
) -> Found:
    """Return what *condition* gives as soon as it is true.

    It is for other processes, for the kernel, and for threads that have no event to wait on. Where
    a test can have an event, a barrier or a clock of its own, it uses that.

    Args:
        condition: Is called again and again.
        what: What the error names, or a function that returns it.
        limit: The seconds after which the test fails.

    Raises:
        AssertionError: It did not become true.
    """
    deadline, pause = time.monotonic() + limit, _FIRST
    while not (found := condition()):
        if time.monotonic() > deadline:
            said = what() if callable(what) else what or condition
            raise AssertionError(f"not within {limit} seconds: {said}")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST)
    return found
