"""Leader and followers: a slow handler does not delay other requests."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from polling import eventually
from servertools import Client, Serve, Served, block_a_moment

REQUEST = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"


class Gated:
    """An application whose handlers wait at gates: ``/wait/<name>`` until it is opened."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gates: dict[str, threading.Event] = {}
        self._entered: dict[str, threading.Event] = {}
        self.threads: dict[str, str] = {}

    def gate(self, name: str) -> threading.Event:
        """Return what a handler waits for."""
        with self._lock:
            return self._gates.setdefault(name, threading.Event())

    def entered(self, name: str) -> threading.Event:
        """Return what a handler sets when it has begun."""
        with self._lock:
            return self._entered.setdefault(name, threading.Event())

    def open_all(self) -> None:
        """Open all gates."""
        for name in list(self._gates):
            self.gate(name).set()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        _, kind, name = environ["PATH_INFO"].split("/")
        self.threads[name] = threading.current_thread().name
        if kind == "wait":
            self.entered(name).set()
            self.gate(name).wait(20)
        start_response("200 OK", [])
        return [name.encode()]


@pytest.fixture
def app() -> Iterator[Gated]:
    app = Gated()
    yield app
    app.open_all()


def begin(served: Served, app: Gated, name: str) -> Client:
    """Send a request whose handler is then known to be waiting."""
    client = served.client()
    client.send(REQUEST % f"/wait/{name}".encode())
    assert app.entered(name).wait(10), f"the handler of {name} never began"
    return client


def wait_for(served: Served, **expected: int) -> None:
    """Wait until the statistics say what is expected."""

    def has_it() -> bool:
        statistics = served.server.statistics().pool
        return all(getattr(statistics, name) == value for name, value in expected.items())

    eventually(has_it, lambda: f"{expected}, but {served.server.statistics().pool}")


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_all_threads_but_one_may_wait_and_the_last_serves_on(
    serve: Serve, app: Gated, threads: int
) -> None:
    """N blocked handlers of N+1 threads delay no other request."""
    served = serve(app, threads=threads)
    waiting = [begin(served, app, f"w{number}") for number in range(threads - 1)]
    quick = served.client()
    for number in range(50):
        assert quick.get(f"/quick/q{number}")[2] == f"q{number}".encode()
    app.open_all()
    assert [client.answer()[2] for client in waiting] == [
        f"w{number}".encode() for number in range(threads - 1)
    ]


def test_when_all_threads_wait_new_requests_wait_and_then_come_through(
    serve: Serve, app: Gated
) -> None:
    """Nothing accepted is lost, and the first thread that comes back serves the others."""
    served = serve(app, threads=3)
    waiting = [begin(served, app, f"w{number}") for number in range(3)]
    later = [served.client() for _ in range(10)]
    for number, client in enumerate(later):
        client.send(REQUEST % b"/quick/later%d" % number)
    app.gate("w0").set()
    assert waiting[0].answer()[2] == b"w0"
    assert [client.answer()[2] for client in later] == [b"later%d" % n for n in range(10)]
    app.open_all()
    assert {client.answer()[2] for client in waiting[1:]} == {b"w1", b"w2"}


def test_a_replaced_leaders_connection_goes_on(serve: Serve, app: Gated) -> None:
    """It is given back to the poller: also what came while it was handed off is answered."""
    served = serve(app, threads=2)
    client = begin(served, app, "first")
    # Another request proves that another thread leads by now.
    assert served.client().get("/quick/other")[2] == b"other"
    client.send(REQUEST % b"/quick/second")
    app.gate("first").set()
    assert client.answer()[2] == b"first"
    assert client.answer()[2] == b"second"
    for number in range(20):
        assert client.get(f"/quick/{number}")[2] == str(number).encode()
    assert served.server.statistics().pool.leader_takeovers >= 1


