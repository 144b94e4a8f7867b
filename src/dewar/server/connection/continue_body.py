"""The body of a request whose client waits for ``100 Continue`` (RFC 9110 §10.1.1)."""

import selectors
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

from dewar.server.connection.readiness import READ_SIZE, wait_ready
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.transport import TransferRate, Transport
from dewar.server.errors import BodyError, ClientGoneError
from dewar.server.wire.errors import BODY_TIMEOUT
from dewar.server.wire.reader import RequestReader
from dewar.server.wire.writer import CONTINUE


class ContinueBody:
    """A ``wsgi.input`` that sends ``100 Continue`` at the first read.

    If the application answers without reading it, the client need not send the body. Only the
    thread that runs the request uses it. Until it is closed it is one of
    ``server_context.continue_bodies``.

    Args:
        server_context: The deadlines, and the set of continue bodies.
        reader: The reader of the connection, which assembles the body.
        transport: The connection; its socket does not block.
    """

    def __init__(
        self, server_context: ServerContext, reader: RequestReader[Any], transport: Transport
    ) -> None:
        self._server_context = server_context
        self._reader = reader
        self._transport = transport
        self._sends_continue = True
        self._is_closed = False
        self._fetched: IO[bytes] | None = None
        self._error: OSError | None = None
        server_context.continue_bodies.add(self)

    def __repr__(self) -> str:
        return f"<ContinueBody, {'received' if self.is_received() else 'not received'}>"

    def is_received(self) -> bool:
        """Return whether the whole body was received."""
        return self._fetched is not None

    def prefetch(self) -> None:
        """Receive the body now, so that reading it does not wait. Reading raises the errors."""
        with suppress(OSError, ValueError):
            self._file()

    def suppress_continue(self) -> None:
        """Never send ``100 Continue`` from now on: the response has begun."""
        self._sends_continue = False

    def read(self, size: int | None = -1, /) -> bytes:
        """Return at most *size* bytes, or all."""
        return self._file().read(-1 if size is None else size)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return a line, or at most *size* bytes of it."""
        return self._file().readline(-1 if size is None else size)

    def readlines(self, hint: int = -1, /) -> list[bytes]:
        """Return lines until they have *hint* bytes, or all."""
        return self._file().readlines(hint)

    def readinto(self, buffer: Any, /) -> int:
        """Fill *buffer*; return the number of bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        """Return True."""
        return True

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._file())

    def close(self) -> None:
        """Release the body; it cannot be read any more."""
        if not self._is_closed:
            self._is_closed = True
            self._server_context.continue_bodies.discard(self)
        if self._fetched is not None:
            self._fetched.close()

    def _file(self) -> IO[bytes]:
        if self._fetched is None:
            if self._error is not None:
                raise self._error
            if self._is_closed:
                raise ValueError("The request has ended; its body cannot be read any more.")
            try:
                self._fetched = self._fetch()
            except OSError as error:
                self._error = error
                raise
        return self._fetched

    def _fetch(self) -> IO[bytes]:
        """Wait for the whole body.

        Raises:
            BodyError: It is refused, or is not received in time.
            ClientGoneError: The client has disconnected.
        """
        if self._sends_continue:
            self._transport.send(CONTINUE)
        reader = self._reader
        settings = self._server_context.settings
        clock = self._server_context.clock
        transfer_rate = TransferRate(clock())
        while (body := reader.continue_body) is None:
            if reader.refusal is not None:
                raise BodyError(reader.refusal)
            transfer_rate.advance(self._take_in(), clock())
            if transfer_rate.is_overdue(clock(), settings.body_timeout, settings.min_rate):
                raise BodyError(BODY_TIMEOUT)
        reader.continue_body = None
        return body

    def _take_in(self) -> int:
        """Feed the reader with received bytes, or wait a little; return the number of bytes."""
        sock = self._transport.sock
        try:
            data = sock.recv(READ_SIZE)
        except BlockingIOError:
            wait_ready(sock, selectors.EVENT_READ)
            return 0
        except OSError:
            data = b""
        if not data:
            raise ClientGoneError("The client disconnected before it had sent the body.")
        self._reader.feed(data)
        return len(data)
