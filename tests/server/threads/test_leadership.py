"""`Leadership`: exactly one thread has it, however many want it."""

import threading
from typing import Any

import pytest

from dewar.server.threads.leadership import Leadership
from dewar.server.threads.scores import LatencyScore
from dewar.server.threads.work_queue import WorkQueue


class FakeTable:
    """A table that notes what is handed off, and who holds its lock meanwhile."""

    def __init__(self) -> None:
        self.ownership_lock = threading.Lock()
        self.handed_off: list[Any] = []

    def hand_off(self, connection: Any) -> None:
        """Note it."""
        self.handed_off.append(connection)


class FakeWorker:
    """A thread that notes how it is called."""

    def __init__(self, can_start: bool = True) -> None:
        self.can_start = can_start
        self.is_started = True
        self.calls: list[Any] = []

    def try_start(self) -> bool:
        """Start, if it can."""
        return self.can_start

    def wake(self, connection: Any = None) -> None:
        """Note the call."""
        self.calls.append(connection)


class Bench:
    """A leadership with two threads that may follow, and the overflow thread."""

    def __init__(self) -> None:
        self.table = FakeTable()
        self.workers: list[Any] = [FakeWorker(), FakeWorker()]
        self.overflow_thread: Any = FakeWorker()
        self.work_queue = WorkQueue(self.workers, self.overflow_thread, 10)
        self.leadership = Leadership(self.table, self.work_queue, LatencyScore())  # type: ignore[arg-type]

    def run(self, connection: Any) -> list[Any]:
        """Have the leader be inside a run; return its token."""
        token: list[Any] = [connection]
        self.leadership.token = token
        return token

    def calls(self) -> list[list[Any]]:
        """Return how the threads were called, the overflow thread last."""
        return [worker.calls for worker in [*self.workers, self.overflow_thread]]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_leader_inside_a_run_is_replaced(bench: Bench) -> None:
    """Its connection is handed off, its list is empty, and the next thread leads."""
    token = bench.run("connection")
    assert bench.leadership.is_running()
    bench.leadership.take_over()
    assert token == []
    assert bench.leadership.token is not token
    assert bench.table.handed_off == ["connection"]
    assert bench.calls() == [[None], [], []]
    assert (bench.leadership.takeovers, bench.leadership.is_running()) == (1, False)


def test_a_leader_that_came_back_first_goes_on(bench: Bench) -> None:
    """The thread that was to follow is idle again."""
    token = bench.run("connection")
    token.pop()
    bench.leadership.take_over()
    assert bench.leadership.token is token
    assert bench.calls() == [[], [], []]
    assert bench.work_queue.maybe_worker() is bench.workers[0]


def test_a_loop_between_two_rounds_is_replaced_and_counts_anew(bench: Bench) -> None:
    """It was inside no run, so that is no takeover; it leads once more only when it is sure."""
    token = bench.leadership.begin_on_loop()
    token.append(None)
    bench.leadership.loop_score.note_loop()
    assert not bench.leadership.is_running()
    bench.leadership.take_over()
    assert (token, bench.table.handed_off, bench.leadership.takeovers) == ([], [], 0)
    assert not bench.leadership.is_on_loop
    assert "0 of" in repr(bench.leadership.loop_score)
    assert bench.calls() == [[None], [], []]


def test_a_leader_without_a_follower_goes_on(bench: Bench) -> None:
    """If no thread can be started, nothing is taken from it and nothing handed off."""
    for worker in [*bench.workers, bench.overflow_thread]:
        worker.can_start = False
    token = bench.run("connection")
    bench.leadership.take_over()
    assert not bench.leadership.promote("connection")  # type: ignore[arg-type]
    assert not bench.leadership.promote_idle()
    assert (token, bench.leadership.token is token) == (["connection"], True)
    assert bench.table.handed_off == []


def test_a_leader_promotes_the_overflow_thread_if_no_worker_is_idle(bench: Bench) -> None:
    """A loop that leads does not: its requests would only wait for a thread."""
    bench.work_queue.maybe_worker()
    bench.work_queue.maybe_worker()
    bench.leadership.begin_on_loop()
    assert not bench.leadership.promote_idle()
    assert bench.leadership.is_on_loop
    assert bench.leadership.promote("connection")  # type: ignore[arg-type]
    assert bench.calls() == [[], [], [None]]
    assert bench.table.handed_off == ["connection"]


def test_of_all_that_want_the_leadership_one_has_it(bench: Bench) -> None:
    """The leader that takes its connection out, or one of those that take the token from it."""
    for _ in range(300):
        start = threading.Barrier(3)
        token = bench.run("connection")
        winners: list[str] = []

        def take(start: threading.Barrier = start, winners: list[str] = winners) -> None:
            start.wait()
            if bench.leadership.take():
                winners.append("taker")

        takers = [threading.Thread(target=take) for _ in range(2)]
        for taker in takers:
            taker.start()
        start.wait()
        try:
            token.pop()
        except IndexError:
            pass
        else:
            winners.append("leader")
        for taker in takers:
            taker.join()
        assert len(winners) == 1
    assert len(bench.table.handed_off) == bench.leadership.takeovers
