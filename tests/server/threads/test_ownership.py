"""Which thread owns what: the claims of docs/explanation/server-threads.md, under load."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import copy_context
from typing import Any

import pytest

from dewar import Dewar, request
from dewar.server.connection.async_exchange import AsyncExchange
from dewar.server.connection.connection import Connection
from dewar.server.threads.acceptor import Acceptor
from dewar.server.threads.leader_duties import LeaderDuties
from dewar.server.threads.poller import EpollPoller, SelectorPoller
from servertools import Serve, Served, block_a_moment, suspend_a_moment

CLIENTS, TURNS = 12, 25


class Guard:
    """Notes if two threads are inside something that one thread owns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._lock = threading.Lock()
        self._inside: dict[int, int] = {}
        self.violations: list[str] = []
        self.threads: dict[str, set[str]] = {}

    def watch(
        self, kind: type, *names: str, owner: Callable[[Any], Any] = lambda self: self
    ) -> None:
        """Check that one thread at a time enters the methods, for each owner."""
        for name in names:
            self._monkeypatch.setattr(kind, name, self._guarded(getattr(kind, name), owner))

    def _guarded(self, method: Any, owner: Callable[[Any], Any]) -> Any:
        def guarded(this: Any, *args: Any) -> Any:
            thread, key = threading.get_ident(), id(owner(this))
            with self._lock:
                self.threads.setdefault(method.__name__, set()).add(threading.current_thread().name)
                before = self._inside.get(key)
                if before not in (None, thread):
                    self.violations.append(f"{method.__qualname__} of {this!r}")
                self._inside[key] = thread
            try:
                return method(this, *args)
            finally:
                with self._lock:
                    if before is None:
                        self._inside.pop(key, None)

        return guarded


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    guard = Guard(monkeypatch)
    yield guard
    assert guard.violations == []


def quick_clock() -> float:
    """Run ten times as quickly, so that there are many looks at the deadlines."""
    return time.monotonic() * 10


def app(environ: Any, start_response: Any) -> Any:
    """Answer quickly, slowly, with a stream or with what a socket does not take at once."""
    kind = environ["PATH_INFO"]
    if kind == "/slow":
        block_a_moment()
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    if kind == "/stream":
        return iter([b"a", b"b", body])
    return [b"x" * 3_000_000] if kind == "/large" else [b"quick", body]


def load(served: Served) -> None:
    """Ask for everything from several clients at a time, some of which hang up."""
    kinds = ["quick", "slow", "stream", "quick", "large", "slow", "quick"]
    start = threading.Barrier(CLIENTS)

    def work(number: int) -> None:
        client = served.client()
        start.wait()
        for turn in range(TURNS):
            kind = kinds[(number + turn) % len(kinds)]
            if turn % 9 == 8:
                client.send(f"GET /{kind} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                client.close()
                client = served.client()
            elif turn % 4 == 3:
                client.send(
                    f"POST /{kind} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n".encode()
                )
                client.send(b"body")
                client.answer()
            else:
                client.get(f"/{kind}")

    workers = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_a_connection_has_one_owner_at_a_time(serve: Serve, guard: Guard, threads: int) -> None:
    """The leader, or the thread that runs its request."""
    guard.watch(Connection, "receive", "run", "flush", "expire", "close_if_idle", "close", "reject")
    served = serve(app, threads=threads, clock=quick_clock)
    load(served)
    served.stop()
    assert {"receive", "run", "expire"} <= guard.threads.keys()


def async_app() -> Dewar:
    """Return the same as coroutine views, with a synchronous one among them."""
    made = Dewar("async", static_folder=None)

    async def pieces(body: bytes) -> AsyncIterator[bytes]:
        for piece in (b"a", b"b", body):
            await asyncio.sleep(0)
            yield piece

    @made.route("/<kind>", methods=["GET", "POST"])
    async def view(kind: str) -> Any:
        body = request.get_data()
        if kind == "stream":
            return pieces(body)
        await (suspend_a_moment() if kind == "large" else asyncio.sleep(0))
        return b"x" * 3_000_000 if kind == "large" else b"quick" + body

    @made.route("/slow", methods=["GET", "POST"])
    def slow() -> bytes:
        block_a_moment()
        return request.get_data()

    return made


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_a_connection_that_waits_for_the_loop_has_one_owner_at_a_time(
    serve: Serve, guard: Guard, threads: int
) -> None:
    """The leader, the loop, or the thread that does what may block."""
    names = ("receive", "run", "flush", "expire", "close_if_idle", "close", "reject")
    guard.watch(Connection, *names, "begin_on_loop")
    guard.watch(AsyncExchange, "resume", "_end")
    served = serve(async_app(), threads=threads, clock=quick_clock)
    load(served)
    served.stop()
    assert {"receive", "run", "expire", "_end"} <= guard.threads.keys()


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_one_thread_at_a_time_leads_though_the_loops_may(
    serve: Serve, guard: Guard, threads: int
) -> None:
    """Whichever it is, it has the poller, the clock and the duties alone."""
    everybody = object()
    guard.watch(
        LeaderDuties, "poll", "sweep", "handle_other_fd", "finish", owner=lambda this: everybody
    )
    served = serve(async_app(), threads=threads, clock=quick_clock)
    client = served.client()
    for _ in range(100):
        client.get("/quick")
    load(served)
    served.stop()
    assert "dewar-loop" in guard.threads["poll"]


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_one_thread_at_a_time_leads(serve: Serve, guard: Guard, threads: int) -> None:
    """Polling, accepting and the other duties are the leader's."""
    everybody = object()
    for kind in (EpollPoller, SelectorPoller):
        guard.watch(kind, "poll", owner=lambda this: everybody)
    guard.watch(Acceptor, "accept", "tick", owner=lambda this: everybody)
    guard.watch(LeaderDuties, "sweep", "handle_other_fd", "finish", owner=lambda this: everybody)
    served = serve(app, threads=threads, clock=quick_clock)
    load(served)
    served.stop()
    assert {"poll", "accept", "sweep"} <= guard.threads.keys()


@pytest.mark.parametrize("threads", [1, 3])
def test_the_application_runs_on_the_workers_alone(
    serve: Serve, guard: Guard, threads: int
) -> None:
    """Never on the overflow leader, the watchdog, or a thread of the program's own."""
    guard.watch(Connection, "run")
    load(serve(app, threads=threads))
    assert guard.threads["run"] <= {f"dewar-{number}" for number in range(1, threads + 1)}


def test_a_request_inherits_nothing(serve: Serve) -> None:
    """Its context is empty, whatever the thread that started the server had in its own."""
    sizes: list[int] = []

    def counting(environ: Any, start_response: Any) -> Any:
        sizes.append(len(copy_context()))
        return app(environ, start_response)

    load(serve(counting, threads=3))
    assert set(sizes) == {0}
