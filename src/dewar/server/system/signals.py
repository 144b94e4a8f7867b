"""`SignalInbox`: a queue of the signals that the process gets, beside the program's own handlers.

The system may deliver a signal to any thread, but Python runs the handler on the main thread only,
which may be waiting, or be in a handler of the program that takes its time. So the numbers are read
from the descriptor to which Python writes each signal, whichever thread gets it
(`signal.set_wakeup_fd`). If the program had such a descriptor, it gets a copy of each byte.
"""

import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any, Self

from dewar.server.system.forked_signals import forked_signals
from dewar.server.system.process_exit import leave_as_raised
from dewar.server.system.program_handlers import default_of, ignore, is_left_alone, is_programs
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


#: They say that the process cannot go on, or cannot have a handler.
_NEVER_DEFERRED = ("SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT")

Handler = Callable[[int, FrameType | None], Any]


def _deferrable() -> set[int]:
    never = {getattr(signal, name, 0) for name in _NEVER_DEFERRED}
    return {int(number) for number in signal.valid_signals()} - never


class SignalInbox:
    """Queues the signals that arrive, while it is entered on the main thread.

    On another thread it gets no signals, because Python runs handlers on the main thread only.

    Args:
        names: The signals, such as ``"SIGTERM"``; those that this system lacks are left out.
        defers: Whether handlers of the program, for any signal, are called by `call_deferred`. Else
            Python calls them, wherever the main thread is, and what they raise interrupts it there.
    """

    def __init__(self, names: Iterable[str], *, defers: bool = False) -> None:
        self._numbers = [int(getattr(signal, name)) for name in names if hasattr(signal, name)]
        self._others = sorted(_deferrable().difference(self._numbers)) if defers else []
        self._defers = defers
        self._is_calling = False
        self._received: deque[str] = deque()
        self._replaced: dict[int, Any] = {}
        self._own: dict[int, Handler] = {}
        # A call is due when the name of its signal was taken: the server answers first.
        self._calls: deque[Callable[[], object]] = deque()
        self._due: deque[Callable[[], object]] = deque()
        self._programs_fd = -1
        self._is_installed = False
        self._waker: Waker | None = None

    def __repr__(self) -> str:
        return f"<SignalInbox {'closed' if self._waker is None else 'open'}>"

    @property
    def sock(self) -> socket.socket | None:
        """The socket that becomes readable when a signal arrives; None while not entered."""
        return None if self._waker is None else self._waker.sock

    @property
    def is_installed(self) -> bool:
        """Whether it gets signals: it was entered on the main thread."""
        return self._is_installed

    @property
    def numbers(self) -> list[int]:
        """The signals that it gets."""
        return [*self._numbers, *self._others]

    def deliver(self, name: str) -> None:
        """Add *name* as if such a signal had arrived, from any thread."""
        self._received.append(name)
        if self._waker is not None:
            self._waker.wake()

    def take(self) -> list[str]:
        """Return the names of the signals that have arrived, without waiting."""
        while self._calls:
            self._due.append(self._calls.popleft())
        self._clear()
        taken = []
        while self._received:
            taken.append(self._received.popleft())
        return taken

    def peek(self) -> list[str]:
        """Return the names of the signals that have arrived, and leave them to `take`."""
        self._clear()
        if self._received and self._waker is not None:
            self._waker.wake()  # for who waits for `sock`
        return list(self._received)

    def wait(self, timeout: float | None = None) -> list[str]:
        """Return the next signals, or none after *timeout* seconds."""
        if self._waker is None:
            threading.Event().wait(timeout)
            return []
        if not self._received:
            self._note(self._waker.wait(timeout))
        return self.take()

    def claim(self) -> None:
        """Take what the program has set meanwhile; only on the main thread, between its waits.

        A start-up function may have set a handler or a wake-up descriptor, and asyncio takes its
        own away when a loop is closed.
        """
        if self._waker is None or not self._is_installed:
            return
        found = signal.set_wakeup_fd(self._waker.signal_fd, warn_on_full_buffer=False)
        if found != self._waker.signal_fd:
            self._programs_fd = found
        for number in self._numbers:
            self._claim_signal(number)
        for number in self._others:
            if is_programs(signal.getsignal(number)):
                self._claim_signal(number)

    def has_deferred(self) -> bool:
        """Return whether handlers of the program are due."""
        return bool(self._due)

    def call_deferred(self, *, all_of_them: bool = False) -> BaseException | None:
        """Call the program's handlers that are due; return what the first has raised.

        Only on the main thread, as Python does. A child that a handler has forked, and that comes
        back from it, ends here: it is no server.

        Args:
            all_of_them: Whether to call those too whose signals were not taken, at the end.
        """
        raised: BaseException | None = None
        pid = os.getpid()
        calls = [self._due.popleft() for _ in range(len(self._due))]
        if all_of_them:
            calls += [self._calls.popleft() for _ in range(len(self._calls))]
        for call in calls:
            error = self._maybe_raised(call)
            if os.getpid() != pid:
                leave_as_raised(error)
            raised = raised or error
        return raised

    def return_handlers(self) -> None:
        """Give the program its handlers back, in a forked child."""
        for number, handler in self._replaced.items():
            if is_programs(handler):
                signal.signal(number, handler)

    def leave_to_parent(self) -> None:
        """Give the program back, in a forked child, what was taken from it."""
        self._give_back()
        for number in self._numbers:
            # In a worker they were taken before it had an inbox.
            if signal.getsignal(number) is ignore:
                signal.signal(number, default_of(number))
        self.abandon()

    def __enter__(self) -> Self:
        self._waker = Waker()
        if threading.current_thread() is threading.main_thread():
            self._is_installed = True
            forked_signals.add(self)
            self.claim()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._give_back()
        self._replaced.clear()
        self._own.clear()
        self.abandon()

    def abandon(self) -> None:
        """Close it in a forked child, which handles its signals itself."""
        forked_signals.discard(self)
        self._is_installed = False
        if self._waker is not None:
            self._waker.close()
        self._waker = None

    def _claim_signal(self, number: int) -> None:
        handler = signal.getsignal(number)
        if handler in (ignore, self._own.get(number)) or is_left_alone(number):
            return
        own: Handler = ignore
        if is_programs(handler):
            if not self._defers:
                return
            own = partial(self._defer, handler)
        self._replaced[number], self._own[number] = handler, own
        signal.signal(number, own)

    def _maybe_raised(self, call: Callable[[], object]) -> BaseException | None:
        """Call a handler of the program; return what it raises."""
        self._is_calling = True
        try:
            try:
                call()
            finally:
                # At once: what the handler has set must not interrupt the server.
                self.claim()
        except BaseException as error:  # noqa: BLE001  # such as SystemExit
            return error
        finally:
            self._is_calling = False
        return None

    def _give_back(self) -> None:
        if not self._is_installed or self._waker is None:
            return
        for number, handler in self._replaced.items():
            # What the program has set meanwhile stays.
            if signal.getsignal(number) is self._own[number]:
                signal.signal(number, handler)
        self._give_fd_back(self._waker.signal_fd)

    def _give_fd_back(self, own: int) -> None:
        found = signal.set_wakeup_fd(-1)
        kept = self._programs_fd if found == own else found
        if kept != -1:
            with suppress(ValueError, OSError):  # the program has closed it meanwhile
                signal.set_wakeup_fd(kept)

    def _clear(self) -> None:
        """Queue the signals that have arrived, and take the wake-ups back."""
        if self._waker is None:
            return
        self._note(self._waker.clear())
        if self._calls:
            # A handler may have been called since `take` looked, and the wake-up was for its call.
            self._waker.wake()

    def _note(self, data: bytes) -> None:
        """Queue the signals among *data*; a zero is a wake-up of `deliver`."""
        numbers = data.replace(b"\0", b"")
        if numbers and self._programs_fd != -1:
            with suppress(OSError):  # closed, or full
                os.write(self._programs_fd, numbers)
        self._received.extend(
            signal.Signals(number).name for number in numbers if number in self._numbers
        )

    def _defer(self, handler: Any, number: int, frame: FrameType | None) -> None:
        if self._is_calling:
            handler(number, frame)  # it may be there to interrupt the handler that runs
            return
        self._calls.append(partial(handler, number, frame))
        if self._waker is not None:
            self._waker.wake()  # the number may have been read before this
