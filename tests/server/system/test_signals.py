"""Signals as numbers to be taken."""

import os
import signal
import threading

import pytest

from dewar.server.system.signals import SignalInbox


def test_signals_are_taken_in_order_and_handlers_come_back() -> None:
    """Those that it was asked for."""
    before = signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGTERM)
    with SignalInbox(["SIGUSR1", "SIGTERM", "SIGNONSENSE"]) as inbox:
        assert inbox.take() == []
        assert inbox.wait(0) == []
        os.kill(os.getpid(), signal.SIGUSR1)
        assert inbox.wait(10) == ["SIGUSR1"]
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert inbox.take() == ["SIGTERM", "SIGUSR1"]
        assert inbox.take() == []
    assert (signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGTERM)) == before
    assert inbox.sock is None


def test_a_signal_wakes_who_waits_on_whatever_thread_it_arrives() -> None:
    """The main thread sleeps, and another one is hit."""
    with SignalInbox(["SIGUSR1"]) as inbox:
        other = threading.Thread(
            target=lambda: signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        )
        other.start()
        assert inbox.wait(10) == ["SIGUSR1"]
        other.join()


def test_on_another_thread_no_signal_is_heard_but_what_is_told() -> None:
    """Python has handlers run on the main one."""
    found: list[object] = []

    def main() -> None:
        with SignalInbox(["SIGUSR1"]) as inbox:
            signal.raise_signal(signal.SIGUSR1)
            found.append(inbox.wait(0))
            inbox.deliver("SIGUSR1")
            found.append(inbox.wait())

    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    kept = signal.getsignal(signal.SIGUSR1)
    try:
        thread = threading.Thread(target=main)
        thread.start()
        thread.join()
        assert found == [[], ["SIGUSR1"]]
        assert signal.getsignal(signal.SIGUSR1) is kept
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_what_is_told_wakes_whoever_waits() -> None:
    """A program can ask for its own stop as a signal would."""
    with SignalInbox(["SIGUSR1"]) as inbox:
        other = threading.Thread(target=inbox.deliver, args=("SIGUSR1",))
        other.start()
        assert inbox.wait(10) == ["SIGUSR1"]
        other.join()


@pytest.mark.parametrize("calls", [1, 2])
def test_it_can_be_abandoned(calls: int) -> None:
    """As in a child, which must not touch its parent's wake-up descriptor."""
    inbox = SignalInbox(["SIGUSR1"])
    with inbox:
        for _ in range(calls):
            inbox.abandon()
        assert inbox.sock is None
        assert inbox.take() == []
    signal.set_wakeup_fd(-1)
