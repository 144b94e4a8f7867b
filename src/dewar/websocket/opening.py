"""`Opening`: answering the handshake, which is done once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from inspect import isawaitable
from typing import TYPE_CHECKING

from dewar.websocket.acceptance import acceptance, header_lines
from dewar.websocket.close_notice import CloseNotice
from dewar.websocket.extension_offers import parse_offers
from dewar.websocket.opening_handshake import OpeningHandshake
from dewar.websocket.settings import WebSocketSettings

if TYPE_CHECKING:
    from dewar.websocket.connection import WebSocketConnection
    from dewar.websocket.deflate import Deflate

#: Takes the connection over for a protocol of asyncio, and returns its transport. It is called on
#: the loop's thread, and calls the function when the server stops.
Upgrade = Callable[
    [asyncio.Protocol, Callable[[], None]], "asyncio.Transport | Awaitable[asyncio.Transport]"
]
#: Returns more header fields for the response that opens the WebSocket.
BeforeAccept = Callable[[], Awaitable[Iterable[tuple[str, str]]]]


class Opening:
    """What is needed until a WebSocket is open.

    Args:
        handshake: What the client asks for.
        upgrade: Takes the connection over.
        settings: The limits and times.
        before_accept: Returns more header fields for the response.
        notice: Learns that the WebSocket is closed.
    """

    __slots__ = (
        "_before_accept", "_connection", "_handshake", "_lock", "_notice", "_settings", "_upgrade",
    )  # fmt: skip

    def __init__(
        self,
        handshake: OpeningHandshake,
        upgrade: Upgrade,
        settings: WebSocketSettings,
        before_accept: BeforeAccept,
        notice: CloseNotice,
    ) -> None:
        self._handshake = handshake
        self._upgrade = upgrade
        self._settings = settings
        self._before_accept = before_accept
        self._notice = notice
        self._lock = asyncio.Lock()
        self._connection: WebSocketConnection | None = None

    def __repr__(self) -> str:
        return f"<Opening of {self._handshake!r}>"

    @property
    def has_begun(self) -> bool:
        """Whether some task is opening the WebSocket, or has done so."""
        return self._connection is not None or self._lock.locked()

    async def open(
        self, subprotocol: str | None, headers: Iterable[tuple[str, str]]
    ) -> "WebSocketConnection":
        """Return the open connection, also to several tasks that ask at the same time.

        Raises:
            WebSocketValueError: If the client did not offer the subprotocol, or a header field
                cannot be sent.
        """
        async with self._lock:
            if self._connection is None:
                self._connection = await self._open(subprotocol, headers)
        return self._connection

    async def _open(
        self, subprotocol: str | None, headers: Iterable[tuple[str, str]]
    ) -> "WebSocketConnection":
        from dewar.websocket.connection import (
            WebSocketConnection,  # with the library, which may be missing
        )

        deflate = self._maybe_deflate()
        # The program's mistakes first: what comes before the acceptance cannot be taken back.
        head = acceptance(self._handshake, subprotocol, deflate.field if deflate else None, headers)
        head += header_lines(await self._before_accept())
        connection = WebSocketConnection(self._settings, deflate, self._notice)
        transport = self._upgrade(connection, connection.go_away)
        if isawaitable(transport):
            transport = await transport
        connection.open(transport, head + b"\r\n")
        return connection

    def _maybe_deflate(self) -> "Deflate | None":
        from dewar.websocket.deflate import maybe_deflate

        if not self._settings.compression or not self._handshake.extensions:
            return None
        offers = parse_offers(self._handshake.extensions)
        return maybe_deflate(offers, self._settings.max_message_size)
