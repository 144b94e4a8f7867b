"""Making a process, and being one that was made."""

import atexit
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

#: Exit status of a worker, and of the whole server, whose application could not be loaded.
EXIT_LOAD = 3
# sysexits(3): EX_SOFTWARE.
_EXIT_FAULT = 70

_BLOCKED = ("SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGCHLD")
# What a terminal or a careless kill sends to a whole group, and the supervisor answers for all.
_IGNORED = ("SIGINT", "SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR1")
_DEFAULT = ("SIGTERM", "SIGQUIT", "SIGCHLD")

_logger = logging.getLogger("dewar.server")


class ChildCleanup:
    """Closes, in a forked child, what belongs to the supervisor alone."""

    def __init__(self) -> None:
        self._closers: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"<ChildCleanup of {len(self._closers)} parts>"

    def add(self, close: Callable[[], None]) -> None:
        """Have every child call *close*."""
        self._closers.append(close)

    def run(self) -> None:
        """Close everything; only in a child."""
        for close in self._closers:
            close()


def fork(main: Callable[[], int]) -> int:
    """Make a process that runs *main* and ends with the status it returns; return its pid.

    The child hears no signal before it has dropped its parent's handlers: they would tell the
    parent of signals that were the child's. It runs what was registered with `atexit` after the
    fork, and nothing of what its parent had registered.

    Raises:
        OSError: The system has no process to give.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):  # none, closed, or its reader gone
            stream.flush()  # else both would write what is in it
    held = {getattr(signal, name) for name in _BLOCKED}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        pid = os.fork()
    except BaseException:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise
    if not pid:
        _run_child(main, before - held)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _run_child(main: Callable[[], int], mask: set[int | signal.Signals]) -> NoReturn:
    status = _EXIT_FAULT
    try:
        atexit._clear()  # noqa: SLF001  # as multiprocessing does; there is no public way
        signal.set_wakeup_fd(-1)
        for name in _IGNORED:
            # A handler and not SIG_IGN, which the programs that the application starts would
            # inherit.
            signal.signal(getattr(signal, name), _ignore)
        for name in _DEFAULT:
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = main()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        _logger.critical(
            "Process %d met an internal error in the server", os.getpid(), exc_info=True
        )
    finally:
        _leave(status)


def _leave(status: int) -> NoReturn:
    """End the process as the interpreter would, but return to no caller of the parent's."""
    try:
        # Waits for what the application's own threads have in hand, executors included.
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
        atexit._run_exitfuncs()  # noqa: SLF001
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, ValueError, OSError):
                stream.flush()
    finally:
        os._exit(status)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Hear a signal that is somebody else's."""
