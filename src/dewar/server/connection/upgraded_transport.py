"""The connection as an `asyncio.Transport`, after its request has left HTTP (RFC 9110 §7.8).

Only the event loop's thread uses it. The event loop watches the socket, and not the poller of the
server's threads, until `release` gives it back.
"""

import asyncio
import logging
import socket
from collections.abc import Iterable
from contextlib import suppress
from contextvars import Context
from enum import Enum
from typing import Any, cast

from dewar.server.connection.readiness import READ_SIZE
from dewar.server.connection.tls_channel import TlsChannel
from dewar.server.connection.transport import Transport
from dewar.server.errors import ClientGoneError

_logger = logging.getLogger("dewar.server")

# Bytes that may wait for the client before the protocol is paused, as in asyncio.
_HIGH_WATER = 65536


class TransportPhase(Enum):
    """What is left of the transport."""

    OPEN = "sends and receives"
    ENDING = "sends no more than what waits, and still receives"
    CLOSING = "closed as soon as all is sent"
    CLOSED = "the protocol has lost the connection, or soon does"


class Reading(Enum):
    """Whether the protocol gets what the client sends."""

    ON = "at once"
    PAUSED = "once the protocol resumes"
    ENDED = "the client has ended its side, or the transport is closed"


_OPEN, _ENDING = TransportPhase.OPEN, TransportPhase.ENDING
_CLOSING, _CLOSED = TransportPhase.CLOSING, TransportPhase.CLOSED
_ON, _PAUSED, _ENDED = Reading.ON, Reading.PAUSED, Reading.ENDED


