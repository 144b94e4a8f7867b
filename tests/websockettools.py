"""A server for WebSockets on asyncio's own transports, and raw frames for it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from dewar.websocket.errors import HandshakeError
from dewar.websocket.handshake import read_handshake
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
        key = "HTTP_" + name.upper().replace("-", "_")
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
