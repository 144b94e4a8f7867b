"""Which signals have arrived while a program loads."""

import signal
import socket
import threading
from contextlib import suppress

import pytest

from dewar.server.system.arrived_signals import ArrivedSignals


@pytest.fixture(autouse=True)
def _handler():
    """The program has a handler for SIGUSR2."""
    before = signal.signal(signal.SIGUSR2, lambda *_: None)
    yield
    signal.signal(signal.SIGUSR2, before)
    assert signal.set_wakeup_fd(-1) == -1


def test_a_signal_with_a_handler_is_noted() -> None:
    """Also one whose handler has ended the program's work."""
    arrived = ArrivedSignals()
    with suppress(SystemExit), arrived:
        signal.raise_signal(signal.SIGUSR2)
        raise SystemExit
    assert arrived.taken() == {signal.SIGUSR2}
    assert arrived.taken() == frozenset()


def test_without_a_signal_there_is_none() -> None:
    """Nor from before."""
    signal.raise_signal(signal.SIGUSR2)
    with ArrivedSignals() as arrived:
        pass
    assert arrived.taken() == frozenset()


def test_the_programs_descriptor_stays() -> None:
    """Whether it was there before, or is set meanwhile."""
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setblocking(False)
    with ours, theirs:
        signal.set_wakeup_fd(ours.fileno())
        with ArrivedSignals():
            pass
        assert signal.set_wakeup_fd(-1) == ours.fileno()
        with ArrivedSignals():
            signal.set_wakeup_fd(theirs.fileno())
        assert signal.set_wakeup_fd(-1) == theirs.fileno()


def test_another_thread_notes_nothing() -> None:
    """Python runs handlers on the main thread."""
    found = []

    def work() -> None:
        with ArrivedSignals() as arrived:
            pass
        found.append(arrived.taken())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [frozenset()]


def test_a_handler_may_raise_while_it_is_left() -> None:
    """The signal is noted all the same: a second one often comes right after the first."""
    arrived = ArrivedSignals()
    arrived.__enter__()
    signal.raise_signal(signal.SIGUSR2)
    signal.set_wakeup_fd(-1)
    assert arrived.taken() == {signal.SIGUSR2}
