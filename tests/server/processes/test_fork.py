"""Making a process, and what becomes of it."""

import os
import signal
import sys
from collections.abc import Callable

import pytest

from dewar.server.processes.fork import fork
from dewar.server.processes.worker_set import describe_status


def status_of(main: Callable[[], int]) -> int:
    """Return what a child ends with."""
    _, status = os.waitpid(fork(main), 0)
    return os.waitstatus_to_exitcode(status)


def test_a_child_ends_with_what_its_function_returns() -> None:
    """And never comes back to its parent's caller."""
    assert status_of(lambda: 0) == 0
    assert status_of(lambda: 3) == 3


def test_a_child_may_exit() -> None:
    """With a status, with nothing, with a text."""
    assert status_of(lambda: sys.exit(7)) == 7
    assert status_of(sys.exit) == 0  # type: ignore[arg-type]
    assert status_of(lambda: sys.exit("so")) == 1


def test_a_child_that_exits_is_not_told_to_once_more(capfd: pytest.CaptureFixture[str]) -> None:
    """A handler that raises would raise in the finalizers of what the program has left."""

    class Ended:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    def main() -> int:
        sys.unraisablehook = sys.__unraisablehook__
        ended = Ended()  # in a frame of the error's traceback
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(8))
        sys.exit(7 if ended else 0)

    assert status_of(main) == 7
    assert capfd.readouterr().err == ""


def test_a_mistake_in_a_child_is_a_status_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    """EX_SOFTWARE."""
    assert status_of(lambda: 1 // 0) == 70


def test_a_child_hears_its_own_signals_alone() -> None:
    """The supervisor's handlers are not called in it, and nothing is blocked."""
    heard: list[int] = []
    former = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    inner, outer = os.pipe()
    os.set_blocking(outer, False)
    former_fd = signal.set_wakeup_fd(outer)

    def main() -> int:
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGTTIN):
            os.kill(os.getpid(), number)  # passed over
        os.kill(os.getpid(), signal.SIGTERM)  # as by default
        return 0

    try:
        assert status_of(main) == -signal.SIGTERM
        os.close(outer)
        signal.set_wakeup_fd(former_fd)
        assert os.read(inner, 10) == b""  # the parent was told nothing
    finally:
        signal.signal(signal.SIGTERM, former)
        os.close(inner)
    assert heard == []


def test_signals_of_the_parent_are_heard_as_before() -> None:
    """Also one that comes while it forks."""
    heard: list[int] = []
    former = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    try:
        parent = os.getpid()
        assert status_of(lambda: os.kill(parent, signal.SIGUSR1) or 0) == 0  # type: ignore[func-returns-value]
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGUSR1} == set()
    finally:
        signal.signal(signal.SIGUSR1, former)
    assert heard == [signal.SIGUSR1]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0, "ended with status 0"),
        (3 << 8, "ended with status 3 (it could not load the application)"),
        (9, "was killed by SIGKILL, perhaps because memory ran out"),
        (11, "was killed by SIGSEGV"),
    ],
)
def test_an_end_is_put_into_words(status: int, text: str) -> None:
    """With what it may mean."""
    assert describe_status(status) == text
