"""The app's WebSockets on our server, seen as raw bytes."""

import asyncio
import socket
import struct
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import dewar
import idlewebsockets
from polling import eventually
from servertools import Client, Serve, Served

HANDSHAKE = (
    b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: %d\r\n\r\n"
)
#: The bytes that an idle WebSocket may take, without those of the system and the interpreter.
MOST = 9_700
#: What the objects of uvloop that watch a socket take more than asyncio's.
UVLOOP = 700
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


@pytest.mark.parametrize(
    ("former", "now"),
    [
        (b"Connection: Upgrade", b"Connection: close, Upgrade"),
        (b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\nx"),
        (b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
def test_a_handshake_that_contradicts_itself_is_the_clients_fault(
    serve: Serve, app: dewar.Dewar, caplog: pytest.LogCaptureFixture, former: bytes, now: bytes
) -> None:
    """So it is a bad request, and nothing for the log: the server can do WebSockets."""
    client = serve(app).client()
    assert client.ask((HANDSHAKE % 13).replace(former, now))[0].startswith(b"HTTP/1.1 400 ")
    assert not caplog.records


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


def test_an_idle_websocket_is_small() -> None:
    """The server, the app and the protocol together: 5,000 of them take 10 kB of memory each."""
    command = [sys.executable, Path(idlewebsockets.__file__)]
    ran = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60)
    assert int(ran.stdout) < MOST + (find_spec("uvloop") is not None) * UVLOOP


@pytest.mark.parametrize("end", ["close frame", "no close frame", "reset", "stop"])
def test_a_view_that_does_not_look_ends_too(serve: Serve, end: str) -> None:
    """When its client is gone, and at a stop, which does not use up its grace."""
    app = dewar.Dewar("idle", static_folder=None)
    app.config["WEBSOCKET_CLOSE_TIMEOUT"] = 0.02
    ended = threading.Event()
    app.teardown_request(lambda _: ended.set())

    @app.websocket("/echo")
    async def echo(ws: dewar.WebSocket) -> None:
        await ws.accept()
        await asyncio.Event().wait()

    served = serve(app, threads=1)
    client = opened(served)
    if end == "stop":
        assert served.server.stop(60)
        assert ended.is_set()
        return
    if end == "reset":
        linger = struct.pack("ii", 1, 0)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    if end == "close frame":
        client.send(CLOSE)
    else:
        client.close()
    assert ended.wait(30)
    eventually(lambda: is_over(served))


@pytest.mark.parametrize("path", ["/ws", "/view", "/plain"])
@pytest.mark.parametrize("by", ["itself", "a task"])
def test_a_view_that_is_cancelled_by_the_program_is_a_line_of_the_log(
    serve: Serve, caplog: pytest.LogCaptureFixture, path: str, by: str
) -> None:
    """It says where that was, and a traceback would say no more."""
    app = dewar.Dewar("cancelled", static_folder=None)

    async def cancel() -> None:
        if by == "itself":
            raise asyncio.CancelledError
        task = asyncio.ensure_future(asyncio.Event().wait())
        task.cancel()
        await task

    @app.websocket("/ws")
    async def ws(ws: dewar.WebSocket) -> None:
        await ws.accept()
        await cancel()

    @app.get("/view")
    async def view() -> str:
        await cancel()
        return ""

    @app.get("/plain")
    def plain() -> str:
        raise asyncio.CancelledError

    client = serve(app, threads=2).client()
    if path == "/ws":
        client.send(HANDSHAKE.replace(b"/echo", b"/ws") % 13 + CLOSE)
    else:
        assert client.get(path)[0] == b"HTTP/1.1 500 Internal Server Error"
    line = eventually(lambda: caplog.messages)[0]
    assert "it was cancelled by the program, in line" in line
    assert line.endswith("test_server_websockets.py")
    assert not caplog.records[0].exc_info


def is_over(served: Served) -> Any:
    """Return the statistics once there are no WebSockets."""
    pool = served.server.statistics().pool
    return None if pool.websockets else pool


def test_a_crowd_waits_for_the_threads_that_open(serve: Serve) -> None:
    """A thread that a synchronous hook needs for a moment is no reason to refuse a client."""
    app, gate = dewar.Dewar("crowd", static_folder=None), threading.Event()

    @app.before_request
    def look_up() -> None:
        gate.wait(30)

    @app.websocket("/echo")
    async def echo(ws: dewar.WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    served = serve(app, websocket_threads=2)
    clients = [served.client() for _ in range(12)]
    for client in clients:
        client.send(HANDSHAKE % 13)
    eventually(lambda: served.server.statistics().pool.websocket_threads == 2)
    gate.set()
    for client in clients:
        assert client._until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    assert served.server.statistics().pool.rejected == 0
    eventually(lambda: served.server.statistics().pool.websocket_threads == 0)
