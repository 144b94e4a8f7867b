"""What the relay carries between a client and the socket that an application has taken."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

import pytest

from dewar.loop.process_loop import process_loop
from dewar.server.connection.socket_relay import SocketRelay

LARGE = b"z" * 2_000_000


class FarEnd:
    """The transport of a client who takes what is sent to it."""

    def __init__(self, ends_alone: bool) -> None:
        self.sent = b""
        self.is_reading = True
        self.end = ""
        self.news = asyncio.Event()
        self.can_write_eof = lambda: ends_alone

    def write(self, data: bytes) -> None:
        """Take it, unless it is closed."""
        if not self.is_closing():
            self.sent += data
        self.news.set()

    def write_eof(self) -> None:
        """Note it."""
        self.end = self.end or "eof"
        self.news.set()

    def close(self) -> None:
        """Note it."""
        self.end = "closed"
        self.news.set()

    def is_closing(self) -> bool:
        """Tell what was noted."""
        return self.end == "closed"

    def pause_reading(self) -> None:
        """Note it."""
        self.is_reading = False

    def resume_reading(self) -> None:
        """Note it."""
        self.is_reading = True
        self.news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(20):
            while not condition():
                self.news.clear()
                await self.news.wait()


Scene = Callable[[SocketRelay, FarEnd, socket.socket], Coroutine[Any, Any, Any]]


def play(scene: Scene, ends_alone: bool = True) -> Any:
    """Run a scene with a relay, its transport and the application's socket."""

    async def act() -> Any:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        relay, far = SocketRelay(loop, ours), FarEnd(ends_alone)
        relay.connection_made(far)  # type: ignore[arg-type]
        with theirs:
            outcome = await scene(relay, far, theirs)
            relay.connection_lost(None)
            relay.connection_lost(None)
            assert ours.fileno() < 0
            return outcome

    return process_loop.run(act, Context())


def test_each_side_gets_what_the_other_sends() -> None:
    """And its end, after which it may still answer."""

    async def scene(relay: SocketRelay, far: FarEnd, sock: socket.socket) -> Any:
        relay.data_received(b"hel")
        relay.data_received(b"lo")
        assert relay.eof_received()
        received = sock.recv(100), sock.recv(100)
        sock.send(b"answer")
        await far.until(lambda: far.sent == b"answer")
        sock.shutdown(socket.SHUT_WR)
        await far.until(lambda: far.end != "")
        return received, far.end

    assert play(scene) == ((b"hello", b""), "eof")


def test_a_side_that_cannot_end_alone_is_closed() -> None:
    """As with TLS."""

    async def scene(relay: SocketRelay, far: FarEnd, sock: socket.socket) -> Any:
        sock.shutdown(socket.SHUT_WR)
        await far.until(lambda: far.end != "")
        return far.end

    assert play(scene, ends_alone=False) == "closed"


def test_a_slow_application_holds_the_client_back() -> None:
    """The relay keeps what it has got, and reads no more until that is taken."""

    async def scene(relay: SocketRelay, far: FarEnd, sock: socket.socket) -> Any:
        relay.data_received(LARGE)
        relay.eof_received()
        was_reading = far.is_reading
        data, loop = b"", asyncio.get_running_loop()
        while piece := await loop.sock_recv(sock, 100_000):
            data += piece
        await far.until(lambda: far.is_reading)
        return was_reading, data == LARGE

    assert play(scene) == (False, True)


def test_a_slow_client_holds_the_application_back() -> None:
    """What it sends stays in its socket, and is carried later."""

    async def scene(relay: SocketRelay, far: FarEnd, sock: socket.socket) -> Any:
        relay.pause_writing()
        sock.send(b"waits")
        for _ in range(5):
            await asyncio.sleep(0)
        before = far.sent
        relay.resume_writing()
        await far.until(lambda: far.sent == b"waits")
        return before

    assert play(scene) == b""


@pytest.mark.parametrize("is_read", [False, True])
def test_what_an_application_sent_before_it_closed_arrives(is_read: bool) -> None:
    """Also if the client sends something at that moment, which nobody reads any more."""

    async def scene(relay: SocketRelay, far: FarEnd, sock: socket.socket) -> Any:
        sock.send(b"last words")
        sock.close()
        if is_read:
            relay.data_received(b"unheard")
            relay.data_received(b"unheard")
        relay.drain()
        return far.sent, far.end

    assert play(scene) == (b"last words", "closed" if is_read else "eof")


def test_what_was_received_is_there_after_the_client_is_lost() -> None:
    """Then comes the end."""

    async def scene(relay: SocketRelay, far: FarEnd, sock: socket.socket) -> Any:
        relay.data_received(b"first")
        relay.connection_lost(ConnectionResetError())
        return sock.recv(100), sock.recv(100)

    assert play(scene) == (b"first", b"")


def test_it_tells_what_waits() -> None:
    """For whoever looks at it in a debugger."""

    async def scene(relay: SocketRelay, far: FarEnd, sock: socket.socket) -> Any:
        return repr(relay)

    assert "0 bytes wait" in play(scene)
