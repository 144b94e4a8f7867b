"""The two threads of a `SignalLoop`, one after the other."""

import signal
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dewar.server.signal_loop import SignalLoop
from dewar.server.system.signals import HANDLED_SIGNALS, SignalInbox


class Inbox(SignalInbox):
    """Has `after_calls` called when the handlers that are due were called, and notes who looks."""

    def __init__(self) -> None:
        super().__init__(HANDLED_SIGNALS, defers=True)
        self.after_calls: Callable[[], None] = lambda: None
        self.looked = threading.Event()
        self.has_stopped = threading.Event()
        self.taken_late = 0

    def call_deferred(self, *, all_of_them: bool = False) -> BaseException | None:
        raised = super().call_deferred(all_of_them=all_of_them)
        if not all_of_them:
            self.after_calls()
        return raised

    def take(self) -> list[str]:
        self.taken_late += self.has_stopped.is_set()
        return super().take()

    def peek(self) -> list[str]:
        found = super().peek()
        self.looked.set()
        return found


class Stopping:
    """A server that stops when the main thread has called handlers."""

    settings = SimpleNamespace(graceful_timeout=20.0)

    def __init__(self) -> None:
        self.may_stop = threading.Event()

    def stop(self, timeout: float | None = None) -> bool:
        return self.may_stop.wait(10)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """An inbox that has ended before the handlers of the test are taken back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2)}
    with Inbox() as made:
        yield made
    for number, handler in before.items():
        signal.signal(number, handler)


def loop_of(server: Stopping, inbox: Inbox) -> SignalLoop:
    nobody: Any = SimpleNamespace(stopping=lambda: None, has_gone=lambda: False)
    stopping: Any = server
    loop = SignalLoop(stopping, inbox, nobody, nobody)
    inbox.has_stopped = loop._has_stopped
    return loop


def test_a_handler_is_called_though_the_server_has_stopped_before(inbox: Inbox) -> None:
    """Its signal comes when the main thread has looked for the last time."""
    called: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, frame: called.append(number))
    server = Stopping()
    loop = loop_of(server, inbox)

    def after_calls() -> None:
        server.may_stop.set()
        assert loop._has_stopped.wait(10)
        signal.raise_signal(signal.SIGUSR1)

    inbox.after_calls = after_calls
    inbox.deliver("SIGTERM")
    loop.run()
    assert called == [signal.SIGUSR1]


def test_what_limits_a_handler_takes_no_signals(inbox: Inbox) -> None:
    """They are the main thread's by then, with the handlers that are left."""
    called: list[int] = []

    def told(number: int, frame: object) -> None:
        inbox.looked.clear()
        assert inbox.looked.wait(10)
        called.append(number)

    signal.signal(signal.SIGUSR1, told)
    server = Stopping()
    loop = loop_of(server, inbox)

    def after_calls() -> None:
        server.may_stop.set()
        assert loop._has_stopped.wait(10)
        inbox.looked.clear()
        signal.raise_signal(signal.SIGUSR1)
        assert inbox.looked.wait(10)

    inbox.after_calls = after_calls
    inbox.deliver("SIGTERM")
    loop.run()
    assert (called, inbox.taken_late) == ([signal.SIGUSR1], 0)


def test_what_a_handler_sets_interrupts_it_alone(inbox: Inbox) -> None:
    """A handler that it has set is the server's to call as soon as it has returned."""
    error = SystemExit(4)

    def later(number: int, frame: object) -> None:
        raise error

    def told(number: int, frame: object) -> None:
        signal.signal(signal.SIGUSR2, later)

    before = signal.getsignal(signal.SIGUSR2)
    signal.signal(signal.SIGUSR1, told)
    server = Stopping()
    loop = loop_of(server, inbox)

    def after_calls() -> None:
        if signal.getsignal(signal.SIGUSR2) != before:
            server.may_stop.set()
            signal.raise_signal(signal.SIGUSR2)

    inbox.after_calls = after_calls
    inbox.claim()
    signal.raise_signal(signal.SIGUSR1)
    inbox.deliver("SIGTERM")
    with pytest.raises(SystemExit) as raised:
        loop.run()
    assert raised.value is error
    assert inbox.has_stopped.is_set()
