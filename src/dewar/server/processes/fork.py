"""`fork`: start a child process, with its signals and exit functions put right."""

import atexit
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from dewar.server.system.process_exit import exit_status, leave
from dewar.server.system.program_handlers import ignore, is_left_alone

#: Exit status of a worker, and of the whole server, whose application could not be loaded.
EXIT_LOAD = 3
# sysexits(3): EX_SOFTWARE.
_EXIT_FAULT = 70

# A terminal or a kill may send these to the whole process group; the supervisor answers for all.
_IGNORED = ("SIGINT", "SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGUSR2")
_DEFAULT = ("SIGTERM", "SIGQUIT", "SIGCHLD")
_BLOCKED = (*_IGNORED, *_DEFAULT)
_STOPPING = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP")

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
    """Start a process that runs *main* and ends with the status it returns; return its pid.

    Signals are blocked in the child until it has removed its parent's handlers: they would report
    the child's signals to the parent. The child runs the `atexit` functions that were registered
    after the fork, and not those of its parent.

    Raises:
        OSError: The system cannot start another process.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):  # none, closed, or not read
            stream.flush()  # else both processes would write its buffer
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
        for name in (*_IGNORED, *_DEFAULT):
            number = getattr(signal, name)
            if name in _IGNORED and signal.getsignal(number) is signal.SIG_IGN:
                continue  # as with nohup: so it is for what a worker starts
            if not is_left_alone(number):
                signal.signal(number, ignore if name in _IGNORED else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = main()
    except SystemExit as error:
        # Another signal to stop, as the supervisor's after the group's, would have the program's
        # handler raise once more, perhaps in a function that ends an object.
        signal.pthread_sigmask(signal.SIG_BLOCK, [getattr(signal, name) for name in _STOPPING])
        status = exit_status(error)
    except BaseException:
        _logger.critical(
            "Process %d met an internal error in the server", os.getpid(), exc_info=True
        )
    finally:
        leave(status)
