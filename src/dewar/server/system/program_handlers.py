"""The signal handlers of the program: which there are, and which are never replaced.

Where the program has no handler, the server sets `ignore`, and gets the number of the signal by its
wake-up descriptor.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

_logger = logging.getLogger("dewar.server")

#: The server has to answer these, whatever else the program does with them.
_ALWAYS_TAKEN = frozenset({"SIGINT", "SIGTERM", "SIGBREAK", "SIGCHLD"})


def ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing: the number is on its way by the wake-up descriptor.

    Unlike ``SIG_IGN``, programs that this process starts do not inherit it.
    """


def default_of(number: int) -> signal.Handlers | Callable[[int, FrameType | None], object]:
    """Return what Python has for a signal when a program starts."""
    return signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL


def is_programs(handler: object) -> bool:
    """Return whether *handler*, of `signal.getsignal`, is a function of the program.

    `signal.default_int_handler` is Python's own: it raises KeyboardInterrupt for a program that
    has no handler for SIGINT.
    """
    return callable(handler) and handler not in (signal.default_int_handler, ignore)


def has_handler(name: str) -> bool:
    """Return whether the program handles the signal *name* itself."""
    return is_programs(signal.getsignal(getattr(signal, name)))


def is_left_alone(number: int) -> bool:
    """Return whether something else than Python has a handler that stays, such as `faulthandler`.

    A handler in C cannot be called from a handler in Python. So ``faulthandler.register(SIGUSR1)``
    keeps its signal, as under gunicorn; SIGINT and SIGTERM always stop the server.
    """
    if signal.Signals(number).name in _ALWAYS_TAKEN:
        return False
    handler = signal.getsignal(number)
    return handler is None or (handler is signal.SIG_DFL and _is_caught(number))


def end_without_handler(waited: float) -> NoReturn:
    """End the process although a handler of the program has not returned.

    Args:
        waited: How long it was waited for, in seconds; for the log.
    """
    try:
        _logger.warning(
            "Process %d has waited %.1f s for a signal handler of the program, and ends without.",
            os.getpid(), waited,
        )  # fmt: skip
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, ValueError, OSError):  # none, closed, or full
                stream.flush()
    finally:
        os._exit(0)


def _is_caught(number: int) -> bool:
    """Return whether the process has a handler, whoever has set it; see proc(5), ``SigCgt``."""
    if sys.platform != "linux":
        return False
    with suppress(OSError):
        for line in Path("/proc/self/status").read_bytes().splitlines():
            if line.startswith(b"SigCgt:"):
                return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False
