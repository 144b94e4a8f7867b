"""What tells functions that their time is over: when, on which thread, and for how long."""

import threading
from contextlib import ExitStack

import pytest

from dewar.tasks.engines import soft_limits as module
from dewar.tasks.engines.soft_limits import SoftLimits
from dewar.tasks.interruptible import Interruptible
from polling import LIMIT, eventually


class Noted(Interruptible):
    """A function that notes when it is interrupted."""

    def __init__(self, soft_timeout: float | None) -> None:
        super().__init__("noted", soft_timeout)
        self.was_told = threading.Event()

    def interrupt(self) -> None:
        self.was_told.set()


class Held(Noted):
    """One that holds the thread until it is let go."""

    def __init__(self, soft_timeout: float) -> None:
        super().__init__(soft_timeout)
        self.may_end = threading.Event()

    def interrupt(self) -> None:
        super().interrupt()
        self.may_end.wait(LIMIT)


@pytest.fixture
def now() -> list[float]:
    return [100.0]


def is_running(limits: SoftLimits) -> bool:
    return limits._thread is not None and limits._thread.is_alive()


def test_those_whose_time_is_over_are_due_once(now: list[float]) -> None:
    """In virtual time; the thread does nothing, because it waits in real time."""
    limits = SoftLimits(lambda: now[0])
    functions = [Noted(5.0), Noted(50.0), Noted(20.0)]
    with ExitStack() as blocks:
        for function in functions:
            blocks.enter_context(limits.watching(function))
        assert limits.take_due() == []
        # A thread that begins later would find some of them due.
        eventually(lambda: limits._next_look == 105.0, "the thread waits")
        now[0] = 120.0
        assert limits.take_due() == [functions[0], functions[2]]
        assert limits.take_due() == []
    now[0] = 1000.0
    assert limits.take_due() == []


def test_one_that_has_ended_is_not_told(now: list[float]) -> None:
    """Nor is one without a limit."""
    limits = SoftLimits(lambda: now[0])
    with limits.watching(Noted(5.0)), limits.watching(Noted(None)):
        assert "1 functions" in repr(limits)
    now[0] = 200.0
    assert limits.take_due() == []


def test_an_earlier_end_wakes_the_thread() -> None:
    """It waits for a later one."""
    limits = SoftLimits()
    late, early = Noted(3600.0), Noted(0.01)
    with limits.watching(late):
        with limits.watching(early):
            assert early.was_told.wait(LIMIT)
        assert not late.was_told.is_set()


def test_the_thread_ends_when_nobody_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next function with one starts another."""
    monkeypatch.setattr(module, "_IDLE", 0.001)
    limits = SoftLimits()
    for _ in range(2):
        function = Held(0.001)
        with limits.watching(function):
            assert function.was_told.wait(LIMIT)
            assert is_running(limits)
            function.may_end.set()
        eventually(lambda: not is_running(limits), "the thread ends")


def test_a_function_without_a_limit_needs_no_thread() -> None:
    """Most have none."""
    limits = SoftLimits()
    with limits.watching(Noted(None)):
        assert not is_running(limits)
