"""A client that sends many requests at once waits in one line with all others.

A view notes who comes, and sends another client's request: so what is counted are requests, and no
time. That other client has to come soon, and not after all that the first one has sent.
"""

import asyncio
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from asynctools import Gates, begin, gated_app, lead_on_loop, pool_of
from certificates import Certificates
from dewar import Dewar
from polling import eventually
from servertools import Client, Serve, Served

MANY = 200
# What may come before another client: what the leader runs between two polls, for each of them.
SOON = 20
# The same with several threads: one that has begun with the other client may wait for the
# interpreter for some milliseconds, while another thread leads.
SOON_BESIDE_OTHERS, VERY_MANY = 500, 2000


def request_of(path: str, fields: bytes = b"") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (path.encode(), fields)


class Line:
    """An application that notes who comes in which order, and has something done at some paths."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.at: dict[str, Callable[[], object]] = {}
        self.gate = threading.Event()
        self.is_held = threading.Event()

    def hold(self) -> None:
        """Keep the thread until the gate is open."""
        self.is_held.set()
        assert self.gate.wait(20)

    def come(self, path: str) -> str:
        """Note *path*, and do what is to be done there."""
        self.order.append(path)
        self.at.get(path, str)()
        return path

    def __call__(self, environ: Any, start_response: Any) -> Any:
        path = self.come(environ["PATH_INFO"])
        start_response("200 OK", [("Content-Length", str(len(path)))])
        return [path.encode()]

    def wait_of(self, path: str, since: str) -> int:
        """Return how many requests came between *since* and *path*."""
        return self.order.index(path) - self.order.index(since)


@pytest.fixture
def line() -> Line:
    return Line()


def send_many(client: Client, prefix: str = "/many", count: int = MANY) -> None:
    """Send many requests at once."""
    client.send(b"".join(request_of(f"{prefix}/{number}") for number in range(count)))


def assert_all(client: Client, prefix: str = "/many", count: int = MANY) -> None:
    """Check that all answers come, in order."""
    answers = [client.answer()[2] for _ in range(count)]
    assert answers == [f"{prefix}/{number}".encode() for number in range(count)]


def be_served(served: Served, client: Client) -> None:
    """Have one request of *client* answered, and wait until the leader has its connection back."""
    assert client.get("/first")[2] == b"/first"
    eventually(lambda: not served.server.statistics().pool.handed_off)


def wait_until_waiting(served: Served, count: int) -> None:
    """Wait until so many requests wait for a thread."""
    eventually(lambda: served.server.statistics().pool.waiting == count)


@pytest.mark.parametrize(
    ("threads", "many_are", "soon"), [(1, MANY, SOON), (4, VERY_MANY, SOON_BESIDE_OTHERS)]
)
@pytest.mark.parametrize("is_encrypted", [False, True])
def test_the_leader_takes_the_next_client_soon(
    serve: Serve,
    line: Line,
    certificates: Certificates,
    is_encrypted: bool,
    threads: int,
    many_are: int,
    soon: int,
) -> None:
    """Over TLS too, where a read gives all that was received."""
    context = certificates.client() if is_encrypted else None
    served = serve(line, threads=threads, **(certificates.pair() if is_encrypted else {}))
    many, other = served.client(context), served.client(context)
    be_served(served, other)
    line.at["/many/10"] = lambda: other.send(request_of("/other"))
    send_many(many, count=many_are)
    assert_all(many, count=many_are)
    assert other.answer()[2] == b"/other"
    assert line.wait_of("/other", "/many/10") <= soon


def test_many_that_send_at_once_have_their_turns_like_one(serve: Serve, line: Line) -> None:
    """Nobody is far behind the others, and a client that comes late is not either."""
    served = serve(line, threads=1)
    clients = [served.client() for _ in range(8)]
    starter, other = served.client(), served.client()
    be_served(served, other)

    def start_all() -> None:
        for number, client in enumerate(clients):
            send_many(client, f"/{number}")

    line.at["/start"] = start_all
    line.at["/3/50"] = lambda: other.send(request_of("/other"))
    assert starter.get("/start")[2] == b"/start"
    assert other.answer()[2] == b"/other"
    for number, client in enumerate(clients):
        assert_all(client, f"/{number}")
    assert line.wait_of("/other", "/3/50") <= SOON
    last_of_first = min(line.order.index(f"/{number}/{MANY - 1}") for number in range(8))
    assert last_of_first >= len(line.order) - 8 * SOON


@pytest.mark.parametrize("is_slow", [False, True])
def test_a_thread_takes_those_that_wait_first(serve: Serve, line: Line, is_slow: bool) -> None:
    """All of them, before it goes on with the client that it has just answered."""
    served = serve(line, threads=1)
    many, others = served.client(), [served.client() for _ in range(5)]
    line.at["/many/0"] = line.hold
    send_many(many)
    assert line.is_held.wait(10)
    for number, other in enumerate(others):
        other.send(request_of(f"/other/{number}"))
        wait_until_waiting(served, number + 1)
    if is_slow:
        for _ in range(8):
            pool_of(served)._leadership.latency.note_slow()
    line.gate.set()
    assert_all(many)
    for number, other in enumerate(others):
        assert other.answer()[2] == f"/other/{number}".encode()
    assert line.order[:7] == [
        "/many/0", *(f"/other/{number}" for number in range(5)), "/many/1",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["async", "later"])
def test_the_event_loop_takes_the_next_client_soon(serve: Serve, line: Line, kind: str) -> None:
    """While its thread leads; also where each view waits."""
    app = Dewar("turns", static_folder=None)

    @app.get("/quick/<name>")
    async def quick(name: str) -> str:
        return name

    @app.get("/async/<name>")
    async def at_once(name: str) -> str:
        return line.come(f"/async/{name}")

    @app.get("/later/<name>")
    async def later(name: str) -> str:
        await asyncio.sleep(0)
        return line.come(f"/later/{name}")

    served = serve(app, threads=2)
    other = lead_on_loop(served)
    many = served.client()
    line.at[f"/{kind}/10"] = lambda: other.send(request_of("/async/other"))
    send_many(many, f"/{kind}")
    assert_all(many, f"/{kind}")
    assert other.answer()[2] == b"/async/other"
    assert line.wait_of("/async/other", f"/{kind}/10") <= SOON


def test_a_request_that_would_be_one_too_many_in_the_line_is_refused(
    serve: Serve, gates: Gates
) -> None:
    """Once, and the connection ends; those before it have their answers."""
    served = serve(gated_app(gates), threads=1, max_queue=1)
    holder = begin(served, gates, "hold", "h")
    patient, many = served.client(), served.client()
    patient.send(request_of("/sync/patient"))
    wait_until_waiting(served, 1)
    many.send(request_of("/quick/a") + b"".join(request_of(f"/sync/{n}") for n in range(MANY)))
    assert many.answer()[2] == b"a"
    status, fields, _ = many.answer()
    assert (status, fields[b"retry-after"]) == (b"HTTP/1.1 503 Service Unavailable", b"1")
    assert many.is_closed()
    gates.open("h")
    assert [client.answer()[2] for client in (holder, patient)] == [b"h", b"patient"]


def test_a_client_that_has_left_is_not_answered_to_the_end(serve: Serve, line: Line) -> None:
    """Its first answer finds that it is gone."""
    served = serve(line, threads=1)
    line.at["/many/0"] = line.hold
    many = served.client()
    send_many(many)
    assert line.is_held.wait(10)
    many.close()
    line.gate.set()
    eventually(lambda: not served.server.statistics().pool.connections)
    assert len(line.order) < SOON


def test_what_waits_weighs_little_more_than_its_bytes(serve: Serve, line: Line) -> None:
    """A parsed request weighs many times its bytes, so only the next one is parsed."""
    served = serve(line, threads=1)
    line.at["/hold"] = line.hold
    holder = served.client()
    holder.send(request_of("/hold"))
    assert line.is_held.wait(10)
    piece = b"GET / HTTP/1.1\r\nHost:a\r\n\r\n"
    sent = piece * (60_000 // len(piece))
    clients = [served.client() for _ in range(20)]
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number, client in enumerate(clients):
            client.send(sent)
            wait_until_waiting(served, number + 1)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2 * len(sent) * len(clients)
    line.gate.set()
    assert holder.answer()[2] == b"/hold"
    for client in clients:
        for _ in range(sent.count(piece)):
            assert client.answer()[2] == b"/"


def test_at_a_stop_the_requests_behind_the_current_one_are_not_begun(
    serve: Serve, line: Line
) -> None:
    """Its answer says that it is the last one, so the client knows which to send again."""
    served = serve(line, threads=1)
    line.at["/many/0"] = line.hold
    many = served.client()
    send_many(many)
    assert line.is_held.wait(10)
    pool_of(served).drain_soon()
    line.gate.set()
    status, fields, body = many.answer()
    assert (status, fields[b"connection"], body) == (b"HTTP/1.1 200 OK", b"close", b"/many/0")
    assert many.is_closed()
    assert line.order == ["/many/0"]
