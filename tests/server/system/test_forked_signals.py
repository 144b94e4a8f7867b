"""The signals of a forked child beside an inbox of its parent."""

import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator

import pytest

from dewar.server.system.forked_signals import forked_signals
from dewar.server.system.signals import SignalInbox

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def status_of(child: Callable[[], int]) -> int:
    """Return what a child ends with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there are other threads
        pid = os.fork()
    if not pid:
        status = 99
        try:
            status = child()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def told(number: int, frame: object) -> None:
    os._exit(7)


@pytest.fixture(params=[False, True], ids=["by Python", "deferred"])
def inbox(request: pytest.FixtureRequest) -> Iterator[SignalInbox]:
    before = signal.signal(signal.SIGUSR1, told), signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with SignalInbox(["SIGUSR1", "SIGTERM"], defers=request.param) as made:
        yield made
    signal.signal(signal.SIGUSR1, before[0])
    signal.signal(signal.SIGTERM, before[1])


def kill_self(number: int) -> Callable[[], int]:
    return lambda: os.kill(os.getpid(), number) or 0  # type: ignore[func-returns-value]


@pytest.mark.parametrize("is_main", [True, False])
def test_a_child_has_what_the_program_had(inbox: SignalInbox, is_main: bool) -> None:
    """Whichever thread forks; the inbox of the parent gets nothing and goes on."""
    found: list[int] = []

    def fork() -> None:
        found.append(status_of(kill_self(signal.SIGUSR1)))
        found.append(status_of(kill_self(signal.SIGTERM)))
        found.append(status_of(lambda: signal.set_wakeup_fd(-1) + 1))
        found.append(status_of(lambda: len(signal.pthread_sigmask(signal.SIG_BLOCK, []))))

    if is_main:
        fork()
    else:
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
    assert found == [7, -signal.SIGTERM, 0, 0]
    assert inbox.take() == []
    signal.raise_signal(signal.SIGTERM)
    assert inbox.wait(10) == ["SIGTERM"]


def test_signals_wait_while_a_child_is_made(inbox: SignalInbox) -> None:
    """A child that gets one before it has its own handlers would tell the inbox of its parent."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    forked_signals.before()
    try:
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)  # others do not block it
        assert inbox.take() == []
        assert signal.SIGTERM in signal.sigpending()
    finally:
        forked_signals.in_parent()
    assert inbox.wait(10) == ["SIGTERM"]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask


def test_an_inbox_that_was_left_is_not_told(inbox: SignalInbox) -> None:
    """Nor is one that was entered on another thread, which takes no signals."""
    before = repr(forked_signals)
    with SignalInbox(["SIGUSR2"]):
        assert repr(forked_signals) != before
    assert repr(forked_signals) == before
    found: list[str] = []

    def enter() -> None:
        with SignalInbox(["SIGUSR2"]):
            found.append(repr(forked_signals))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [before]
