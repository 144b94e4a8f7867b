"""`SwallowedErrors`: learns that an error was dropped that was raised in a thread from outside.

Python runs finalizers and the callbacks of weak references between any two lines of a function, and
drops what is raised in them. So it does with a soft limit that falls due there, and the function
would never be told. All that Python does with such an error is to call `sys.unraisablehook`.
"""

import sys
import threading
from collections.abc import Callable
from typing import Any

from dewar.tasks.errors import SoftTimeLimitExceeded
from dewar.tasks.raisers import TakenBackError


class SwallowedErrors:
    """The hook: it passes on everything but the soft limits of threads that are watched.

    And what takes the place of one that is taken back.

    Args:
        before: The hook that was there before.
    """

    def __init__(self, before: Callable[[Any], object]) -> None:
        self._before = before
        self._calls: dict[int, Callable[[], object]] = {}

    def __call__(self, unraisable: Any) -> None:
        """Call the function of this thread for a soft limit, and else the hook before."""
        call = self._calls.get(threading.get_ident())
        if call is not None and unraisable.exc_type is SoftTimeLimitExceeded:
            call()
        elif unraisable.exc_type is not TakenBackError:
            self._before(unraisable)

    def watch(self, call: Callable[[], object]) -> None:
        """Have a function called when a soft limit is dropped in this thread."""
        self._calls[threading.get_ident()] = call

    def forget(self) -> None:
        """Watch this thread no more."""
        self._calls.pop(threading.get_ident(), None)

    def __repr__(self) -> str:
        return f"<SwallowedErrors of {len(self._calls)} threads>"


def swallowed_errors() -> SwallowedErrors:
    """Return the hook of this process, which is installed if it is not, or not any more."""
    hook = sys.unraisablehook
    if not isinstance(hook, SwallowedErrors):
        hook = sys.unraisablehook = SwallowedErrors(hook)
    return hook
