"""`FrameProtocol`: the frames of one WebSocket, as bytes in and out, without I/O.

The library `websockets` keeps the state of the protocol and makes the frames. What it leaves to its
users is here and in the parts that this uses.
"""

import logging
from typing import Any, NamedTuple

from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.protocol import Protocol, Side

from dewar.websocket.assembly import Assembly
from dewar.websocket.deflate import Deflate
from dewar.websocket.frame_headers import FrameError, FrameHeaders

CLOSE, PING = Opcode.CLOSE, Opcode.PING

_logger = logging.getLogger("dewar.websocket")

_NO_EXTENSIONS: Any = ()


class Ping(NamedTuple):
    """A ping has come; `answer` is the pong."""

    answer: bytes


class End(NamedTuple):
    """No frame that comes after this counts.

    Attributes:
        code: The code of the first close frame, sent or received; 1005 if it has none.
        reason: Its reason.
        answer: What is left to send: a close frame, unless one was sent before.
        is_fault: Whether the client has broken the protocol, and not sent a close frame.
    """

    code: int
    reason: str
    answer: bytes
    is_fault: bool


#: What a frame may lead to: a message, or one of the above.
Event = str | bytes | Ping | End


class FrameProtocol:
    """Reads the frames of a client, and makes the server's.

    Args:
        max_size: The longest message that is received, in bytes.
        deflate: The compression that was agreed on, if any.
    """

    __slots__ = ("_assembly", "_headers", "_protocol")

    def __init__(self, max_size: int, deflate: Deflate | None = None) -> None:
        # Without a limit: `FrameHeaders` and `Deflate` see to that.
        self._protocol = Protocol(Side.SERVER, max_size=None, logger=_logger)
        # Of thousands of sockets each would keep an empty list, and a number for logs.
        self._protocol.extensions = _NO_EXTENSIONS if deflate is None else [deflate]
        self._protocol.id = None  # type: ignore[assignment]  # only its own connections log it
        self._headers = FrameHeaders(max_size, deflate is not None)
        self._assembly = Assembly()

    def __repr__(self) -> str:
        return f"<FrameProtocol {self._protocol.state.name.lower()}>"

    def read(self, data: bytes, start: int) -> tuple[int, Event | None]:
        """Read one frame, or the part of one that is there; not to be called after an `End`.

        Args:
            data: What was read.
            start: Where to begin: 0, or where the last call ended in the same data.

        Returns:
            Where the frame ends, and what it leads to, if anything.
        """
        protocol = self._protocol
        event = None
        try:
            end = self._headers.find_end(data, start)
            protocol.receive_data(data[start:end])
            received: list[Any] = protocol.events_received()
            if received:  # a frame, as it was not more than one
                event = self._maybe_event(received[0])
        except FrameError as error:
            return len(data), self.fail(error.code, error.reason)
        except UnicodeDecodeError:
            return len(data), self.fail(CloseCode.INVALID_DATA, "a text is not UTF-8")
        if protocol.parser_exc is None:
            return end, event
        return len(data), self._fault() if protocol.close_rcvd is None else self._early_end()

    def text(self, data: bytes) -> bytes:
        """Return the frame for a text in UTF-8."""
        self._protocol.send_text(data)
        return self._output()

    def binary(self, data: bytes) -> bytes:
        """Return the frame for binary data."""
        self._protocol.send_binary(data)
        return self._output()

    def ping(self) -> bytes:
        """Return the frame for a ping."""
        self._protocol.send_ping(b"")
        return self._output()

    def close(self, code: int, reason: str) -> bytes:
        """Return the frame that begins to close the WebSocket."""
        self._protocol.send_close(code, reason)
        return self._output()

    def fail(self, code: int, reason: str) -> End:
        """Return the end for a fault of the client (RFC 6455, section 7.1.7)."""
        self._protocol.fail(code, reason)
        return self._fault()

    def release(self) -> None:
        """Let go of the library's object, which otherwise only the garbage collector could free."""
        self._protocol.parser.close()  # a generator of the object, as is the traceback of the error
        self._protocol.parser_exc = None

    def _maybe_event(self, frame: Frame) -> Event | None:
        opcode = frame.opcode
        if opcode < CLOSE:
            event = self._assembly.maybe_message(frame)
            frame.data = b""  # the library keeps the frame until the next one comes
            return event
        if opcode is PING:
            return Ping(self._output())
        if opcode is CLOSE:
            return self._end(self._protocol.close_rcvd, self._output(), is_fault=False)
        return None

    def _fault(self) -> End:
        return self._end(self._protocol.close_sent, self._output(), is_fault=True)

    def _early_end(self) -> End:
        """Return the end for a close frame within a message in fragments.

        The library takes it for a fault, but control frames may come there (RFC 6455, section 5.4).
        """
        close = self._protocol.close_rcvd
        answer = b""
        if close is not None and self._protocol.close_rcvd_then_sent:
            content = b"" if close.code == CloseCode.NO_STATUS_RCVD else close.serialize()
            answer = Frame(CLOSE, content).serialize(mask=False)
        return self._end(close, answer, is_fault=False)

    def _end(self, close: Close | None, answer: bytes, is_fault: bool) -> End:
        code, reason = (int(close.code), close.reason) if close else (1006, "")
        return End(code, reason, answer, is_fault)

    def _output(self) -> bytes:
        # The library adds an empty one where the connection should be closed; callers know.
        output = self._protocol.data_to_send()
        return output[0] if len(output) == 1 else b"".join(output)
