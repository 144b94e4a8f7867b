"""`RequestRunner`: every request that the leader does not run is run, rejected or closed."""

import threading
from typing import Any

import pytest

from dewar.server.connection.state import ConnectionState
from dewar.server.settings.settings import Settings
from dewar.server.threads.poller import WRITE
from dewar.server.threads.runner import RequestRunner
from dewar.server.threads.scores import LatencyScore
from dewar.server.threads.work_queue import WorkQueue


class FakePoller:
    """A poller that reports nothing."""

    def register(self, fd: int, interest: int) -> None:
        """Do nothing."""

    def unregister(self, fd: int) -> None:
        """Do nothing."""

    modify = register


class FakeContext:
    """What the runner reads of a server's context."""

    balancer = None
    begin_on_loop: Any = None
    logs_access = False
    now = time = 0.0
    settings = Settings()

    def clock(self) -> float:
        """Return the time."""
        return self.time


class FakeConnection:
    """A connection that notes on which thread it runs."""

    def __init__(self, fd: int, is_begun: bool = False) -> None:
        self.fd = fd
        self.interest = self.served = 0
        self.state = ConnectionState.IDLE
        self.runs_left = 0
        self.paused = object() if is_begun else None
        self.ran = threading.Event()
        self.thread = ""
        self.is_closed = self.is_rejected = self.is_aborted = False

    def has_begun(self) -> bool:
        """Return what the test has said."""
        return self.paused is not None

    def abort(self) -> None:
        """Note it."""
        self.is_aborted = True

    def begin_on_loop(self) -> bool:
        """Return that the loop can answer it."""
        return True

    def can_block(self) -> bool:
        """Return that there is something that may block."""
        return True

    def run(self) -> None:
        """Note it."""
        self.thread = threading.current_thread().name
        self.paused = None
        self.ran.set()
        self.served += 1
        self.runs_left -= 1
        self.state = ConnectionState.READY if self.runs_left > 0 else ConnectionState.IDLE

    def reject(self, refusal: Any) -> None:
        """Note it."""
        self.is_rejected = True

    def shut_down_socket(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


class Bench:
    """A runner without a thread that is free; one request may wait."""

    def __init__(self, begins_on_loop: bool = False) -> None:
        self.wakes: list[int] = []
        self.server_context = FakeContext()
        self.server_context.begin_on_loop = str if begins_on_loop else None
        self.latency = LatencyScore()
        self.work_queue = WorkQueue([], None, 1)  # type: ignore[arg-type]
        self.runner = RequestRunner(
            self.server_context,  # type: ignore[arg-type]
            FakePoller(),  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
            self.work_queue,
            self.latency,
        )

    def wake(self) -> None:
        """Stand for the waker's."""
        self.wakes.append(1)

    def come(self, fd: int, is_begun: bool = False, requests: int = 1) -> Any:
        """Return a connection that has come, with some requests."""
        connection: Any = FakeConnection(fd, is_begun)
        connection.runs_left = requests
        self.runner.connections.add([connection])
        return connection


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_may_block_wakes_a_leader_if_no_thread_is_free(bench: Bench) -> None:
    """That leader may be the only thread that can run it."""
    connection = bench.come(7)
    bench.runner.resume(connection)
    assert bench.wakes == [1]
    assert bench.work_queue.take_waiting() == [connection]
    assert connection in bench.runner.connections.handed_off


def test_requests_for_the_loop_are_quick_ones() -> None:
    """They do not hold a leader, so a thread leads again after a slow phase."""
    bench = Bench(begins_on_loop=True)
    for _ in range(8):
        bench.latency.note_slow()
    connection = bench.come(7)
    for _ in range(256):
        bench.runner.begin_or_queue(connection)
    assert not bench.latency.is_slow


def test_a_request_that_would_be_one_too_many_is_rejected(bench: Bench) -> None:
    """It is the leader's as before; the one that waits is handed off."""
    first, second = bench.come(7), bench.come(8)
    bench.runner.begin_or_queue(first)
    bench.runner.begin_or_queue(second)
    assert (first.is_rejected, second.is_rejected, bench.runner.rejected) == (False, True, 1)
    assert bench.runner.connections.handed_off == {first}


def test_one_that_has_begun_is_never_rejected(bench: Bench) -> None:
    """A refusal would stand in the middle of its response."""
    first, begun = bench.come(7), bench.come(8, is_begun=True)
    bench.runner.begin_or_queue(first)
    bench.runner.begin_or_queue(begun)
    assert (begun.is_rejected, bench.runner.rejected) == (False, 0)
    assert bench.work_queue.take_waiting() == [first, begun]


def test_at_the_end_one_that_waits_for_its_client_runs_once_more(bench: Bench) -> None:
    """It has a body to close, and the pool waits for that."""
    begun = bench.come(8, is_begun=True)
    bench.runner.close()
    assert begun.ran.wait(10)
    assert bench.runner.connections.is_quiescent.wait(10)
    assert (begun.thread, begun.is_aborted, begun.is_closed) == ("dewar-drain", True, True)


def test_one_that_pauses_after_the_end_runs_once_more(bench: Bench) -> None:
    """Nothing would report its client any more."""
    connection = bench.come(7)
    bench.runner.connections.hand_off(connection)
    bench.runner.close()
    connection.paused = object()
    bench.runner.give_back(connection)
    assert (connection.ran.is_set(), connection.is_aborted, connection.is_closed) == (True,) * 3


@pytest.mark.parametrize("is_slow", [False, True])
def test_a_connection_is_given_back_after_one_request(bench: Bench, is_slow: bool) -> None:
    """The poller reports it again, as all other clients; what waits for a thread comes first."""
    for _ in range(8 * is_slow):
        bench.latency.note_slow()
    connection = bench.come(7, requests=3)
    bench.runner.connections.hand_off(connection)
    bench.runner.run(connection)
    assert (connection.served, connection.state) == (1, ConnectionState.READY)
    assert bench.runner.connections.handed_off == set()
    assert connection.interest == WRITE


def test_a_connection_that_is_alone_has_a_few_requests_and_a_moment(bench: Bench) -> None:
    """Then the leader looks for others."""
    connection = bench.come(7, requests=1000)
    connection.run()
    bench.runner.run_alone(connection)
    assert connection.served == 9
    bench.server_context.time = 0.1
    bench.runner.run_alone(connection)
    assert connection.served == 9


def test_at_the_end_what_has_begun_is_finished_and_what_has_not_is_closed(bench: Bench) -> None:
    """No thread of the pool comes for either."""
    fresh, begun = bench.come(7), bench.come(8, is_begun=True)
    for connection in (fresh, begun):
        bench.runner.resume(connection)
    bench.runner.close()
    assert begun.ran.wait(10)
    assert (begun.thread, fresh.ran.is_set(), fresh.is_closed) == ("dewar-drain", False, True)
    assert bench.work_queue.take_waiting() == []


def test_what_the_loop_gives_back_after_the_end_is_finished(bench: Bench) -> None:
    """It is closed then."""
    begun = bench.come(8, is_begun=True)
    bench.runner.close()
    assert begun.ran.wait(10)
    begun.ran.clear()
    begun.paused = object()
    bench.runner.resume(begun)
    assert begun.ran.wait(10)
    assert begun.thread == "dewar-drain"
