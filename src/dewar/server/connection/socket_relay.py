"""Between a client and an application that has taken its connection as a blocking socket.

A duplicate of the client's socket would not do with TLS, or if the server has received bytes behind
the request: a selector would not see them. So the application's socket is one end of a socket pair,
and the event loop carries the bytes.
"""

import asyncio
import socket
from contextlib import suppress
from contextvars import Context
from typing import cast

from dewar.server.connection.readiness import READ_SIZE
from dewar.server.connection.transport import WriteBuffer


class SocketRelay(asyncio.Protocol):
    """Carries bytes both ways, and holds each side back while the other does not take them.

    Only the event loop's thread uses it.

    Args:
        loop: The running loop.
        sock: The server's end of the pair, non-blocking; it is closed with the connection.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self._loop = loop
        self._sock = sock
        self._waiting = WriteBuffer()  # for the application
        self._has_client_ended = False

    def __repr__(self) -> str:
        return f"<SocketRelay {self._sock.fileno()}, {self._waiting.size} bytes wait>"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to carry what the application sends."""
        self._transport = cast("asyncio.Transport", transport)
        self.resume_writing()

    # From the client.

    def data_received(self, data: bytes) -> None:
        """Pass data on to the application."""
        self._waiting.add(data)
        self._flush()

    def eof_received(self) -> bool:
        """Pass the end on; the application may still send."""
        self._has_client_ended = True
        self._flush()
        return True

    def _flush(self) -> None:
        try:
            self._waiting.flush_nowait(self._sock)
            if self._waiting.size:
                self._transport.pause_reading()
                Context().run(self._loop.add_writer, self._sock, self._flush)
                return
            if self._has_client_ended:
                self._sock.shutdown(socket.SHUT_WR)
        except OSError:  # the application has closed its end, maybe after it had sent something
            self._waiting.clear()
            self.drain()
            self._transport.close()
        self._loop.remove_writer(self._sock)
        self._transport.resume_reading()

    # From the application.

    def pause_writing(self) -> None:
        """Leave what the application sends in its socket."""
        self._loop.remove_reader(self._sock)

    def resume_writing(self) -> None:
        """Carry what the application sends again."""
        Context().run(self._loop.add_reader, self._sock, self._carry)

    def _carry(self) -> bool:
        """Pass on one piece of what the application has sent; return whether there was one."""
        try:
            data = self._sock.recv(READ_SIZE)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self._transport.write(data)
            return True
        self._loop.remove_reader(self._sock)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()
        return False

    # The end.

    def drain(self) -> None:
        """Pass on all that the application has sent; the pair holds a bounded number of bytes."""
        while not self._transport.is_closing() and self._carry():
            pass

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """End the application's socket: it reads what was received, then the end."""
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        with suppress(OSError):
            self._waiting.flush_nowait(self._sock)
        self._waiting.clear()
        self._sock.close()
