"""`UpgradeThreads`: a request for WebSocket runs, waits for a thread, or is refused."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from dewar.server.connection.upgrade import UpgradeState
from dewar.server.threads.upgrade_threads import UpgradeThreads
from polling import eventually


class FakeConnection:
    """A connection that runs until the test lets it return."""

    def __init__(self) -> None:
        self.upgrade = SimpleNamespace(state=UpgradeState.OFFERED)
        self.runs, self.may_return = threading.Event(), threading.Event()

    def run(self) -> None:
        """Wait for the test."""
        self.runs.set()
        assert self.may_return.wait(30)


class Bench:
    """The threads, with at most two of them, and two requests that wait."""

    def __init__(self) -> None:
        self.given_back: list[Any] = []
        self.threads = UpgradeThreads(2, 2, lambda each: each.run(), self.given_back.append)  # type: ignore[attr-defined]
        self.made: list[FakeConnection] = []

    def submit(self) -> Any:
        """Return what a new connection is told."""
        self.made.append(FakeConnection())
        connection: Any = self.made[-1]
        return self.threads.maybe_refuse(connection)

    def end(self) -> None:
        """Let all return."""
        for each in self.made:
            each.may_return.set()
        eventually(lambda: not self.threads.count)


@pytest.fixture
def bench() -> Any:
    bench = Bench()
    yield bench
    bench.end()


def test_above_the_limit_a_request_waits_for_a_thread(bench: Bench) -> None:
    """The one that has waited longest is next; a number of them waits, and no more."""
    assert [bench.submit() for _ in range(4)] == [None] * 4
    refusal = bench.submit()
    assert "max_queue=2 requests wait for one of websocket_threads=2" in refusal.cause
    bench.made[1].may_return.set()
    assert bench.made[2].runs.wait(30)
    assert not bench.made[3].runs.is_set()
    assert bench.given_back == [bench.made[1]]
    assert (bench.threads.count, repr(bench.threads)) == (
        2,
        "<UpgradeThreads 2 of 2, 1 waiting>",
    )
    bench.end()
    assert bench.made[3].runs.is_set()
    eventually(lambda: bench.given_back[3:])


def test_nobody_waits_for_threads_that_are_busy_for_hours(bench: Bench) -> None:
    """Neither a new request, nor those that wait already."""
    for _ in range(3):
        assert bench.submit() is None
    bench.made[0].upgrade.state = UpgradeState.TAKEN
    assert bench.threads.take_hopeless() == ([], None)  # the other thread may come back
    bench.made[1].upgrade.state = UpgradeState.TAKEN
    hopeless, refusal = bench.threads.take_hopeless()
    assert hopeless == [bench.made[2]]
    assert refusal is not None
    assert "websocket_threads=2 is reached" in str(refusal.cause)
    assert "websocket_threads=2 is reached" in bench.submit().cause
    bench.end()
    assert not bench.made[2].runs.is_set()


def test_what_waits_can_be_taken(bench: Bench) -> None:
    """At the end of the pool."""
    for _ in range(4):
        bench.submit()
    assert bench.threads.take_waiting() == bench.made[2:]
    bench.end()
    assert not bench.made[3].runs.is_set()
