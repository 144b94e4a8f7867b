"""While all threads are inside the application, everything but running goes on."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dewar.server.threads.acceptor import UNCLAIMED_AFTER
from dewar.server.threads.leader_duties import PoolState
from dewar.server.threads.overflow_leader import OverflowLeader
from dewar.server.threads.pool import Pool
from polling import eventually
from servertools import Client, Serve, Served

REQUEST = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
SIZE = 8_000_000


class Holding:
    """An application whose ``/hold`` waits at a gate, and whose ``/large`` is large."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/hold":
            self.entered.release()
            self.gate.wait(20)
        start_response("200 OK", [])
        return [b"x" * SIZE if environ["PATH_INFO"] == "/large" else b"small"]


@pytest.fixture
def app() -> Iterator[Holding]:
    app = Holding()
    yield app
    app.gate.set()


def fill(served: Served, app: Holding, threads: int) -> list[Client]:
    """Occupy all threads."""
    clients = [served.client() for _ in range(threads)]
    for client in clients:
        client.send(REQUEST % b"/hold")
        assert app.entered.acquire(timeout=10)
    return clients


def pool_of(served: Served) -> Pool:
    """Return the threads of a server."""
    pool = served.server._backend._pool
    assert isinstance(pool, Pool)
    return pool


@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_too_much_gets_a_quick_503(serve: Serve, app: Holding, threads: int) -> None:
    """With Retry-After, on a connection that is closed then; those who wait are served."""
    served = serve(app, threads=threads, max_queue=2)
    holders = fill(served, app, threads)
    patient = [served.client() for _ in range(2)]
    for number, client in enumerate(patient):
        client.send(REQUEST % b"/")
        eventually(lambda n=number: served.server.statistics().pool.waiting == n + 1)
    refused = served.client()
    status, fields, _ = refused.get("/")
    assert status.startswith(b"HTTP/1.1 503 ")
    assert fields[b"retry-after"] == b"1"
    assert refused.is_closed()
    assert served.server.statistics().pool.rejected == 1
    app.gate.set()
    assert [client.answer()[2] for client in [*holders, *patient]] == [b"small"] * (threads + 2)


@pytest.mark.parametrize("threads", [1, 2])
def test_too_many_connections_get_a_quick_503(serve: Serve, app: Holding, threads: int) -> None:
    """They are accepted and rejected, not left in the backlog."""
    served = serve(app, threads=threads, max_connections=threads)
    fill(served, app, threads)
    status, fields, _ = served.client().answer()
    assert status.startswith(b"HTTP/1.1 503 ")
    assert fields[b"retry-after"] == b"1"


def test_deadlines_hold_though_all_threads_are_stuck(serve: Serve, app: Holding) -> None:
    """A head that does not come in time is answered with 408."""
    served = serve(app, threads=1, header_timeout=0.2)
    fill(served, app, 1)
    slow = served.client()
    slow.send(b"GET / HT")
    assert slow.answer()[0].startswith(b"HTTP/1.1 408 ")


def test_responses_flow_though_all_threads_are_stuck(serve: Serve, app: Holding) -> None:
    """The leader sends what a client has not taken yet."""
    served = serve(app, threads=1)
    large = served.client()
    large.send(REQUEST % b"/large")
    connections = pool_of(served)._connections.open
    eventually(lambda: any(c.state.name == "FLUSHING" for c in [*connections.values()]))
    fill(served, app, 1)
    assert len(large.answer()[2]) == SIZE


def test_idle_connections_are_closed_by_a_stop_though_all_threads_are_stuck(
    serve: Serve, app: Holding
) -> None:
    """And the request in flight is answered."""
    served = serve(app, threads=1)
    idle = served.client()
    idle.get("/")
    (holder,) = fill(served, app, 1)
    stopping = threading.Thread(target=served.server.stop)
    stopping.start()
    assert idle.is_closed()
    app.gate.set()
    status, fields, body = holder.answer()
    assert (status, fields[b"connection"], body) == (b"HTTP/1.1 200 OK", b"close", b"small")
    stopping.join(10)


