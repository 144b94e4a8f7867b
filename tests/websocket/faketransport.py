"""A transport that a test looks into, and a WebSocket on it whose clock is the test's."""

import asyncio
from collections.abc import Callable
from typing import Any

from dewar.websocket.opening_handshake import OpeningHandshake
from dewar.websocket.settings import WebSocketSettings
from dewar.websocket.websocket import WebSocket
from websockettools import no_headers, server_frames

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class FakeTransport(asyncio.Transport):
    """The client's side of a connection, in the hands of a test.

    Args:
        has_eof: Whether it can send an end and still receive, as TLS cannot.

    Attributes:
        is_taking: Whether the client takes what is sent.
        is_reading: Whether the server reads what the client sends.
    """

    def __init__(self, has_eof: bool = True) -> None:
        super().__init__()
        self.protocol: asyncio.Protocol
        self.going_away: Callable[[], None]
        self.has_eof = has_eof
        self.is_taking = self.is_reading = True
        self.has_ended = self.is_closed = self.was_aborted = self.is_lost = False
        self.high = 0
        self.taken = b""
        self.waiting = b""

    # What the server calls.

    def upgrade(
        self, protocol: asyncio.Protocol, going_away: Callable[[], None]
    ) -> asyncio.Transport:
        self.protocol, self.going_away = protocol, going_away
        return self

    def write(self, data: Any) -> None:
        assert self.is_closed or not self.has_ended
        if self.is_closed:
            return
        was_high = len(self.waiting) > self.high
        self.waiting += bytes(data)
        if self.is_taking:
            self.taken, self.waiting = self.taken + self.waiting, b""
        elif len(self.waiting) > self.high and not was_high:
            self.protocol.pause_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        self.high = high

    def get_write_buffer_size(self) -> int:
        return len(self.waiting)

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def can_write_eof(self) -> bool:
        return self.has_eof

    def write_eof(self) -> None:
        self.has_ended = True

    def close(self) -> None:
        self.is_closed = True
        if not self.waiting:
            asyncio.get_running_loop().call_soon(self.lose)

    def abort(self) -> None:
        self.was_aborted = self.is_closed = True
        asyncio.get_running_loop().call_soon(self.lose)

    # What the client does.

    def lose(self) -> None:
        """The connection is gone, of which the protocol learns once."""
        self.is_closed = self.has_ended = True
        if not self.is_lost:
            self.is_lost = True
            self.protocol.connection_lost(None)

    def send(self, *data: bytes) -> None:
        """The client sends, in one read."""
        self.protocol.data_received(b"".join(data))

    def take(self) -> None:
        """The client takes all that waits, and goes on taking."""
        was_high, self.is_taking = len(self.waiting) > self.high, True
        self.taken, self.waiting = self.taken + self.waiting, b""
        if was_high:
            self.protocol.resume_writing()
        if self.is_closed:
            asyncio.get_running_loop().call_soon(self.lose)

    def frames(self) -> list[tuple[int, bytes]]:
        """Return the frames that were taken, behind the head of the response."""
        return server_frames(self.taken.partition(b"\r\n\r\n")[2])


async def opened(
    *, extensions: str = "", has_eof: bool = True, task: Any = None, **settings: Any
) -> tuple[WebSocket, FakeTransport]:
    """Return an open WebSocket and its transport."""
    transport = FakeTransport(has_eof)
    handshake = OpeningHandshake(KEY, extensions=extensions)
    limits = WebSocketSettings(**settings)
    ws = WebSocket(handshake, transport.upgrade, limits, no_headers, task=task)
    await ws.accept()
    return ws, transport
