"""`BoundedLog`: warnings that anybody can cause, without a full log."""

import logging
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.support.bounded_log import BoundedLog

LOGGER = logging.getLogger("dewar.server")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at 100."""
    return Clock()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged, and forget it."""
    found = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return found


def test_the_first_is_logged_and_the_others_are_counted(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The next one after a while says how many there were."""
    bounded = BoundedLog(LOGGER, clock)
    for number in range(7001):
        bounded.warn("no room for %d", number)
    assert lines(caplog) == ["no room for 0"]
    clock.now += 10
    bounded.warn("no room for %d", 9)
    assert lines(caplog) == ["no room for 9 (and 7000 more since the last such line)"]


def test_what_nothing_follows_is_told_by_a_flush(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """With the last one, once, and only after the time."""
    bounded = BoundedLog(LOGGER, clock)
    for number in range(4):
        bounded.warn("no room for %d", number)
    bounded.flush()
    assert lines(caplog) == ["no room for 0"]
    assert bounded.has_more()
    clock.now += 10
    bounded.flush()
    bounded.flush()
    assert lines(caplog) == ["no room for 3 (and 2 more since the last such line)"]
    assert not bounded.has_more()


def test_kinds_do_not_hide_each_other(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """A message is a kind, whatever its values are."""
    bounded = BoundedLog(LOGGER, clock)
    for message in ("one %s", "two %s", "one %s"):
        bounded.warn(message, 1)
    assert lines(caplog) == ["one 1", "two 1"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 30)), max_size=30))
def test_none_is_lost_from_the_count(steps: list[tuple[str, float]]) -> None:
    """Lines and counts together are as many as the warnings."""
    clock, told = Clock(), {"a": 0, "b": 0}

    class Counting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            more = record.args[-1] if "more since" in record.msg else 0  # type: ignore[index]
            told[record.msg[0]] += 1 + int(str(more))

    handler = Counting()
    LOGGER.addHandler(handler)
    try:
        bounded = BoundedLog(LOGGER, clock)
        for kind, pause in steps:
            clock.now += pause
            bounded.flush()
            bounded.warn(f"{kind} %d", 0)
        clock.now += 10
        bounded.flush()
    finally:
        LOGGER.removeHandler(handler)
    assert told == {kind: sum(step[0] == kind for step in steps) for kind in "ab"}


def test_threads_share_it(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """One line for all, and no count is lost."""
    bounded, barrier = BoundedLog(LOGGER, clock), threading.Barrier(4)

    def warn() -> None:
        barrier.wait(10)
        for _ in range(500):
            bounded.warn("no room")

    threads = [threading.Thread(target=warn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.now += 10
    bounded.flush()
    assert lines(caplog) == ["no room", "no room (and 1998 more since the last such line)"]
