"""`SignalInbox`: a queue of signals that the main thread reads.

The system may deliver a signal to any thread, but Python runs the handler on the main thread only,
which may be waiting. So the main thread waits for the byte that Python writes for every signal,
whichever thread gets it (`signal.set_wakeup_fd`).
"""

import signal
import socket
import threading
from collections import deque
from collections.abc import Iterable
from types import FrameType
from typing import Self

from dewar.support.waker import Waker

#: The signals that a server handles, if the system has them.
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
    """Queues the signals that arrive, while it is entered on the main thread.

    On another thread it gets no signals, because Python runs handlers on the main thread only.

    Args:
        names: The signals, such as ``"SIGTERM"``; those that this system lacks are left out.
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
        """The socket that becomes readable when a signal arrives; None while not entered."""
        return None if self._waker is None else self._waker.sock

    def deliver(self, name: str) -> None:
        """Add a signal as if it had arrived, from any thread."""
        self._received.append(int(getattr(signal, name)))
        if self._waker is not None:
            self._waker.wake()

    def take(self) -> list[str]:
        """Return the names of the signals that have arrived, without waiting."""
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
            return self  # handlers run on the main thread only
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
        """Close it in a forked child, which handles its signals itself."""
        if self._waker is not None:
            self._waker.close()
        self._waker = None

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._received.append(number)
