"""The transport of a connection that has left HTTP does what asyncio's own transports do."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

import pytest

from dewar.loop.process_loop import process_loop
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.transport import Transport
from dewar.server.connection.upgraded_transport import UpgradedTransport
from dewar.server.settings.settings import Settings

CHUNK = b"c" * 100_000


class Noted(asyncio.Protocol):
    """Notes what it is told; each test says what it does."""

    def __init__(self, keeps_open: bool = False) -> None:
        self.told: list[Any] = []
        self.data = bytearray()
        self.keeps_open = keeps_open
        self.news = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        """See `asyncio.BaseProtocol`."""
        self.transport = transport
        self._note("made")

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self.data += data
        self.news.set()

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`."""
        self._note("eof")
        return self.keeps_open

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._note("pause")

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._note("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._note(("lost", type(exc)))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(20):
            while not condition():
                self.news.clear()
                await self.news.wait()

    def _note(self, news: Any) -> None:
        self.told.append(news)
        self.news.set()


class Ours:
    """The transport under test."""

    async def connect(self, protocol: Noted, sock: socket.socket) -> Any:
        """Return a transport of *protocol* on *sock*."""
        context = ServerContext(lambda *_: [], Settings(), lambda: 0.0)
        loop = asyncio.get_running_loop()
        return UpgradedTransport(loop, Transport(context, sock), protocol, b"")


class Asyncios:
    """What it is compared with."""

    async def connect(self, protocol: Noted, sock: socket.socket) -> Any:
        """Return a transport of *protocol* on *sock*."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock)
        return transport


class Pair:
    """A transport, its protocol and the client's socket."""

    def __init__(self, transport: Any, protocol: Noted, client: socket.socket) -> None:
        self.transport = transport
        self.protocol = protocol
        self.client = client

    async def rest(self) -> bytes:
        """Return what the client receives until the end."""
        loop, data = asyncio.get_running_loop(), b""
        async with asyncio.timeout(20):
            while piece := await loop.sock_recv(self.client, 1_000_000):
                data += piece
        return data


Scene = Callable[[Pair], Coroutine[Any, Any, Any]]


async def echoes(pair: Pair) -> Any:
    """Data in both directions."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(pair.client, b"hello")
    await pair.protocol.until(lambda: len(pair.protocol.data) == 5)
    pair.transport.writelines([b"a", bytearray(b"b"), memoryview(b"c")])
    pair.transport.write(b"")
    pair.transport.close()
    pair.transport.write(b"dropped")
    data = await pair.rest()
    await pair.protocol.until(lambda: len(pair.protocol.told) == 2)
    return data, bytes(pair.protocol.data), pair.transport.is_closing()


async def pauses_and_resumes(pair: Pair) -> Any:
    """The protocol waits for a slow client, and goes on."""
    while "pause" not in pair.protocol.told:
        pair.transport.write(CHUNK)
    waiting = pair.transport.get_write_buffer_size() > pair.transport.get_write_buffer_limits()[1]
    loop, received = asyncio.get_running_loop(), 0
    while "resume" not in pair.protocol.told:
        received += len(await loop.sock_recv(pair.client, 1_000_000))
    pair.transport.close()
    return waiting, (received + len(await pair.rest())) % len(CHUNK)


async def closes_with_what_waits(pair: Pair) -> Any:
    """All that was written before is sent."""
    for _ in range(100):
        pair.transport.write(CHUNK)
    pair.transport.close()
    pair.transport.close()
    size = len(await pair.rest())
    await pair.protocol.until(lambda: ("lost", type(None)) in pair.protocol.told)
    return size


async def aborts(pair: Pair) -> Any:
    """What waits is dropped."""
    for _ in range(100):
        pair.transport.write(CHUNK)
    pair.transport.abort()
    pair.transport.abort()
    await pair.protocol.until(lambda: ("lost", type(None)) in pair.protocol.told)
    return pair.transport.get_write_buffer_size(), len(await pair.rest()) < 100 * len(CHUNK)


async def client_ends(pair: Pair) -> Any:
    """The protocol closes, because it did not say otherwise."""
    pair.client.shutdown(socket.SHUT_WR)
    data = await pair.rest()
    await pair.protocol.until(lambda: len(pair.protocol.told) == 3)
    return data


async def client_ends_and_is_answered(pair: Pair) -> Any:
    """The protocol may keep its side open."""
    pair.protocol.keeps_open = True
    pair.client.shutdown(socket.SHUT_WR)
    await pair.protocol.until(lambda: "eof" in pair.protocol.told)
    is_closing = pair.transport.is_closing()
    pair.transport.write(b"answer")
    pair.transport.close()
    return is_closing, await pair.rest()


async def ends_its_side(pair: Pair) -> Any:
    """It still receives, after all that waits was sent."""
    loop = asyncio.get_running_loop()
    for _ in range(50):
        pair.transport.write(CHUNK)
    pair.transport.write_eof()
    size = len(await pair.rest())
    await loop.sock_sendall(pair.client, b"late")
    await pair.protocol.until(lambda: pair.protocol.data == b"late")
    is_closing = pair.transport.is_closing()
    pair.client.close()
    await pair.protocol.until(lambda: ("lost", type(None)) in pair.protocol.told)
    return size, is_closing, pair.transport.can_write_eof()


async def stops_reading(pair: Pair) -> Any:
    """Nothing comes while it is paused, and all afterwards; nothing is lost."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    pair.transport.pause_reading()
    pair.transport.pause_reading()
    await loop.sock_sendall(pair.client, b"later")
    for _ in range(5):
        await asyncio.sleep(0)
    before, reads = bytes(pair.protocol.data), pair.transport.is_reading()
    pair.transport.resume_reading()
    pair.transport.resume_reading()
    await pair.protocol.until(lambda: pair.protocol.data == b"later")
    again = pair.transport.is_reading()
    pair.transport.close()
    await pair.rest()
    return before, reads, again, pair.transport.is_reading()


async def is_reset(pair: Pair) -> Any:
    """The protocol gets the error."""
    await asyncio.sleep(0)
    pair.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    pair.client.close()
    await pair.protocol.until(lambda: len(pair.protocol.told) == 2)
    pair.transport.write(b"too late")
    return pair.transport.is_closing()


async def fails_with_data(pair: Pair) -> Any:
    """The protocol is lost with its own error."""
    pair.protocol.data_received = fail  # type: ignore[method-assign]
    await asyncio.get_running_loop().sock_sendall(pair.client, b"x")
    return await pair.rest()


async def fails_at_the_end(pair: Pair) -> Any:
    """The same when the client has ended its side."""
    pair.protocol.eof_received = fail  # type: ignore[method-assign]
    pair.client.shutdown(socket.SHUT_WR)
    return await pair.rest()


def fail(*_: object) -> Any:
    raise LookupError("of the protocol")


async def has_limits(pair: Pair) -> Any:
    """They are computed from each other."""
    found = [pair.transport.get_write_buffer_limits()]
    for marks in ({"high": 100}, {"low": 7}, {"high": 9, "low": 9}, {"high": 0}, {}):
        pair.transport.set_write_buffer_limits(**marks)
        found.append(pair.transport.get_write_buffer_limits())
    with pytest.raises(ValueError, match="high"):
        pair.transport.set_write_buffer_limits(high=1, low=2)
    pair.transport.close()
    await pair.rest()
    return found


async def tells_about_itself(pair: Pair) -> Any:
    """The addresses of both ends, and a default for what it does not know."""
    info = pair.transport.get_extra_info
    facts = info("peername") == pair.client.getsockname(), info("nonsense", 7), info("ssl_object")
    other = Noted()
    same = pair.transport.get_protocol() is pair.protocol
    pair.protocol = other
    pair.transport.set_protocol(other)
    await asyncio.get_running_loop().sock_sendall(pair.client, b"x")
    await other.until(lambda: other.data == b"x")
    pair.transport.close()
    await pair.rest()
    return facts, same, info("socket").type


SCENES: list[Scene] = [
    echoes, pauses_and_resumes, closes_with_what_waits, aborts, client_ends,
    client_ends_and_is_answered, ends_its_side, stops_reading, is_reset, fails_with_data,
    fails_at_the_end, has_limits, tells_about_itself,
]  # fmt: skip


def play(kind: Any, scene: Scene) -> Any:
    """Return what came of a scene, and what the protocol was told."""

    async def act() -> Any:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            sock, _ = listener.accept()
        with client, sock:
            client.setblocking(False)
            sock.setblocking(False)
            protocol = Noted()
            pair = Pair(await kind().connect(protocol, sock), protocol, client)
            outcome = await scene(pair)
            last = pair.protocol
            await last.until(lambda: bool(last.told) and "lost" in last.told[-1])
            return outcome, protocol.told, last.told

    if kind is Ours:
        return process_loop.run(act, Context())
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:  # not uvloop's
        return runner.run(act())


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a_protocol_sees_no_difference(scene: Scene) -> None:
    """The same outcome and the same calls, in the same order."""
    assert play(Ours, scene) == play(Asyncios, scene)
