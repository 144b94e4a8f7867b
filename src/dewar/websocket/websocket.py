"""`WebSocket`: what a program holds of a WebSocket."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Protocol, Self

from dewar.websocket.acceptance import acceptance, header_lines
from dewar.websocket.close_frame import check_close
from dewar.websocket.errors import WebSocketClosedError, WebSocketStateError
from dewar.websocket.extension_offers import parse_offers
from dewar.websocket.handshake import Handshake
from dewar.websocket.settings import WebSocketSettings
from dewar.websocket.state import WebSocketState

if TYPE_CHECKING:
    from dewar.websocket.connection import Connection

#: Takes the connection over for a protocol of asyncio, and returns its transport. It is called on
#: the loop's thread, and calls the function when the server stops.
Upgrade = Callable[
    [asyncio.Protocol, Callable[[], None]], "asyncio.Transport | Awaitable[asyncio.Transport]"
]
#: Returns more header fields for the response that opens the WebSocket.
BeforeAccept = Callable[[], Awaitable[Iterable[tuple[str, str]]]]

# What a normal end looks like (RFC 6455, section 7.4.1); 1005 is a close frame without a code.
_NORMAL = frozenset({1000, 1001, 1005})


class JSONCodec(Protocol):
    """Turns values into JSON and back."""

    def dumps(self, obj: Any) -> str:
        """Return the JSON of a value."""

    def loads(self, s: str | bytes) -> Any:
        """Return the value of a JSON text."""


class WebSocket:
    """One WebSocket, on the server's side.

    Its methods are called on the event loop. Several tasks may send at the same time: each message
    is sent as a whole, in the order of the calls. One task at a time may receive. If a call is
    cancelled, no message is lost and none is sent by half.

    ``async for message in ws`` receives until the WebSocket is closed.

    Args:
        handshake: What the client asks for.
        upgrade: Takes the connection over.
        settings: The limits and times.
        before_accept: Returns more header fields for the response to the handshake.
        json: Turns values into JSON and back; by default the module `json`.

    Attributes:
        subprotocol: The subprotocol that was chosen, if any.
    """

    __slots__ = (
        "__weakref__", "_accepting", "_before_accept", "_connection", "_handshake", "_has_closed",
        "_json", "_settings", "_upgrade", "subprotocol",
    )  # fmt: skip

    def __init__(
        self,
        handshake: Handshake,
        upgrade: Upgrade,
        settings: WebSocketSettings,
        before_accept: BeforeAccept,
        json: JSONCodec = json,
    ) -> None:
        self._handshake = handshake
        self._upgrade = upgrade
        self._settings = settings
        self._before_accept = before_accept
        self._json = json
        self._accepting: asyncio.Lock | None = None
        self._connection: Connection | None = None
        self._has_closed = False  # the program itself
        self.subprotocol: str | None = None

    def __repr__(self) -> str:
        return f"<WebSocket {self.state.name.lower()}>"

    @property
    def subprotocols(self) -> tuple[str, ...]:
        """The subprotocols that the client offers, the preferred one first."""
        return self._handshake.subprotocols

    @property
    def state(self) -> WebSocketState:
        """How far the WebSocket has come."""
        return WebSocketState.CONNECTING if self._connection is None else self._connection.state

    @property
    def is_accepted(self) -> bool:
        """Whether the handshake was answered, so that nothing of HTTP can be sent any more."""
        return self._connection is not None

    @property
    def close_code(self) -> int | None:
        """The code of the first close frame, 1006 if there was none; None while it is open."""
        return None if self._connection is None else self._connection.close_code

    @property
    def close_reason(self) -> str:
        """The reason of the first close frame."""
        return "" if self._connection is None else self._connection.close_reason

    async def accept(
        self, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Open the WebSocket. Receiving and sending do that too, without arguments.

        Args:
            subprotocol: One of `subprotocols`.
            headers: More header fields for the response to the handshake.

        Raises:
            WebSocketStateError: If it was accepted before.
            WebSocketValueError: If the client did not offer the subprotocol, or a header field
                cannot be sent.
        """
        if self._connection is not None or self._accepting is not None:
            raise WebSocketStateError(
                "The WebSocket is accepted already. Call accept() once, before the first receive()"
                " or send()."
            )
        await self._accept(subprotocol, headers)

    async def receive(self) -> str | bytes:
        """Return the next message: str for a text, bytes for binary data.

        Raises:
            WebSocketClosedError: If the WebSocket is closed and all messages were received.
            WebSocketStateError: If another task is receiving.
        """
        connection = self._connection or await self._accept()
        return await connection.inbox.get()

    async def receive_json(self) -> Any:
        """Return the value of the next message, which is JSON.

        Raises:
            ValueError: If it is not.
            WebSocketClosedError: As `receive` does.
        """
        return self._json.loads(await self.receive())

    async def send(self, message: str | bytes | bytearray | memoryview) -> None:
        """Send a message: str as a text, bytes as binary data.

        It waits as long as the client does not take what was sent before.

        Raises:
            WebSocketClosedError: If the WebSocket is closed.
            WebSocketTypeError: If the message is neither str nor bytes.
        """
        connection = self._connection or await self._accept()
        await connection.send(message)

    async def send_json(self, value: object) -> None:
        """Send a value as JSON, as `send` sends a text."""
        await self.send(self._json.dumps(value))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the WebSocket, and wait until the client has answered, or for the close timeout.

        Messages that were not received are dropped. If it is closed already, nothing happens.

        Args:
            code: 1000 to 1014 but for 1004 to 1006, or 3000 to 4999 (RFC 6455, section 7.4).
            reason: A text of 123 bytes at most.

        Raises:
            WebSocketValueError: If the code or the reason cannot be sent.
            WebSocketStateError: If it was not accepted.
        """
        check_close(code, reason)
        self._has_closed = True
        connection = self._connection
        if connection is None:
            raise WebSocketStateError(
                "close() needs an open WebSocket. To refuse one, answer with HTTP: abort(403)"
            )
        connection.close_soon(code, reason)
        connection.inbox.clear()
        await connection.wait_closed()

    async def finish(self, error: BaseException | None) -> None:
        """Close what the program has left open, once it has ended. It never raises an error.

        Args:
            error: What the program raised, if it did: then the code is 1011. If the task was
                cancelled it is 1001.
        """
        connection = self._connection
        if connection is None:
            return
        code = 1000 if error is None else 1011
        if isinstance(error, asyncio.CancelledError):
            code = 1001
        connection.close_soon(code, "")
        connection.inbox.clear()
        try:
            await connection.wait_closed()
        except asyncio.CancelledError:
            connection.abort()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        connection = self._connection or await self._accept()
        try:
            return await connection.inbox.get()
        except WebSocketClosedError as error:
            if error.code in _NORMAL or self._has_closed:
                raise StopAsyncIteration from None
            raise

    async def _accept(
        self, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()
    ) -> "Connection":
        if self._accepting is None:
            self._accepting = asyncio.Lock()
        async with self._accepting:  # tasks that receive and send may come here at the same time
            if self._connection is None:
                self._connection = await self._open(subprotocol, tuple(headers))
            return self._connection

    async def _open(
        self, subprotocol: str | None, headers: tuple[tuple[str, str], ...]
    ) -> "Connection":
        from dewar.websocket.connection import Connection
        from dewar.websocket.deflate import maybe_deflate

        deflate = None
        if self._settings.compression and self._handshake.extensions:
            offers = parse_offers(self._handshake.extensions)
            deflate = maybe_deflate(offers, self._settings.max_message_size)
        # The program's mistakes first: what comes before the acceptance cannot be taken back.
        head = acceptance(self._handshake, subprotocol, deflate.field if deflate else None, headers)
        head += header_lines(await self._before_accept())
        connection = Connection(self._settings, deflate)
        transport = self._upgrade(connection, connection.go_away)
        if isawaitable(transport):
            transport = await transport
        connection.open(transport, head + b"\r\n")
        self.subprotocol = subprotocol
        self._upgrade = self._before_accept = _is_done  # they hold the request
        return connection


def _is_done(*_: object) -> Any:
    raise WebSocketStateError("The WebSocket is accepted already.")
