"""Signals as numbers that one thread takes one by one.

The system may hand a signal to any thread, and Python runs the handler on the main thread alone,
which may sleep through it. So the main thread waits for the byte that every signal writes, on
whatever thread it arrives (`signal.set_wakeup_fd`).
"""

import signal
import socket
import threading
from collections import deque
from collections.abc import Iterable
from types import FrameType
from typing import Self

from dewar.support.waker import Waker

#: What a server answers, where the system has it.
HANDLED_SIGNALS = (
    "SIGINT",
    "SIGTERM",
    "SIGQUIT",
    "SIGHUP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGUSR1",
    "SIGBREAK",
)


class SignalInbox:
    """Holds the signals that came, while it is entered on the main thread.

    On any other thread it hears nothing: Python has handlers run on the main one.

    Args:
        names: The signals, such as ``"SIGTERM"``; those that this system has not are left out.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._numbers = [int(getattr(signal, name)) for name in names if hasattr(signal, name)]
        self._received: deque[int] = deque()
        self._former: dict[int, object] = {}
        self._former_fd = -1
        self._is_installed = False
        self._waker: Waker | None = None

    def __repr__(self) -> str:
        return f"<SignalInbox {'closed' if self._waker is None else 'open'}>"

    @property
    def sock(self) -> socket.socket | None:
        """What becomes readable when a signal comes; None while it is not entered."""
        return None if self._waker is None else self._waker.sock

    def deliver(self, name: str) -> None:
        """Have a signal taken for come, from any thread."""
        self._received.append(int(getattr(signal, name)))
        if self._waker is not None:
            self._waker.wake()

    def take(self) -> list[str]:
        """Return the names of the signals that have come, without waiting."""
        if self._waker is not None:
            self._waker.clear()
        taken = []
        while self._received:
            taken.append(signal.Signals(self._received.popleft()).name)
        return taken

    def wait(self, timeout: float | None = None) -> list[str]:
        """Return the next signals, or none after *timeout* seconds."""
        if self._waker is None:
            threading.Event().wait(timeout)
            return []
        if not self._received:
            self._waker.wait(timeout)
        return self.take()

    def __enter__(self) -> Self:
        self._waker = Waker()
        if threading.current_thread() is not threading.main_thread():
            return self  # signals are heard on that one only
        self._is_installed = True
        self._former_fd = signal.set_wakeup_fd(self._waker.signal_fd, warn_on_full_buffer=False)
        for number in self._numbers:
            self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() returned
        self._former.clear()
        if self._is_installed:
            signal.set_wakeup_fd(self._former_fd)
        self.abandon()

    def abandon(self) -> None:
        """Close it in a forked child, whose signals are none of this process's."""
        if self._waker is not None:
            self._waker.close()
        self._waker = None

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._received.append(number)
