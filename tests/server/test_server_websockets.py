"""The app's WebSockets on our server, seen as raw bytes."""

import gc
import socket
import struct
import threading
import tracemalloc
from typing import Any

import pytest

import dewar
from polling import eventually
from servertools import Client, Serve, Served

HANDSHAKE = (
    b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: %d\r\n\r\n"
)
#: How many idle WebSockets are compared, and how many bytes each may have.
COUNT = 200
MOST = 9_800
CLOSE = b"\x88\x82\x00\x00\x00\x00\x03\xe8"


@pytest.fixture(params=["fast", "full"])
def app(request: pytest.FixtureRequest) -> dewar.Dewar:
    """An app whose requests take the fast lane, or the one with hooks."""
    app = dewar.Dewar("raw", static_folder=None)

    @app.websocket("/echo")
    async def echo(ws: dewar.WebSocket) -> None:
        await ws.accept()
        async for message in ws:
            await ws.send(message)

    if request.param == "full":
        app.after_request(lambda response: response)
    return app


def opened(served: Served) -> Client:
    """Return a client that has opened the WebSocket."""
    client = served.client()
    client.send(HANDSHAKE % 13)
    assert client._until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    return client


def test_a_426_names_the_protocol_and_its_version(serve: Serve, app: dewar.Dewar) -> None:
    """RFC 9110 §15.5.22 and RFC 6455 §4.4; the connection stays for another attempt."""
    client = serve(app).client()
    for _ in range(2):
        status, fields, _ = client.ask(HANDSHAKE % 8)
        assert status.startswith(b"HTTP/1.1 426 ")
        named = {name: fields[name] for name in (b"upgrade", b"connection")}
        assert named == {b"upgrade": b"websocket", b"connection": b"Upgrade"}
        assert fields[b"sec-websocket-version"] == b"13"
    client.send(HANDSHAKE % 13)
    assert client._until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize("end", ["close frame", "reset"])
def test_an_end_needs_no_thread(serve: Serve, end: str) -> None:
    """A crowd that leaves at once would hold up all requests."""
    app = dewar.Dewar("ends", static_folder=None)
    inside, gate = threading.Event(), threading.Event()

    @app.websocket("/echo")
    async def echo(ws: dewar.WebSocket) -> None:
        await ws.accept()
        async for message in ws:
            await ws.send(message)

    @app.get("/hold")
    def hold() -> str:
        inside.set()
        gate.wait(60)
        return ""

    served = serve(app, threads=1)
    clients = [opened(served) for _ in range(20)]
    served.client().send(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        assert inside.wait(30)
        for client in clients:
            if end == "reset":
                linger = struct.pack("ii", 1, 0)
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                client.close()
            else:
                client.send(CLOSE)
        pool: Any = eventually(lambda: is_over(served))
        assert (pool.websockets, pool.websocket_threads) == (0, 0)
    finally:
        gate.set()


def test_an_idle_websocket_is_small(serve: Serve) -> None:
    """The server, the app and the protocol together: 5,000 of them take 10 kB of memory each."""
    app = dewar.Dewar("idle", static_folder=None)
    app.secret_key = "a key"

    @app.get("/")
    def visit() -> str:
        dewar.session["name"] = "somebody"
        return ""

    @app.websocket("/echo")
    async def echo(ws: dewar.WebSocket) -> None:
        assert dewar.session["name"] == "somebody"
        async for message in ws:
            await ws.send(message)

    served = serve(app, threads=2)
    cookie = served.client().get()[1][b"set-cookie"].split(b";")[0]
    handshake = HANDSHAKE[:-2] % 13 + (
        b"Sec-WebSocket-Extensions: permessage-deflate\r\nCookie: %s\r\n\r\n" % cookie
    )

    def add(count: int) -> None:
        for _ in range(count):
            client = served.client()
            client.send(handshake)
            assert client._until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")

    add(50)
    tracemalloc.start()
    try:
        before = bytes_of_server()
        add(COUNT)
        each = (bytes_of_server() - before) / COUNT
    finally:
        tracemalloc.stop()
    assert each < MOST


def bytes_of_server() -> int:
    """Return how many bytes there are that no test has."""
    gc.collect()
    tests = tracemalloc.Filter(False, "*/tests/*")
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([tests]).traces)


def is_over(served: Served) -> Any:
    """Return the statistics once there are no WebSockets."""
    pool = served.server.statistics().pool
    return None if pool.websockets else pool
