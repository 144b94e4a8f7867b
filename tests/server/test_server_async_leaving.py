"""Clients that leave while a coroutine view works for them, and clients that are slow."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from asynctools import REQUEST, Gates, begin, gated_app, lead_on_loop, pool_of
from certificates import Certificates
from dewar import Dewar, g, request
from polling import eventually
from servertools import Client, Serve, Served

pytestmark = pytest.mark.usefixtures("calm_loop")


def hang_up(client: Client) -> None:
    client.close()


def reset(client: Client) -> None:
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def shut(client: Client) -> None:
    client.sock.shutdown(socket.SHUT_WR)


WAYS: list[Callable[[Client], None]] = [hang_up, reset, shut]


def is_deserted(served: Served) -> bool:
    """Tell whether nothing is left of any client."""
    connections = pool_of(served)._connections
    return not connections.open and not connections.suspended and not connections.handed_off


def telling_app(gates: Gates) -> Dewar:
    """Return an app whose views note how they end, and whose teardown does so too."""
    app = gated_app(gates)

    @app.get("/told/<name>")
    async def told(name: str) -> str:
        g.name = name
        try:
            await gates.wait(name)
        except asyncio.CancelledError:
            gates.note(f"{name} cancelled")
            raise
        return name

    @app.get("/pieces/<name>")
    async def pieces(name: str) -> AsyncIterator[bytes]:
        async def generate() -> AsyncIterator[bytes]:
            try:
                yield b"first"
                await gates.wait(name)
                yield b"second"
            finally:
                gates.note(f"{name} closed")

        return generate()

    return app


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("leads", [False, True])
def test_a_view_is_cancelled_when_its_client_leaves(
    serve: Serve, gates: Gates, way: Callable[[Client], None], leads: bool
) -> None:
    """By an end, by a reset, or by closing its side; its teardown functions run."""
    app = telling_app(gates)

    @app.teardown_request
    async def forget(error: BaseException | None) -> None:
        await asyncio.sleep(0)
        if "name" in g:
            gates.note(f"{g.name} torn down by {type(error).__name__}")

    served = serve(app, threads=2)
    other = lead_on_loop(served) if leads else served.client()
    client = begin(served, gates, "told", "w")
    way(client)
    gates.entered("w cancelled")
    gates.entered("w torn down by CancelledError")
    assert other.get("/sync/x")[2] == b"x"
    other.close()
    eventually(lambda: is_deserted(served))


def test_only_the_view_of_the_client_that_leaves_is_cancelled(serve: Serve, gates: Gates) -> None:
    """The others go on."""
    served = serve(telling_app(gates), threads=2)
    clients = [begin(served, gates, "told", f"w{number}") for number in range(20)]
    for client in clients[::2]:
        client.close()
    for number in range(0, 20, 2):
        gates.entered(f"w{number} cancelled")
    gates.open_all()
    for number in range(1, 20, 2):
        assert clients[number].answer()[2] == f"w{number}".encode()
    assert [name for name in gates.seen() if "cancelled" in name] != []


def test_a_client_that_leaves_before_the_view_has_begun(serve: Serve, gates: Gates) -> None:
    """Its view gets no further than to the first thing that it waits for."""
    served = serve(telling_app(gates), threads=2)
    held = begin(served, gates, "block", "b")  # the loop cannot begin with anything meanwhile
    for number in range(10):
        client = served.client()
        client.send(REQUEST % b"/told/w%d" % number)
        eventually(lambda count=number: len(pool_of(served)._connections.suspended) == count + 2)
        client.close()
    suspended = pool_of(served)._connections.suspended
    eventually(lambda: sum(c.interest == 0 for c in [*suspended.values()]) == 10)
    gates.open("b")
    assert held.answer()[2] == b"b"
    held.close()
    eventually(lambda: is_deserted(served))
    for number in range(10):
        gates.entered(f"w{number} cancelled")


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_is_closed_when_its_client_leaves(
    serve: Serve, gates: Gates, way: Callable[[Client], None]
) -> None:
    """Though nothing is sent at that time."""
    served = serve(telling_app(gates), threads=2)
    client = begin(served, gates, "pieces", "s")
    assert b"first" in client.sock.recv(10_000)
    way(client)
    gates.entered("s closed")
    eventually(lambda: is_deserted(served))


def test_a_client_that_leaves_is_no_failure(
    serve: Serve, gates: Gates, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the end of its request is on a thread: nothing is logged of it."""
    app = telling_app(gates)

    @app.teardown_request
    def forget(error: BaseException | None) -> None:
        gates.note("torn down")

    served = serve(app, threads=2)
    for number in range(5):
        begin(served, gates, "told", f"w{number}").close()
        gates.entered(f"w{number} cancelled")
        gates.entered("torn down")
    eventually(lambda: is_deserted(served))
    assert [r.getMessage() for r in caplog.records if r.levelno > 20] == []


