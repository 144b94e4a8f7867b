"""The threads that an application has started, at the end of the process: it waits for them.

Python itself waits for threads and executors before a process ends, without a limit. Here is the
limit: one more thread that ends the process when the time is over. Without threads of the
application nothing is started, and nothing waits.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import NoReturn

from dewar.server.system.signals import HANDLED_SIGNALS, SignalInbox
from dewar.support.background_thread import BackgroundThread

_logger = logging.getLogger("dewar.server")

# How long threads get at least, in seconds: an executor needs a moment to end its idle ones.
_AT_LEAST = 1.0
# How often it looks whether they have ended, in seconds.
_LOOK = 0.05
_QUICK_STOPS = frozenset({"SIGINT", "SIGTERM", "SIGBREAK", "SIGQUIT"})


def last_threads() -> list[threading.Thread]:
    """Return the threads that the interpreter waits for at its exit, without the calling one."""
    return [
        thread
        for thread in threading.enumerate()
        if not (thread.daemon or isinstance(thread, BackgroundThread))
        and thread not in (threading.main_thread(), threading.current_thread())
    ]


def describe_threads(threads: Iterable[threading.Thread]) -> str:
    """Return the names of *threads* and where they are: ``mail (send at app.py:5)``."""
    frames = sys._current_frames()  # noqa: SLF001  # documented, in spite of its name
    return ", ".join(f"{t.name} ({_place(frames.get(t.ident or 0))})" for t in threads)


def finish_threads(timeout: float, status: int, wait_quit: Callable[[float], bool]) -> None:
    """Wait for the last threads as the interpreter does at its exit, but not without a limit.

    Only the main thread of a process that ends calls this. If threads are left after the time,
    they are logged, and the process ends here.

    Args:
        timeout: The limit in seconds.
        status: The exit status of a process that leaves threads.
        wait_quit: Waits for some seconds; returns whether the time is over already.
    """
    if last_threads():
        limit = partial(_wait_and_end, timeout, status, wait_quit)
        if not _try_start(limit):
            limit()
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001


def limit_interpreter_exit(timeout: float) -> None:
    """Have the interpreter wait *timeout* seconds for the last threads, when it comes to its exit.

    A second signal cuts that short. Only a process that ends on its main thread has an exit;
    on another thread this does nothing.
    """
    if not last_threads() or threading.current_thread() is not threading.main_thread():
        return
    inbox, exits = SignalInbox(HANDLED_SIGNALS), threading.Event()

    def limit() -> None:
        exits.wait()
        _wait_and_end(timeout, 0, lambda s: bool(_QUICK_STOPS.intersection(inbox.wait(s))))

    def begin() -> None:
        inbox.__enter__()  # until the process ends
        exits.set()
        if not has_thread:
            limit()

    has_thread = _try_start(limit)  # now: at the exit Python 3.12 starts none
    # Not `atexit`: the interpreter calls that after it has waited for threads.
    with suppress(RuntimeError):  # the exit has begun
        threading._register_atexit(begin)  # type: ignore[attr-defined]  # noqa: SLF001


def _try_start(limit: Callable[[], None]) -> bool:
    """Start a thread for *limit*; return whether there was one to be had."""
    try:
        BackgroundThread("dewar-exit-limit", limit).start()
    except RuntimeError:
        return False
    return True


def _wait_and_end(timeout: float, status: int, wait_quit: Callable[[float], bool]) -> None:
    began = time.monotonic()
    is_quit = _wait(began + _AT_LEAST, wait_quit)
    left = last_threads()
    if left and not is_quit and timeout > _AT_LEAST:
        _logger.warning(
            "Process %d waits up to %.0f s for threads of the application: %s.",
            os.getpid(), timeout, describe_threads(left),
        )  # fmt: skip
        _wait(began + timeout, wait_quit)
        left = last_threads()
    if left:
        _end_without(left, time.monotonic() - began, status)


def _wait(until: float, wait_quit: Callable[[float], bool]) -> bool:
    """Wait for the last threads; return whether that was cut short."""
    while last_threads() and time.monotonic() < until:
        if wait_quit(_LOOK):
            return True
    return False


def _end_without(left: list[threading.Thread], waited: float, status: int) -> NoReturn:
    try:
        _logger.warning(
            "Process %d has waited %.1f s for threads of the application, and ends without %s.",
            os.getpid(), waited, describe_threads(left),
        )  # fmt: skip
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, ValueError, OSError):  # none, closed, or full
                stream.flush()
    finally:
        os._exit(status)


def _place(frame: FrameType | None) -> str:
    """Return where a thread is: in the innermost function that is not of the standard library."""
    if frame is None:
        return "ending"
    own: FrameType | None = frame
    while own is not None and _is_standard(own):
        own = own.f_back
    code = (own or frame).f_code
    return f"{code.co_name} at {code.co_filename}:{(own or frame).f_lineno}"


def _is_standard(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in sys.stdlib_module_names