def test_pipelined_requests_behind_a_slow_one_stay_in_order(serve: Serve, app: Gated) -> None:
    """Also if another thread leads meanwhile."""
    served = serve(app, threads=4)
    client = served.client()
    client.send(REQUEST % b"/wait/slow" + REQUEST % b"/quick/a" + REQUEST % b"/quick/b")
    assert app.entered("slow").wait(10)
    assert served.client().get("/quick/other")[2] == b"other"
    app.gate("slow").set()
    assert [client.answer()[2] for _ in range(3)] == [b"slow", b"a", b"b"]


def test_a_client_that_hangs_up_while_its_handler_runs_harms_no_other(
    serve: Serve, app: Gated
) -> None:
    """Its descriptor may be another client's by the time the handler returns."""
    served = serve(app, threads=2)
    for turn in range(10):
        begin(served, app, f"gone{turn}").close()
        others = [served.client() for _ in range(5)]
        for number, client in enumerate(others):
            assert client.get(f"/quick/{turn}-{number}")[2] == f"{turn}-{number}".encode()
        app.gate(f"gone{turn}").set()
        for number, client in enumerate(others):
            assert client.get(f"/quick/{turn}+{number}")[2] == f"{turn}+{number}".encode()
            client.close()


def test_if_handlers_are_slow_the_leadership_is_handed_over_first(serve: Serve, app: Gated) -> None:
    """After enough takeovers no request waits for the watchdog any more."""
    served = serve(app, threads=16)
    waiting = [begin(served, app, f"w{number}") for number in range(14)]
    statistics = served.server.statistics().pool
    assert statistics.early_promotion
    assert statistics.handed_off >= 13
    assert statistics.leader_takeovers < 14
    app.open_all()
    assert len({client.answer()[2] for client in waiting}) == 14


def test_with_one_thread_requests_run_one_after_the_other(serve: Serve, app: Gated) -> None:
    """They wait for that thread, in the order in which they came, and run nowhere else."""
    served = serve(app, threads=1)
    first = begin(served, app, "first")
    later = [served.client() for _ in range(5)]
    for number, client in enumerate(later):
        client.send(REQUEST % b"/quick/later%d" % number)
        wait_for(served, waiting=number + 1)
    app.gate("first").set()
    assert first.answer()[2] == b"first"
    assert [client.answer()[2] for client in later] == [b"later%d" % n for n in range(5)]
    assert list(app.threads) == ["first", *(f"later{number}" for number in range(5))]
    assert set(app.threads.values()) == {"dewar-1"}


def test_threads_are_started_as_they_are_needed(serve: Serve, app: Gated) -> None:
    """A thousand threads cost nothing before there is work for them."""
    served = serve(app, threads=1000)
    client = served.client()
    client.get("/quick/x")
    assert served.server.statistics().pool.threads <= 3


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_many_clients_with_quick_and_slow_requests_all_get_their_own_answers(
    serve: Serve, threads: int
) -> None:
    """Whichever thread leads, each client gets its own answers."""

    def app(environ: Any, start_response: Any) -> Any:
        name = environ["PATH_INFO"]
        if name.endswith("7"):
            block_a_moment()
        start_response("200 OK", [("X-Name", name)])
        return [name.encode()] if len(name) % 2 else iter([name.encode()[:3], name.encode()[3:]])

    served = serve(app, threads=threads)
    start = threading.Barrier(16)
    wrong: list[Any] = []

    def work(number: int) -> None:
        client = served.client()
        start.wait()
        for turn in range(40):
            name = f"/{number}-{turn}"
            if client.get(name)[2] != name.encode():
                wrong.append(name)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []
    assert served.server.statistics().pool.requests == 16 * 40


def test_a_pool_says_what_it_does(serve: Serve, app: Gated) -> None:
    """In its repr and its statistics."""
    served = serve(app, threads=2)
    client = served.client()
    client.get("/quick/x")
    statistics = served.server.statistics()
    assert (statistics.pool.requests, statistics.pool.connections) == (1, 1)
    assert "SERVING, 2 threads, 1 connections" in repr(served.server)