class UpgradedTransport(asyncio.Transport):
    """Sends and receives the bytes of another protocol.

    Args:
        loop: The running loop.
        connection: The connection; nothing else sends, receives or watches.
        protocol: Gets what asyncio's transports give.
        rest: What was received behind the request.
    """

    # Without asyncio's dict for the values of `get_extra_info`: there may be thousands of these.
    __slots__ = (
        "_awaits_room", "_connection", "_high", "_is_full", "_loop", "_low", "_phase", "_protocol",
        "_reading", "_rest",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: Transport,
        protocol: asyncio.Protocol,
        rest: bytes,
    ) -> None:
        self._loop = loop
        self._connection = connection
        self._protocol = protocol
        self._rest = rest
        self._phase, self._reading = _OPEN, _ON
        self._awaits_room = self._is_full = False
        self._high, self._low = _HIGH_WATER, _HIGH_WATER // 4
        protocol.connection_made(self)
        loop.call_soon(self._read_on, context=Context())

    def __repr__(self) -> str:
        return f"<UpgradedTransport {self._phase.name} of {self._connection!r}>"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return ``peername``, ``sockname``, ``socket`` or, with TLS, ``ssl_object``."""
        sock: Any = self._connection.sock
        if type(sock) is TlsChannel:
            if name == "ssl_object":
                return sock.tls
            sock = sock.sock
        if name == "socket":
            return sock
        if name not in ("peername", "sockname"):
            return default
        try:
            return sock.getpeername() if name == "peername" else sock.getsockname()
        except OSError:
            return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Replace the protocol."""
        self._protocol = protocol  # type: ignore[assignment]  # as with asyncio's, it has to fit

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol."""
        return self._protocol

    # Receiving.

    def is_reading(self) -> bool:
        """Return whether the protocol gets data."""
        return self._reading is _ON

    def pause_reading(self) -> None:
        """Give the protocol no data until `resume_reading`."""
        if self._reading is _ON:
            self._reading = _PAUSED
            self._loop.remove_reader(self._connection.fd)

    def resume_reading(self) -> None:
        """Give the protocol data again."""
        if self._reading is _PAUSED:
            self._reading = _ON
            self._loop.call_soon(self._read_on, context=Context())

    def _read_on(self) -> None:
        if self._rest and self._reading is _ON:
            data, self._rest = self._rest, b""
            self._give(data)
        if self._reading is _ON:
            # In an empty context: a copy of the caller's would outlive the request.
            Context().run(self._loop.add_reader, self._connection.fd, self._on_readable)

    def _on_readable(self) -> None:
        try:
            data = self._connection.sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        try:
            if data:
                self._protocol.data_received(data)  # PERF: `_give` without the call
                return
            self._end_reading()
            if not self._protocol.eof_received():
                self.close()
        except Exception as error:  # noqa: BLE001  # logged there
            self._fail(error)

    def _give(self, data: bytes) -> None:
        try:
            self._protocol.data_received(data)
        except Exception as error:  # noqa: BLE001  # logged there
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        _logger.critical("%r failed with received data", self._protocol, exc_info=error)
        self._lose(error)

    def _end_reading(self) -> None:
        if self._reading is _ON:
            self._loop.remove_reader(self._connection.fd)
        self._reading, self._rest = _ENDED, b""

    # Sending.

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for the client."""
        return self._connection.unsent

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the marks at which the protocol is resumed and paused, in bytes."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks, in bytes; see `asyncio.WriteTransport.set_write_buffer_limits`.

        Raises:
            ValueError: They are not ``high >= low >= 0``.
        """
        if high is None:
            high = _HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high={high} and low={low} must be high >= low >= 0.")
        self._high, self._low = high, low

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*, and keep what the client does not take at once."""
        if self._phase is not _OPEN or not data:
            return
        if type(data) is not bytes:
            data = bytes(data)
        sent = 0
        if not self._awaits_room:
            # PERF: `Transport.send` without the call.
            try:
                sent = self._connection.sock.send(data)
            except BlockingIOError:
                pass
            except OSError as error:
                self._lose(error)
                return
            if sent == len(data):
                return
        self._connection.keep(data, sent)
        self._await_room()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send several pieces at once."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return whether the sending side can end alone: TLS is closed as a whole."""
        return self._connection.is_plain

    def write_eof(self) -> None:
        """End the sending side once all is sent."""
        if self._phase is _OPEN:
            self._phase = _ENDING
            self._end_if_sent()

    def _await_room(self) -> None:
        if not self._awaits_room:
            self._awaits_room = True
            Context().run(self._loop.add_writer, self._connection.fd, self._on_writable)
        if not self._is_full and self._connection.unsent > self._high:
            self._is_full = True
            self._protocol.pause_writing()

    def _on_writable(self) -> None:
        connection = self._connection
        try:
            connection.flush_nowait()
        except ClientGoneError as error:
            self._lose(error.__cause__)
            return
        if self._is_full and connection.unsent <= self._low:
            self._is_full = False
            self._protocol.resume_writing()
        if not connection.unsent:
            self._stop_writing()
            self._end_if_sent()

    def _stop_writing(self) -> None:
        if self._awaits_room:
            self._awaits_room = False
            self._loop.remove_writer(self._connection.fd)

    # The end.

    def is_closing(self) -> bool:
        """Return whether it is closed, or will be once all is sent."""
        return self._phase is _CLOSING or self._phase is _CLOSED

    def close(self) -> None:
        """Send what waits, then end the connection."""
        if not self.is_closing():
            self._end_reading()
            self._phase = _CLOSING
            self._end_if_sent()

    def abort(self) -> None:
        """End the connection; what waits is dropped."""
        self._lose(None)

    def release(self) -> None:
        """Give the socket back to the server, which sends what waits and closes it."""
        if self._phase is _CLOSED:
            return
        self._finish(None)

    def _end_if_sent(self) -> None:
        if self._connection.unsent:
            return
        if self._phase is _CLOSING:
            self._shut_down(socket.SHUT_WR)
            self._finish(None)
        elif self._phase is _ENDING:
            self._shut_down(socket.SHUT_WR)

    def _lose(self, error: BaseException | None) -> None:
        if self._phase is not _CLOSED:
            self._connection.abort()
            self._shut_down(socket.SHUT_RDWR)
            self._finish(error)

    def _finish(self, error: BaseException | None) -> None:
        self._end_reading()
        self._stop_writing()
        self._phase = _CLOSED
        self._loop.call_soon(self._tell_lost, error, context=Context())

    def _tell_lost(self, error: Any) -> None:
        # As asyncio does: most protocols refer to their transport.
        protocol, self._protocol = self._protocol, cast("asyncio.Protocol", None)
        protocol.connection_lost(error)

    def _shut_down(self, how: int) -> None:
        with suppress(OSError):  # the client has disconnected
            self._connection.sock.shutdown(how)
