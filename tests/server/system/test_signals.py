"""Signals as numbers to be taken."""

import faulthandler
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from dewar.server.system.program_handlers import is_programs
from dewar.server.system.signals import SignalInbox
from dewar.support.waker import Waker


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


class _Handler:
    """A handler of the program that counts its calls, and raises if it is told to."""

    def __init__(self, *raises: BaseException) -> None:
        self.calls = 0
        self._raises = list(raises)

    def __call__(self, number: int, frame: object) -> None:
        self.calls += 1
        if self._raises:
            raise self._raises.pop(0)


@pytest.fixture
def usr1() -> Iterator[Callable[[Any], Any]]:
    """Set a handler for SIGUSR1; the former one comes back."""
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda handler: signal.signal(signal.SIGUSR1, handler)
    signal.signal(signal.SIGUSR1, before)


def test_a_handler_is_due_when_its_signal_was_taken(usr1: Callable[[Any], Any]) -> None:
    """So that the server answers first; what it raises is returned, and the others run."""
    error = SystemExit(3)
    handler = _Handler(error)
    usr1(handler)
    with SignalInbox(["SIGUSR1"], defers=True) as inbox:
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR1)
        assert (inbox.has_deferred(), inbox.call_deferred()) == (False, None)
        assert inbox.peek() == inbox.peek() == ["SIGUSR1", "SIGUSR1"]
        assert not inbox.has_deferred()
        assert inbox.take() == ["SIGUSR1", "SIGUSR1"]
        assert inbox.has_deferred()
        assert inbox.call_deferred() is error
        assert (handler.calls, inbox.call_deferred()) == (2, None)
        signal.raise_signal(signal.SIGUSR1)
        assert inbox.call_deferred(all_of_them=True) is None
        assert handler.calls == 3
    assert signal.getsignal(signal.SIGUSR1) is handler


@pytest.mark.parametrize("look", [SignalInbox.take, SignalInbox.peek])
def test_a_signal_that_arrives_during_a_look_wakes_for_its_handler(
    usr1: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch, look: Callable[[SignalInbox], Any]
) -> None:
    """The look takes the wake-up, but not the call."""
    handler = _Handler()
    usr1(handler)
    clear = Waker.clear

    def clear_late(waker: Waker) -> bytes:
        monkeypatch.setattr(Waker, "clear", clear)
        signal.raise_signal(signal.SIGUSR1)
        return clear(waker)

    with SignalInbox([], defers=True) as inbox:
        assert inbox.sock is not None
        monkeypatch.setattr(Waker, "clear", clear_late)
        assert look(inbox) == []
        assert select.select([inbox.sock], [], [], 0)[0]
        inbox.wait()
        inbox.call_deferred()
        assert handler.calls == 1
        assert not select.select([inbox.sock], [], [], 0)[0]


def test_a_handler_may_call_the_one_it_has_found(usr1: Callable[[Any], Any]) -> None:
    """Set while the server runs, as libraries chain handlers."""
    first, later = _Handler(), _Handler()
    usr1(first)
    with SignalInbox(["SIGUSR1"], defers=True) as inbox:
        found = signal.getsignal(signal.SIGUSR1)
        assert callable(found)

        def both(number: int, frame: FrameType | None) -> None:
            later(number, frame)
            found(number, frame)

        usr1(both)
        inbox.claim()
        signal.raise_signal(signal.SIGUSR1)
        assert inbox.take() == ["SIGUSR1"]
        inbox.call_deferred()
        inbox.call_deferred(all_of_them=True)
        assert (first.calls, later.calls) == (1, 1)
    assert signal.getsignal(signal.SIGUSR1) is both


def test_handlers_of_the_program_stay_where_none_is_deferred(usr1: Callable[[Any], Any]) -> None:
    """Python calls them, and the inbox gets the signal too."""
    handler = _Handler()
    usr1(handler)
    with SignalInbox(["SIGUSR1"]) as inbox:
        assert signal.getsignal(signal.SIGUSR1) is handler
        signal.raise_signal(signal.SIGUSR1)
        assert (inbox.take(), handler.calls) == (["SIGUSR1"], 1)


def test_what_the_program_sets_meanwhile_stays(usr1: Callable[[Any], Any]) -> None:
    """Its handler and its wake-up descriptor."""
    handler = _Handler()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        with SignalInbox(["SIGUSR1"]):
            usr1(handler)
            signal.set_wakeup_fd(writer)
        assert signal.getsignal(signal.SIGUSR1) is handler
        assert signal.set_wakeup_fd(-1) == writer
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("later", [False, True])
def test_a_wake_up_descriptor_of_the_program_gets_all_signals(
    later: bool, usr1: Callable[[Any], Any]
) -> None:
    """Set before, or while the server runs; those too that the server does not handle."""
    usr1(_Handler())
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        if not later:
            signal.set_wakeup_fd(writer)
        with SignalInbox(["SIGTERM"]) as inbox:
            if later:
                signal.set_wakeup_fd(writer)
                inbox.claim()
            signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGTERM)
            assert inbox.take() == ["SIGTERM"]
            assert os.read(reader, 10) == bytes([signal.SIGUSR1, signal.SIGTERM])
        assert signal.set_wakeup_fd(-1) == writer
    finally:
        signal.set_wakeup_fd(-1)
        os.close(reader)
        os.close(writer)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_handler_in_c_stays(usr1: Callable[[Any], Any], tmp_path: Path) -> None:
    """Python does not show it; the inbox leaves its signal alone."""
    usr1(signal.SIG_DFL)
    with (tmp_path / "stacks").open("w+") as file:
        faulthandler.register(signal.SIGUSR1, file=file)
        try:
            with SignalInbox(["SIGUSR1"], defers=True):
                signal.raise_signal(signal.SIGUSR1)
        finally:
            faulthandler.unregister(signal.SIGUSR1)
        file.seek(0)
        assert "test_a_handler_in_c_stays" in file.read()


def test_a_program_without_handlers_has_none() -> None:
    """Python's handler for SIGINT is not the program's."""
    assert not is_programs(signal.default_int_handler)
    assert not is_programs(signal.SIG_IGN)
    assert is_programs(_Handler())
