"""How an exception is raised in a function from another thread: the ways of Python.

| the function runs | the way | when it is raised |
|---|---|---|
| on a thread | `ThreadRaiser`: the interpreter's own | before the next line; no system call ends |
| on the main thread of a process | `SignalRaiser`: a signal handler | at once; a system call ends |
| as a coroutine | `dewar.tasks.interruptible_task`: a cancellation | where it waits |
"""

import ctypes
import signal
import threading
from contextlib import suppress
from typing import Protocol

from dewar.tasks.errors import SoftTimeLimitExceeded

# Its default is to be ignored, and programs hardly use it: a late one harms nobody.
_SIGNAL = getattr(signal, "SIGURG", None)


class Raiser(Protocol):
    """Raises `SoftTimeLimitExceeded` in one thread.

    The caller makes sure that `send` is not called at the same time as the others.
    """

    def send(self) -> None:
        """Have it raised in the thread. Another thread calls this."""

    def flush(self) -> None:
        """Raise what was sent and is not raised yet. Only the thread itself calls this."""

    def clear(self) -> None:
        """Take back what was sent and is not raised yet. Only the thread itself calls this."""


class TakenBackError(Exception):
    """Takes the place of what is taken back. Nobody but `ThreadRaiser` sees it."""


class ThreadRaiser:
    """Raises it in the thread that makes this object."""

    def __init__(self) -> None:
        self._ident = threading.get_ident()

    def send(self) -> None:
        """See `Raiser`."""
        _set_asynchronous(self._ident, SoftTimeLimitExceeded)

    def flush(self) -> None:
        """See `Raiser`. The interpreter raises it at the latest when a function is called."""
        _do_nothing()

    def clear(self) -> None:
        """See `Raiser`."""
        # Another error takes its place and is raised here. The interpreter can also forget the
        # first one, but not its note that a thread has one: up to CPython 3.12 the whole process
        # is slower then, and in 3.11 the next function that is traced never begins.
        with suppress(TakenBackError):
            _set_asynchronous(self._ident, TakenBackError)
            _do_nothing()

    def __repr__(self) -> str:
        return f"<ThreadRaiser {self._ident}>"


class SignalRaiser:
    """Raises it in the main thread. There is one in a process, and the main thread makes it."""

    def __init__(self) -> None:
        self._is_sent = False
        if _SIGNAL is not None:
            signal.signal(_SIGNAL, self._on_signal)

    def send(self) -> None:
        """See `Raiser`."""
        ident = threading.main_thread().ident
        if _SIGNAL is not None and ident is not None:
            self._is_sent = True
            signal.pthread_kill(ident, _SIGNAL)

    def flush(self) -> None:
        """See `Raiser`."""
        if self._is_sent:
            self._is_sent = False
            raise SoftTimeLimitExceeded

    def clear(self) -> None:
        """See `Raiser`."""
        self._is_sent = False

    def _on_signal(self, *_: object) -> None:
        self.flush()

    def __repr__(self) -> str:
        return f"<SignalRaiser{' with one sent' if self._is_sent else ''}>"


def raiser_here() -> Raiser:
    """Return what raises in this thread, in the better way if this is the main thread."""
    is_main = threading.current_thread() is threading.main_thread()
    return SignalRaiser() if is_main and _SIGNAL is not None else ThreadRaiser()


def _do_nothing() -> None:
    """Be called."""


def _set_asynchronous(ident: int, error: type[BaseException]) -> None:
    """Have the interpreter raise an exception in a thread, in the place of the last one."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(error))
