"""WebSockets on the sockets that other servers offer."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.sync.client import connect
from werkzeug.serving import make_server

from dewar.loop.from_thread import run_coroutine
from dewar.websocket.opening_handshake import OpeningHandshake, read_handshake
from dewar.websocket.settings import WebSocketSettings
from dewar.websocket.socket_upgrade import SocketUpgrade, maybe_upgrade
from dewar.websocket.websocket import WebSocket
from websocket.faketransport import KEY
from websockettools import View, close_frame, frame, no_headers, server_frames

REQUEST = (
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()


@contextmanager
def werkzeug(view: View) -> Iterator[int]:
    """Serve a view on Werkzeug's server, whose thread waits for it."""

    def app(environ: dict[str, Any], _start_response: object) -> Iterable[bytes]:
        upgrade = maybe_upgrade(environ)
        assert upgrade is not None
        ws = WebSocket(read_handshake(environ), upgrade, WebSocketSettings(), no_headers)

        async def serve() -> None:
            await view(ws)
            await ws.finish(None)

        run_coroutine(serve)
        raise ConnectionError("the response was sent")

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


def test_messages_come_back_on_werkzeugs_server() -> None:
    """Its thread waits while the event loop does the work."""
    with werkzeug(echo) as port, connect(f"ws://127.0.0.1:{port}/") as client:
        for message in ("text", b"binary", "x" * 200_000):
            client.send(message)
            assert client.recv(timeout=20) == message


def test_the_client_sees_the_end_before_the_program_has_ended() -> None:
    """Although the server has its own descriptor for the connection."""
    gate = asyncio.Event()

    async def linger(ws: WebSocket) -> None:
        await ws.accept()
        await gate.wait()

    with werkzeug(linger) as port, socket.create_connection(("127.0.0.1", port), 20) as client:
        client.sendall(REQUEST)
        said = client.recv(4096)
        client.sendall(close_frame(1000))
        while piece := client.recv(4096):
            said += piece
        assert server_frames(said.partition(b"\r\n\r\n")[2]) == [(8, (1000).to_bytes(2))]
        run_coroutine(lambda: opened(gate))


async def opened(gate: asyncio.Event) -> None:
    gate.set()


def test_a_pair_of_sockets_is_enough() -> None:
    """As the test client has it: the server's socket stays open, and can be used again."""

    async def work() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ws = WebSocket(
                OpeningHandshake(KEY), SocketUpgrade(ours), WebSocketSettings(), no_headers
            )
            await ws.send("hello")
            theirs.sendall(frame(1, b"x") + close_frame(1001))
            assert [message async for message in ws] == ["x"]
            await ws.finish(None)
            theirs.settimeout(20)
            said = b""
            while piece := theirs.recv(4096):
                said += piece
            assert server_frames(said.partition(b"\r\n\r\n")[2]) == [
                (1, b"hello"), (8, (1001).to_bytes(2)),
            ]  # fmt: skip

    asyncio.run(work())


@pytest.mark.parametrize("name", ["werkzeug.socket", "gunicorn.socket"])
def test_the_socket_of_a_server_is_found(name: str) -> None:
    """Under the names of the servers that offer one."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert isinstance(maybe_upgrade({name: ours}), SocketUpgrade)


def test_dewars_own_way_comes_first() -> None:
    """Its server offers the socket too, for programs that block."""

    def upgrade(*_: object) -> None:
        """Stand for the server's."""

    ours, theirs = socket.socketpair()
    with ours, theirs:
        environ = {"dewar.upgrade": upgrade, "werkzeug.socket": ours}
        assert maybe_upgrade(environ) is upgrade


def test_what_cannot_be_taken_over_is_not_offered() -> None:
    """No socket, something that is none, and one with TLS, which belongs to its thread."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ours, theirs = socket.socketpair()
    with (
        theirs,
        context.wrap_socket(
            ours, do_handshake_on_connect=False, server_hostname="localhost"
        ) as wrapped,
    ):
        for environ in ({}, {"werkzeug.socket": None}, {"werkzeug.socket": wrapped}):
            assert maybe_upgrade(environ) is None
