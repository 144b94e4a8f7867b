"""`ClientWebSocket`: the client's end of a WebSocket in a test."""

import time
from collections import deque
from socket import socket
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN, Protocol
from werkzeug.datastructures import Headers

from dewar.testing.errors import NoMessageError
from dewar.websocket.close_frame import check_close
from dewar.websocket.errors import WebSocketClosedError, WebSocketTypeError
from dewar.websocket.websocket import JSONCodec

_HEAD_END = b"\r\n\r\n"
_READ = 2**16
_LOST = 1006  # RFC 6455 §7.4.1: there was no close frame


class ClientWebSocket:
    """A WebSocket to the app, for one thread.

    ::

        with client.websocket("/echo") as ws:
            ws.send("hello")
            assert ws.receive() == "hello"

    Pings are answered while it receives.

    Args:
        sock: Connected to the app.
        json: Writes and reads JSON.
        timeout: How many seconds to wait for the app.

    Attributes:
        headers: The header fields of the app's 101.
        close_code: The code of the app's close frame (RFC 6455 §7.4), None as long as `receive`
            has not come to it; 1006 if there was none.
        close_reason: The reason in it.
    """

    def __init__(self, sock: socket, json: JSONCodec, timeout: float) -> None:
        self._socket = sock
        self._json = json
        self._timeout = timeout
        # What the app sends may have any length.
        self._protocol = Protocol(CLIENT, state=OPEN, max_size=None)
        self._messages: deque[str | bytes] = deque()
        self._fragments: list[bytes] = []
        self._is_text = False
        self.headers = Headers()
        self.close_code: int | None = None
        self.close_reason = ""

    def __repr__(self) -> str:
        state = "open" if self.close_code is None else f"closed with {self.close_code}"
        return f"<ClientWebSocket, {state}>"

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the app has chosen, or None."""
        return self.headers.get("Sec-WebSocket-Protocol")

    def wait_accepted(self) -> bool:
        """Read the app's 101; return whether there is one.

        Raises:
            NoMessageError: If the app does not answer in time.
        """
        deadline = time.monotonic() + self._timeout
        received = b""
        while _HEAD_END not in received:
            data = self._read(deadline, "did not answer the handshake")
            if not data:
                return False
            received += data
        head, _, rest = received.partition(_HEAD_END)
        fields = head.decode("latin-1").split("\r\n")[1:]
        self.headers.extend([field.split(": ", 1) for field in fields])  # type: ignore[misc]  # pairs
        if rest:
            self._take(rest)
        return True

    def send(self, message: str | bytes | bytearray | memoryview) -> None:
        """Send a text or binary message. When this returns, the app may not have received it.

        Raises:
            WebSocketClosedError: If the app has closed the WebSocket, and `receive` has said so.
            WebSocketTypeError: If the message is neither str nor bytes.
        """
        if self._protocol.state is not OPEN:
            raise self._closed_error()
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        elif isinstance(message, (bytes, bytearray, memoryview)):
            self._protocol.send_binary(bytes(message))  # a view may have items of several bytes
        else:
            raise WebSocketTypeError(message)
        self._flush()

    def send_json(self, value: Any) -> None:
        """Send a value as JSON, as the app's provider writes it.

        Raises:
            TypeError: If the value has no JSON.
            WebSocketClosedError: As `send` does.
        """
        self.send(self._json.dumps(value))

    def receive(self, timeout: float | None = None) -> str | bytes:
        """Return the next message of the app.

        Args:
            timeout: How many seconds to wait for it; by default as long as the client waits.

        Raises:
            WebSocketClosedError: If the app has closed the WebSocket.
            NoMessageError: (a `TimeoutError`) if there is none in time.
        """
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        while not self._messages:
            if self.close_code is not None:
                raise self._closed_error()
            self._take(self._read(deadline, "sent no message"))
        return self._messages.popleft()

    def receive_json(self, timeout: float | None = None) -> Any:
        """Return the value of the next message, which is JSON.

        Args:
            timeout: As `receive` takes it.

        Raises:
            ValueError: If it is not.
            WebSocketClosedError: As `receive` does.
            NoMessageError: As `receive` does.
        """
        return self._json.loads(self.receive(timeout))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the WebSocket, and pass over the messages that the app still sends.

        Args:
            code: The code of the close frame (RFC 6455 §7.4).
            reason: A text for the app, of 123 bytes at most.

        Raises:
            WebSocketValueError: If the code or the reason cannot be sent.
            NoMessageError: If the app does not close it in time.
        """
        check_close(code, reason)
        if self._protocol.state is OPEN:
            self._protocol.send_close(code, reason)
            self._flush()
        deadline = time.monotonic() + self._timeout
        while self.close_code is None:
            self._take(self._read(deadline, "did not close the WebSocket"))
        self._messages.clear()

    def _closed_error(self) -> WebSocketClosedError:
        code = _LOST if self.close_code is None else self.close_code
        return WebSocketClosedError(code, self.close_reason)

    def _read(self, deadline: float, what: str) -> bytes:
        self._socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            return self._socket.recv(_READ)
        except TimeoutError:
            raise NoMessageError(what, self._timeout) from None
        except OSError:
            return b""  # it was reset

    def _take(self, data: bytes) -> None:
        """Take what the app sent; no bytes stand for the end of the connection."""
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take_frame(event)
        self._flush()
        if not data:
            close = self._protocol.close_rcvd
            self.close_code = _LOST if close is None else close.code
            self.close_reason = "" if close is None else close.reason

    def _take_frame(self, frame: Frame) -> None:
        if frame.opcode in {Opcode.TEXT, Opcode.BINARY}:
            self._is_text = frame.opcode is Opcode.TEXT
        elif frame.opcode is not Opcode.CONT:
            return  # the library answers a ping and a close
        self._fragments.append(bytes(frame.data))
        if frame.fin:
            content = b"".join(self._fragments)
            self._fragments.clear()
            self._messages.append(content.decode() if self._is_text else content)

    def _flush(self) -> None:
        self._socket.settimeout(self._timeout)
        try:
            # An empty piece stands for the end, which is up to the app.
            self._socket.sendall(b"".join(self._protocol.data_to_send()))
        except OSError:
            return  # the app has gone; its close frame is still to be read