def test_what_is_on_a_thread_goes_on_there_when_the_client_leaves(
    serve: Serve, gates: Gates
) -> None:
    """And the coroutines behind it are told once: what cleans up is not cut short by it again."""
    app = telling_app(gates)

    @app.teardown_request
    async def last(error: BaseException | None) -> None:
        await asyncio.sleep(0)
        gates.note("last")

    @app.teardown_request
    def held(error: BaseException | None) -> None:
        gates.hold("teardown")

    @app.teardown_request
    async def first(error: BaseException | None) -> None:
        await asyncio.sleep(0)
        gates.note("first")

    served = serve(app, threads=2)
    client = begin(served, gates, "told", "w")
    client.close()
    gates.entered("w cancelled")
    gates.entered("first")
    gates.entered("teardown")
    gates.open("teardown")
    gates.entered("last")
    eventually(lambda: is_deserted(served))


def test_a_client_that_leaves_while_its_request_is_on_a_thread(serve: Serve, gates: Gates) -> None:
    """It is noticed when the request waits for the loop again."""
    app = telling_app(gates)

    @app.before_request
    def hold() -> None:
        gates.hold("before")

    @app.before_request
    async def await_something() -> None:
        try:
            await gates.wait("after")
        except asyncio.CancelledError:
            gates.note("cancelled")
            raise

    served = serve(app, threads=2)
    client = served.client()
    client.send(REQUEST % b"/told/w")
    gates.entered("before")
    client.close()
    gates.open("before")
    gates.entered("cancelled")
    eventually(lambda: is_deserted(served))
    assert "w" not in gates.seen()


def test_a_view_may_answer_though_it_was_cancelled(serve: Serve, gates: Gates) -> None:
    """Nobody is there to take the answer, and the server goes on."""
    app = telling_app(gates)

    @app.get("/stubborn")
    async def stubborn() -> str:
        try:
            await gates.wait("stubborn")
        except asyncio.CancelledError:
            await gates.wait("more")
        return "an answer"

    served = serve(app, threads=2)
    client = served.client()
    client.send(REQUEST % b"/stubborn")
    gates.entered("stubborn")
    client.close()
    gates.entered("more")
    assert not is_deserted(served)
    gates.open("more")
    eventually(lambda: is_deserted(served))


def test_a_generator_is_not_run_ahead_of_its_client(serve: Serve, gates: Gates) -> None:
    """It is asked for the next piece when the last is taken, and no thread waits for that."""
    app = gated_app(gates)
    piece = bytes(100_000)
    made: list[int] = []

    @app.get("/endless")
    async def endless() -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                for number in range(300):
                    made.append(number)
                    yield piece
            finally:
                gates.note("closed")

        return pieces()

    served = serve(app, threads=1)
    client = served.client()
    client.send(REQUEST % b"/endless")
    eventually(lambda: len(made) > 1)
    other = served.client()
    counts = []
    for _ in range(20):
        assert other.get("/sync/x")[2] == b"x"
        counts.append(len(made))
    assert counts[-1] < 300, "it was made in full for a client that takes nothing"
    status, _, body = client.answer()
    assert status == b"HTTP/1.1 200 OK"
    assert body == piece * 300
    gates.entered("closed")
    assert client.get("/quick/still")[2] == b"still"


def test_a_client_that_takes_nothing_is_given_up(serve: Serve, gates: Gates) -> None:
    """At the write deadline; its generator is closed."""
    app = gated_app(gates)

    @app.get("/endless")
    async def endless() -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield bytes(100_000)
            finally:
                gates.note("closed")

        return pieces()

    served = serve(app, threads=1, write_timeout=0.2)
    served.client().send(REQUEST % b"/endless")
    gates.entered("closed")
    eventually(lambda: is_deserted(served))


def test_a_large_answer_of_a_view_waits_for_a_slow_client(serve: Serve, gates: Gates) -> None:
    """In the write buffer: neither the loop nor a thread."""
    app = gated_app(gates)
    large = bytes(range(256)) * 40_000

    @app.get("/large")
    async def view() -> bytes:
        return large

    served = serve(app, threads=1)
    slow = served.client()
    slow.send(REQUEST % b"/large")
    other = served.client()
    for number in range(20):
        assert other.get(f"/quick/{number}")[2] == str(number).encode()
    assert slow.answer()[2] == large


