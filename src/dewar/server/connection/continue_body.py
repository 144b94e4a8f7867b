"""The body of a request that runs before its body is received."""

import selectors
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

from dewar.server.connection.readiness import READ_SIZE, wait_ready
from dewar.server.connection.refusal_warning import warn_of_refusal
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.transport import TransferRate, Transport
from dewar.server.errors import BodyError, ClientGoneError, Refusal
from dewar.server.wire.errors import BODY_TIMEOUT, UNAVAILABLE
from dewar.server.wire.reader import RequestReader
from dewar.server.wire.request import maybe_request
from dewar.server.wire.writer import CONTINUE

# Seconds for which the event loop waits for a body that the application said it does not take.
_LOOP_PATIENCE = 1.0


class ContinueBody:
    """A ``wsgi.input`` that receives the body when it is read.

    A client that waits for ``100 Continue`` (RFC 9110 §10.1.1) gets it at the first read. If the
    application answers without reading, the rest of the body need not be sent. Only the thread that
    runs the request uses it. While it may hold a thread, until it is closed, it is one of
    ``server_context.continue_bodies``.

    Args:
        server_context: The deadlines, and the set of continue bodies.
        reader: The reader of the connection, which assembles the body.
        transport: The connection; its socket does not block.
        is_needed: Whether the application may need it. If it said that it does not, the body counts
            among the continue bodies only when it is read after all.
    """

    def __init__(
        self,
        server_context: ServerContext,
        reader: RequestReader[Any],
        transport: Transport,
        is_needed: bool = True,
    ) -> None:
        self._server_context = server_context
        self._reader = reader
        self._transport = transport
        self._is_needed = is_needed
        self._sends_continue = reader.wants_continue
        self._is_closed = False
        # Measured over all reads, but without the time that the application takes between them.
        self._waited = 0.0
        self._transfer_rate = TransferRate(self._waited)
        self._patience: float | None = None
        self._position = 0  # of the next byte to read, until all is received
        self._fetched: IO[bytes] | None = None
        self._error: OSError | None = None
        if is_needed:
            server_context.continue_bodies.add(self)

    def __repr__(self) -> str:
        return f"<ContinueBody, {'received' if self.is_received() else 'not received'}>"

    def is_received(self) -> bool:
        """Return whether the whole body was received."""
        return self._fetched is not None

    def prefetch(self) -> None:
        """Receive a body that may be needed, so that reading it does not wait.

        Reading raises the errors. The event loop may read from now on, so a body that is not needed
        has to arrive quickly if it is read after all.
        """
        if not self._is_needed:
            self._patience = _LOOP_PATIENCE
            return
        with suppress(OSError, ValueError):
            self._file()

    def suppress_continue(self) -> None:
        """Never send ``100 Continue`` from now on: the response has begun."""
        self._sends_continue = False

    def read(self, size: int | None = -1, /) -> bytes:
        """Return at most *size* bytes, or all.

        Waits only for as many. So a limit that the application puts on the body stops the client,
        although nobody knows the length of a chunked body.
        """
        if size is None or size < 0:
            return self._file().read()
        self._receive(self._position + size)
        if self._fetched is not None:
            return self._fetched.read(size)
        data = (
            b""
            if self._reader.body is None
            else self._reader.body.buffer.peek(self._position, size)
        )
        self._position += len(data)
        return data

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
        while self._fetched is None:
            self._receive(None)
        return self._fetched

    def _receive(self, count: int | None) -> None:
        """Wait until *count* bytes of the body are received, or all of it.

        Raises:
            BodyError: It is refused, or is not received in time.
            ClientGoneError: The client has disconnected.
            ValueError: The request has ended.
        """
        if self._fetched is not None:
            return
        if self._error is not None:
            raise self._error
        if self._is_closed:
            raise ValueError("The request has ended; its body cannot be read any more.")
        try:
            if not self._has_received(count):
                self._wait(count)
        except OSError as error:
            self._error = error
            raise
        reader = self._reader
        self._fetched, reader.continue_body = reader.continue_body, None
        if self._fetched is not None:
            self._fetched.seek(self._position)

    def _has_received(self, count: int | None) -> bool:
        body = self._reader.body
        if self._reader.continue_body is not None:
            return True
        return count is not None and body is not None and body.buffer.size >= count

    def _wait(self, count: int | None) -> None:
        """Receive what is missing, on this thread."""
        self._hold_thread()
        if self._sends_continue:
            self._sends_continue = False
            self._transport.send(CONTINUE)
        clock = self._server_context.clock
        began = clock() - self._waited
        while not self._has_received(count):
            if self._reader.refusal is not None:
                raise self._refused(self._reader.refusal)
            received = self._take_in()
            self._waited = clock() - began
            self._transfer_rate.advance(received, self._waited)
            self._check_time()

    def _check_time(self) -> None:
        settings, waited = self._server_context.settings, self._waited
        if self._transfer_rate.is_overdue(waited, settings.body_timeout, settings.min_rate):
            raise self._refused(BODY_TIMEOUT)
        if self._patience is not None and waited > self._patience:
            raise self._unexpected("the event loop does not wait")

    def _hold_thread(self) -> None:
        """Count this body among those that may hold a thread.

        Two threads may take the last place at once: that there are few is what matters.
        """
        bodies = self._server_context.continue_bodies
        if self in bodies:
            return
        if len(bodies) >= self._server_context.max_continue_bodies:
            raise self._unexpected("enough threads wait for others")
        bodies.add(self)

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

    def _unexpected(self, reason: str) -> BodyError:
        """Return the error for a body that is read although the application does not take it."""
        return self._refused(
            Refusal(
                UNAVAILABLE,
                "The body was not received. Try again later.",
                "A view reads a body above the limit that the app names before a body is received,"
                f" and {reason}. Set MAX_CONTENT_LENGTH to the most that any view takes, and lower"
                " it per request.",
            )
        )

    def _refused(self, refusal: Refusal) -> BodyError:
        # Logged here: the application may catch the error.
        environ = self._reader.environ
        bounded_log = self._server_context.bounded_log
        warn_of_refusal(bounded_log, refusal, environ, maybe_request(environ))
        return BodyError(refusal)
