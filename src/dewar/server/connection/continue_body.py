"""The body of a request whose client waits for ``100 Continue`` (RFC 9110 §10.1.1)."""

import selectors
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any, Protocol

from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.transfer_rate import TransferRate
from dewar.server.connection.write_buffer import CLOCK_INTERVAL, wait_ready
from dewar.server.errors import BodyError, ClientGoneError
from dewar.server.wire.errors import BODY_TIMEOUT
from dewar.server.wire.reader import RequestReader
from dewar.server.wire.writer import CONTINUE

_READ = 65536


class BodySource(Protocol):
    """What a continue body needs of its connection."""

    @property
    def sock(self) -> socket.socket:
        """What to read from; it does not block."""

    def send(self, data: bytes) -> None:
        """Send *data*."""


class ContinueBody:
    """A ``wsgi.input`` whose bytes are asked for with the first read.

    An application that answers without reading it spares the client the sending. Only the thread
    that runs the request uses it; while it waits for the body it counts among
    ``server_context.continue_bodies``.

    Args:
        server_context: Whose deadlines hold.
        reader: Where the body is put together.
        source: The connection.
    """

    def __init__(
        self, server_context: ServerContext, reader: RequestReader[Any], source: BodySource
    ) -> None:
        self._server_context = server_context
        self._reader = reader
        self._source = source
        self._sends_continue = True
        self._is_closed = False
        self._fetched: IO[bytes] | None = None
        self._error: OSError | None = None
        server_context.continue_bodies.add(self)

    def __repr__(self) -> str:
        return f"<ContinueBody, {'here' if self.is_here() else 'not asked for'}>"

    def is_here(self) -> bool:
        """Return whether the body has come as a whole."""
        return self._fetched is not None

    def prefetch(self) -> None:
        """Have the body come now, so that reading it does not wait; what fails fails there."""
        with suppress(OSError, ValueError):
            self._file()

    def suppress_continue(self) -> None:
        """Send no ``100 Continue`` from here on: the response has begun."""
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
        """Tell that reading is allowed."""
        return True

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._file())

    def close(self) -> None:
        """Give back what was read; from here on nothing is asked for."""
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
                raise ValueError("The body of a request that has ended cannot be read any more.")
            try:
                self._fetched = self._fetch()
            except OSError as error:
                self._error = error
                raise
        return self._fetched

    def _fetch(self) -> IO[bytes]:
        """Wait for the whole body.

        Raises:
            BodyError: It is refused, or does not come in time.
            ClientGoneError: The client has gone.
        """
        if self._sends_continue:
            self._source.send(CONTINUE)
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
        """Feed the reader with what has come, or wait a little; return the number of bytes."""
        sock = self._source.sock
        try:
            data = sock.recv(_READ)
        except BlockingIOError:
            wait_ready(sock, selectors.EVENT_READ, CLOCK_INTERVAL)
            return 0
        except OSError:
            data = b""
        if not data:
            raise ClientGoneError("The client has gone before it had sent the body.")
        self._reader.feed(data)
        return len(data)
