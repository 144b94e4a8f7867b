"""An application that takes its connections out of HTTP, and what its clients send."""

import asyncio
import selectors
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dewar.loop.suspended import ON_LOOP, Suspended
from servertools import Client

#: A handshake (RFC 6455 §4.1) without what the server leaves to the application.
FIELDS = b"Host: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
_LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
GOING_AWAY = b"\x88\x02\x03\xe9"


def ask(path: str, fields: bytes = b"") -> bytes:
    """Return a request for WebSocket."""
    return b"GET %b HTTP/1.1\r\n%b%b\r\n" % (path.encode(), FIELDS, fields)


class Peer(asyncio.Protocol):
    """Sends back what it receives, and notes what else it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        """See `asyncio.BaseProtocol`."""
        self.transport = transport
        transport.write(SWITCHED)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if data == b"fail":
            raise ZeroDivisionError
        self.transport.write(b"re:" + data)
        if data.endswith(b"close"):
            self.transport.close()

    def eof_received(self) -> None:
        """See `asyncio.Protocol`."""
        self.told.append("eof")

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self.told.append("pause")

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self.told.append(exc)
        self.lost.set_result(None)


class UpgradingApp:
    """Runs a coroutine function for each request, on the loop.

    Args:
        work: Gets the environ; returns the body of a response in HTTP, or None if there is none.
        begins_on_loop: Whether the server needs no thread to begin it.
    """

    def __init__(self, work: Callable[[dict[str, Any]], Any], begins_on_loop: bool = True) -> None:
        self._work = work
        if begins_on_loop:
            self.begin_on_loop = self._begin

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer in HTTP, or leave it."""
        steps = self._steps(environ, start_response)
        steps.send(None)
        return Suspended(steps, ON_LOOP, is_wholly_async=False)

    def _begin(self, environ: dict[str, Any], start_response: Any) -> Any:
        steps = self._steps(environ, start_response)
        steps.send(None)
        return Suspended(steps, ON_LOOP, is_wholly_async=True)

    async def _steps(self, environ: dict[str, Any], start_response: Any) -> Any:
        await ON_LOOP
        body = await self._work(environ)
        start_response("200 OK", [])
        return [b"" if body is None else body]


class Echo:
    """An application whose views take the connection, each with a `Peer`.

    Attributes:
        peers: The protocols, in the order of their requests.
        going_away: Counts how often each was told that the server stops.
        begun: Released once for each that is begun.
    """

    def __init__(self, begins_on_loop: bool = True) -> None:
        self.peers: list[Peer] = []
        self.going_away = 0
        self.begun = threading.Semaphore(0)
        self.app = UpgradingApp(self.work, begins_on_loop)

    async def work(self, environ: dict[str, Any]) -> bytes | None:
        """Take the connection, unless it is asked for something else."""
        if environ["PATH_INFO"] != "/ws":
            return b"plain"
        peer = Peer()
        self.peers.append(peer)
        environ["dewar.upgrade"](peer, lambda: self._go_away(peer))
        self.begun.release()
        await peer.lost
        return b"not sent"

    def _go_away(self, peer: Peer) -> None:
        self.going_away += 1
        peer.transport.write(GOING_AWAY)
        peer.transport.close()


def exchange(client: Client, data: bytes, count: int | None = None) -> bytes:
    """Send *data* while receiving *count* bytes, or all until the server ends.

    On one thread: two that use one TLS connection at a time break it before Python 3.13.
    """
    sock, waiting, got = client.sock, memoryview(data), bytearray()
    sock.settimeout(0)
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while count is None or len(got) < count:
            if not waiting:
                selector.modify(sock, selectors.EVENT_READ)
            assert selector.select(20), f"nothing more after {len(got)} bytes"
            with suppress(*_LATER):
                while piece := sock.recv(65536):
                    got += piece
                break  # the end
            with suppress(*_LATER):
                waiting = waiting[sock.send(waiting[:65536]) :] if waiting else waiting
    sock.settimeout(10)
    return bytes(got)