def test_requests_that_still_wait_at_the_end_are_closed(serve: Serve, app: Holding) -> None:
    """No thread will come for them; their clients are not left waiting."""
    served = serve(app, threads=1)
    fill(served, app, 1)
    waiting = served.client()
    waiting.send(REQUEST % b"/")
    eventually(lambda: served.server.statistics().pool.waiting == 1)
    assert served.server.stop(0) is False
    assert waiting.is_closed()


def test_the_pool_knows_since_when_no_thread_has_come_back(serve: Serve, app: Holding) -> None:
    """So that a supervisor can tell a hung process from a busy one."""
    now = 100.0
    served = serve(app, threads=2, clock=lambda: now)
    pool = pool_of(served)
    assert pool.stuck_since() is None
    holders = fill(served, app, 2)
    while pool.stuck_since() is None:
        now += 1.0
        served.client().close()  # an event, so that the leader looks at the clock
    since = pool.stuck_since()
    now += 50.0
    served.client().close()
    assert pool.stuck_since() == since
    app.gate.set()
    assert [client.answer()[2] for client in holders] == [b"small"] * 2
    eventually(lambda: pool.stuck_since() is None)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_worker_leads_again_once_it_is_free(serve: Serve, app: Holding, threads: int) -> None:
    """Quick requests are then run by the leader itself, without a queue."""
    served = serve(app, threads=threads)
    holders = fill(served, app, threads)
    app.gate.set()
    for client in holders:
        client.answer()
    client = served.client()
    for _ in range(300):
        assert client.get("/")[2] == b"small"
    pool = served.server.statistics().pool
    assert (pool.waiting, pool.early_promotion) == (0, False)


class Beside:
    """What an overflow leader works with: between its polls, threads become free and busy."""

    LONG = 1.0

    def __init__(self, processes: int, are_all_busy: list[bool]) -> None:
        self._steps = iter(are_all_busy)
        self._are_all_busy = next(self._steps)
        self.pool_state = PoolState.SERVING
        self.calls: list[object] = []
        self.return_count = 0
        settings = SimpleNamespace(processes=processes)
        context: Any = SimpleNamespace(settings=settings, now=0.0)
        slow: Any = SimpleNamespace(is_slow=True)
        me: Any = self
        self.leader = OverflowLeader(context, me, me, me, me, slow)

    def is_exhausted(self) -> bool:
        """See `WorkQueue`."""
        return self._are_all_busy

    def poll_timeout(self) -> float:
        """See `LeaderDuties`."""
        return self.LONG

    def poll(self, poll_timeout: float) -> list[tuple[int, int]]:
        """Note the time, and go on to the next step."""
        self.calls.append(poll_timeout)
        try:
            self._are_all_busy = next(self._steps)
        except StopIteration:
            self.pool_state = PoolState.ENDED
        return []

    def leave_to_others(self) -> None:
        """Note it."""
        self.calls.append("leave")

    def accept_again(self) -> None:
        """Note it."""
        self.calls.append("accept")

    def accept_unclaimed(self) -> None:
        """Note it."""
        self.calls.append("unclaimed")


def test_clients_are_left_to_other_processes_only_while_all_threads_are_busy() -> None:
    """While requests are slow it leads on beside idle threads: they would have nothing to do."""
    beside = Beside(2, [True, True, False, False, True])
    assert not beside.leader.lead()
    busy = [UNCLAIMED_AFTER, "unclaimed"]
    free = [Beside.LONG, Beside.LONG]
    assert beside.calls == ["leave", *busy, *busy, "accept", *free, "leave", *busy, "accept"]


def test_without_other_processes_it_accepts_all() -> None:
    """Nobody else would."""
    beside = Beside(1, [True, False, True])
    assert not beside.leader.lead()
    assert beside.calls == [Beside.LONG] * 3


def test_it_accepts_again_after_an_error() -> None:
    """The next leader may have free threads."""
    beside = Beside(2, [True])
    beside.poll = None  # type: ignore[method-assign,assignment]  # a call of it fails
    with pytest.raises(TypeError):
        beside.leader.lead()
    assert beside.calls == ["leave", "accept"]