def logged(served: Served, path: Path) -> list[dict[str, Any]]:
    """Stop the server, so that all is written, and return the records."""
    served.stop()
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("leads", [False, True])
def test_the_access_log_has_a_line_for_each(
    serve: Serve, gates: Gates, tmp_path: Path, leads: bool
) -> None:
    """With the status, the bytes, and the time that it waited; 499 where the client left."""
    now = [1000.0]
    path = tmp_path / "access.log"
    served = serve(
        telling_app(gates), threads=2, clock=lambda: now[0], access_log=True,
        access_log_file=str(path), access_log_format="json",
    )  # fmt: skip
    if leads:
        lead_on_loop(served)
    stays, leaves = begin(served, gates, "told", "stays"), begin(served, gates, "told", "leaves")
    now[0] += 2.5
    leaves.close()
    gates.entered("leaves cancelled")
    gates.open("stays")
    assert stays.answer()[2] == b"stays"
    stays.send(REQUEST % b"/stream/s")
    for number in range(3):
        gates.entered(f"s{number}")
        gates.open(f"s{number}")
    assert stays.answer()[2] == b"s0;s1;s2;"
    records = {r["path"]: r for r in logged(served, path) if not r["path"].startswith("/quick")}
    told, gone, stream = (records[f"/{name}"] for name in ("told/stays", "told/leaves", "stream/s"))
    assert (told["status"], told["bytes"], told["duration_ms"]) == (200, 5, 2500.0)
    assert (gone["status"], gone["bytes"], gone["duration_ms"]) == (499, 0, 2500.0)
    assert (stream["status"], stream["bytes"]) == (200, 9)


class TestOverTls:
    """The same through encryption."""

    @pytest.fixture
    def served(self, serve: Serve, gates: Gates, certificates: Certificates) -> Served:
        return serve(telling_app(gates), threads=2, **certificates.pair())

    def test_views_wait_and_answer(
        self, served: Served, gates: Gates, certificates: Certificates
    ) -> None:
        """On a connection that persists, with streams and bodies."""
        client = served.client(certificates.client())
        client.send(REQUEST % b"/wait/w")
        gates.entered("w")
        gates.open("w")
        assert client.answer()[2] == b"w"
        client.send(REQUEST % b"/stream/s")
        for number in range(3):
            gates.entered(f"s{number}")
            gates.open(f"s{number}")
        assert client.answer()[2] == b"s0;s1;s2;"
        body = bytes(500_000)
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        assert client.ask(head + body)[2] == body

    def test_a_client_that_says_goodbye_and_leaves_has_its_view_cancelled(
        self, served: Served, gates: Gates, certificates: Certificates
    ) -> None:
        """With close_notify, as is polite, or without."""
        for name in ("polite", "rude"):
            client = served.client(certificates.client())
            client.send(REQUEST % f"/told/{name}".encode())
            gates.entered(name)
            if name == "polite":
                client.sock.setblocking(False)
                with pytest.raises(OSError, match=r"."):
                    client.sock.unwrap()  # type: ignore[attr-defined]  # it waits for our answer
            client.close()
            gates.entered(f"{name} cancelled")
            eventually(lambda: is_deserted(served))

    def test_pipelined_requests_that_came_in_one_record_are_answered(
        self, served: Served, gates: Gates, certificates: Certificates
    ) -> None:
        """And what comes while the first waits."""
        client = served.client(certificates.client())
        client.send(REQUEST % b"/wait/w" + REQUEST % b"/sync/a")
        gates.entered("w")
        client.send(REQUEST % b"/quick/b")
        gates.open("w")
        assert [client.answer()[2] for _ in range(3)] == [b"w", b"a", b"b"]


def test_behind_a_proxy_that_says_who_the_client_is(serve: Serve, gates: Gates) -> None:
    """The PROXY header belongs to the connection, whoever answers on it."""
    app = gated_app(gates)

    @app.get("/who")
    async def who() -> str:
        await asyncio.sleep(0)
        return str(request.remote_addr)

    served = serve(app, threads=2, proxy_protocol=True, trusted_hosts="127.0.0.1")
    client = served.client(before=b"PROXY TCP4 203.0.113.7 198.51.100.1 5000 80\r\n")
    for _ in range(50):
        assert client.get("/who")[2] == b"203.0.113.7"
