"""A server for WebSockets on asyncio's own transports, and raw frames for it."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from dewar.websocket.errors import HandshakeError
from dewar.websocket.opening_handshake import read_handshake
from dewar.websocket.settings import WebSocketSettings
from dewar.websocket.websocket import WebSocket

View = Callable[[WebSocket], Awaitable[object]]


def environ_of(head: bytes) -> dict[str, Any]:
    """Return the environ of a request, as far as the handshake needs it."""
    line, *fields = head.decode("latin-1").split("\r\n")
    method, _, protocol = line.split(" ")
    environ = {"REQUEST_METHOD": method, "SERVER_PROTOCOL": protocol}
    for field in fields:
        name, _, value = field.partition(":")
        key = name.upper().replace("-", "_")
        if key not in {"CONTENT_LENGTH", "CONTENT_TYPE"}:
            key = "HTTP_" + key
        value = value.strip(" \t")
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


class HttpHead(asyncio.Protocol):
    """Reads the head of a request, and gives the connection to a view.

    Args:
        view: Called with the WebSocket; it is finished afterwards.
        settings: The settings of the WebSocket.
        served: Gets the WebSocket when there is one.
    """

    def __init__(
        self, view: View, settings: WebSocketSettings, served: list[WebSocket] | None = None
    ) -> None:
        self.view = view
        self.settings = settings
        self.served = [] if served is None else served
        self.head = b""
        self.rest = b""
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.head += data
        head, end, self.rest = self.head.partition(b"\r\n\r\n")
        if end and self.task is None:
            self.transport.pause_reading()
            self.task = asyncio.get_running_loop().create_task(self.serve(environ_of(head)))

    async def serve(self, environ: dict[str, Any]) -> None:
        try:
            handshake = read_handshake(environ)
        except HandshakeError as error:
            fields = "".join(f"{name}: {value}\r\n" for name, value in error.headers)
            self.transport.write(f"HTTP/1.1 {error.status} x\r\n{fields}\r\n{error}".encode())
            self.transport.close()
            return
        ws = WebSocket(handshake, self.upgrade, self.settings, no_headers)
        self.served.append(ws)
        error: BaseException | None = None
        try:
            await self.view(ws)
        except BaseException as raised:
            error = raised
        await ws.finish(error)
        if not ws.is_accepted:
            self.transport.close()

    def upgrade(
        self, protocol: asyncio.Protocol, going_away: Callable[[], None]
    ) -> asyncio.Transport:
        self.going_away = going_away
        self.transport.set_protocol(protocol)
        self.transport.resume_reading()
        if self.rest:
            protocol.data_received(self.rest)
        return self.transport


async def no_headers() -> list[tuple[str, str]]:
    return []


# Raw frames, made without any library.

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x0f\xf1\x55\xaa"


def header(
    opcode: int,
    length: int,
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    size: int | None = None,
) -> bytes:
    """Return the header of a frame, without the mask.

    Args:
        opcode: What the frame is.
        length: What it says about its payload.
        fin: Whether it ends a message.
        rsv: The reserved bits: 4 for the first, 2 for the second, 1 for the third.
        masked: What it says about a mask.
        size: How many bytes the length takes: 0, 2 or 8; by default as many as it needs.
    """
    if size is None:
        size = 0 if length < 126 else 2 if length < 65536 else 8
    first = fin << 7 | rsv << 4 | opcode
    second = masked << 7 | {0: length, 2: 126, 8: 127}[size]
    return bytes([first, second]) + (length.to_bytes(size) if size else b"")


def frame(opcode: int, payload: bytes = b"", **options: Any) -> bytes:
    """Return a frame of a client; see `header` for the options."""
    start = header(opcode, len(payload), **options)
    if not options.get("masked", True):
        return start + payload
    mask = (MASK * (len(payload) // 4 + 1))[: len(payload)]
    masked = bytes(a ^ b for a, b in zip(payload, mask, strict=True))
    return start + MASK + masked


def close_frame(code: int | None = 1000, reason: bytes = b"", **options: Any) -> bytes:
    """Return a close frame of a client."""
    return frame(CLOSE, (b"" if code is None else code.to_bytes(2)) + reason, **options)


def server_frames(data: bytes) -> list[tuple[int, bytes]]:
    """Return the opcodes and payloads of a server's frames, which are neither masked nor split."""
    found = []
    while data:
        first, second = data[:2]
        assert first & 0x80
        assert not second & 0x80
        size = {126: 2, 127: 8}.get(second, 0)
        length = int.from_bytes(data[2 : 2 + size]) if size else second
        payload = data[2 + size : 2 + size + length]
        assert len(payload) == length, "a frame is not complete"
        found.append((first & 0x7F, payload))
        data = data[2 + size + length :]
    return found


def deflated(payload: bytes, *, bits: int = 15, level: int = 6) -> bytes:
    """Return a compressed message (RFC 7692, section 7.2.1)."""
    encoder = zlib.compressobj(level, zlib.DEFLATED, -bits)
    return (encoder.compress(payload) + encoder.flush(zlib.Z_SYNC_FLUSH))[:-4]
