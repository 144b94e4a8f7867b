"""`WebSocket`: what a program holds of a WebSocket."""

import asyncio
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, Self

from dewar.websocket.close_frame import check_close
from dewar.websocket.close_notice import CloseNotice
from dewar.websocket.errors import WebSocketClosedError, WebSocketStateError
from dewar.websocket.opening import BeforeAccept, Opening, Upgrade
from dewar.websocket.opening_handshake import OpeningHandshake
from dewar.websocket.settings import WebSocketSettings
from dewar.websocket.state import WebSocketState

if TYPE_CHECKING:
    from dewar.websocket.connection import WebSocketConnection


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
        task: The program's task. It is cancelled if the program makes no call that tells it that
            the WebSocket is closed, within the close timeout.

    Attributes:
        subprotocols: The subprotocols that the client offers, the preferred one first.
        subprotocol: The subprotocol that was chosen, if any.
    """

    __slots__ = (
        "__weakref__", "_connection", "_has_closed", "_json", "_notice", "_opening", "subprotocol",
        "subprotocols",
    )  # fmt: skip

    def __init__(
        self,
        handshake: OpeningHandshake,
        upgrade: Upgrade,
        settings: WebSocketSettings,
        before_accept: BeforeAccept,
        json: JSONCodec = json,
        task: "asyncio.Task[Any] | None" = None,
    ) -> None:
        notice = self._notice = CloseNotice(task)
        self._opening: Opening | None = Opening(handshake, upgrade, settings, before_accept, notice)
        self._json = json
        self._connection: WebSocketConnection | None = None
        self._has_closed = False  # the program itself
        self.subprotocols = handshake.subprotocols
        self.subprotocol: str | None = None

    def __repr__(self) -> str:
        return f"<WebSocket {self.state.name.lower()}>"

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
        if self._opening is None or self._opening.has_begun:
            raise WebSocketStateError(
                "The WebSocket is accepted already. Call accept() once, before the first receive()"
                " or send()."
            )
        await self._accept(subprotocol, headers)
        self.subprotocol = subprotocol

    async def receive(self) -> str | bytes:
        """Return the next message: str for a text, bytes for binary data.

        Raises:
            WebSocketClosedError: If the WebSocket is closed and all messages were received.
            WebSocketStateError: If another task is receiving.
            WebSocketLoopError: On another event loop than the one it was accepted on.
        """
        queue = (self._connection or await self._accept()).queue
        try:
            while queue.is_empty:
                await queue.wait()
        except WebSocketClosedError:
            self._notice.tell()
            raise
        return queue.take()

    async def receive_json(self) -> Any:
        """Return the value of the next message, which is JSON.

        Raises:
            ValueError: If it is not.
            WebSocketError: What `receive` raises.
        """
        return self._json.loads(await self.receive())

    async def send(self, message: str | bytes | bytearray | memoryview) -> None:
        """Send a message: str as a text, bytes as binary data.

        It waits as long as the client does not take what was sent before.

        Raises:
            WebSocketClosedError: If the WebSocket is closed.
            WebSocketLoopError: On another event loop than the one it was accepted on.
            WebSocketTypeError: If the message is neither str nor bytes.
        """
        connection = self._connection or await self._accept()
        try:
            await connection.send(message)
        except WebSocketClosedError:
            self._notice.tell()
            raise

    async def send_json(self, value: object) -> None:
        """Send a value as JSON, as `send` sends a text.

        Raises:
            TypeError: If the value has no JSON.
            WebSocketError: What `send` raises.
        """
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
        self._notice.tell()
        connection.close_soon(code, reason)
        connection.queue.clear()
        await connection.wait_closed()

    def note_end(self) -> bool:
        """Note that the program has ended; return whether it was cancelled for the closing alone.

        Call it in the program's task.
        """
        self._notice.tell()
        return self._notice.take_cancellation()

    def closed_error(self) -> WebSocketClosedError:
        """Return the error of a call after the closing."""
        return WebSocketClosedError(self.close_code or 1006, self.close_reason)

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
        connection.queue.clear()
        try:
            await connection.wait_closed()
        except asyncio.CancelledError:
            connection.abort()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        queue = (self._connection or await self._accept()).queue
        try:
            # PERF: `receive` without the call: of thousands of sockets, each would have its frame.
            while queue.is_empty:
                await queue.wait()
            return queue.take()
        except WebSocketClosedError as error:
            self._notice.tell()
            if error.is_normal or self._has_closed:
                raise StopAsyncIteration from None
            raise

    async def _accept(
        self, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()
    ) -> "WebSocketConnection":
        opening = self._opening
        if opening is not None:
            self._connection = await opening.open(subprotocol, headers)
            self._opening = None  # it holds the request
        return self._connection  # type: ignore[return-value]  # it is set with the above
