"""The response to one request: its head, framed body, and the errors of both (PEP 3333)."""

import logging
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from types import TracebackType

from dewar.server.connection.continue_body import ContinueBody
from dewar.server.connection.file_wrapper import FileWrapper
from dewar.server.connection.piecewise_body import PART, PiecewiseBody
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.thread_bound import is_thread_bound
from dewar.server.connection.transport import FilePiece, Transport
from dewar.server.errors import ApplicationError, ClientGoneError, Refusal
from dewar.server.wire.request import WireRequest
from dewar.server.wire.writer import LAST_CHUNK, Framing, Head, Headers, chunk, refusal_headers

_logger = logging.getLogger("dewar.server")

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None


class ResponsePhase(Enum):
    """The progress of a response."""

    FRESH = "start_response was not called"
    STARTED = "the head can still be replaced"
    SENT = "the head was sent"
    DONE = "nothing more is sent"


# PERF: a member of an enum is slower to reach than a name of this module.
_FRESH, _STARTED = ResponsePhase.FRESH, ResponsePhase.STARTED
_SENT, _DONE = ResponsePhase.SENT, ResponsePhase.DONE
_NONE = Framing.NONE


class ResponseWriter(WireRequest):
    """A request to which a response can be written.

    PERF: a subclass, so that one object is both. Making a second object would cost as much as
    reading a repeated head.

    Attributes:
        persists: Whether the connection can take another request afterwards.
        awaited: What the application returned, if the rest of it has to wait: for the event loop,
            or as a `PiecewiseBody` for the client.
    """

    __slots__ = (
        "_framing", "_headers", "_left", "_phase", "_sent", "_server_context",
        "_status", "_transport", "awaited", "persists",
    )  # fmt: skip

    _server_context: ServerContext
    _transport: Transport
    _phase: ResponsePhase
    _framing: Framing
    _sent: int
    awaited: Iterable[bytes] | None
    persists: bool

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo = None, /
    ) -> Callable[[bytes], None]:
        """Take the status line and the fields; see PEP 3333.

        Raises:
            ApplicationError: It was called before, without ``exc_info``.
            BaseException: The exception of *exc_info*, if the head was sent already.
        """
        if self._phase is not _FRESH:
            self._restart(exc_info)
        self._status = status
        self._headers = headers if type(headers) is list else list(headers)
        self._phase = _STARTED
        return self.write

    def write(self, data: bytes, /) -> None:
        """Send *data* at once, but block first while the client has not taken what was written.

        Raises:
            ApplicationError: The request has ended, or *data* is not bytes.
            ClientGoneError: The client has disconnected.
        """
        if self._phase is _DONE:
            raise ApplicationError("write() was called after the request had ended.")
        self._transport.send_waiting(self.framed(data))

    def deliver(self, result: Iterable[bytes]) -> None:
        """Send what the application returned, and call its ``close``. It may block.

        If the client takes it slowly and another thread may send the rest, it becomes `awaited`.
        """
        if type(result) is FileWrapper and self._phase is _STARTED:
            self._send_file(result)
        else:
            self._send_iterated(result)

    def deliver_whole(self, pieces: list[bytes] | tuple[bytes, ...]) -> None:
        """Send a complete body. It does not block."""
        if self._phase is _STARTED:
            self._send_whole(b"".join(pieces))
        else:
            self._send_iterated(pieces)

    def framed(self, data: bytes) -> bytes:
        """Return *data* as it is sent, behind the head if that was not sent yet.

        Raises:
            ApplicationError: *data* is not bytes, or there is no head.
        """
        if type(data) is not bytes:
            _check_type(data)
        head = b""
        if self._phase is _FRESH:
            raise ApplicationError("The body began before start_response() was called.")
        if self._phase is _STARTED:
            head, self._framing, self._left, self.persists = self._compose(None)
            if self.method == "HEAD":
                self._framing = Framing.NONE
            self._phase = _SENT
        return head + self._frame(data)

    def finish(self) -> None:
        """End the body, and send the head if that was not sent yet. It does not block.

        Raises:
            ApplicationError: There is no head.
        """
        if self._phase is _FRESH:
            raise ApplicationError("The application returned without calling start_response().")
        if self._phase is _STARTED:
            self._begin(None if self.method == "HEAD" else 0)
        if self._framing is Framing.CHUNKED:
            self._transport.send(LAST_CHUNK)
        elif self._framing is Framing.LENGTH and self._left:
            self._fit(b"", self._left)
        self._phase = _DONE  # a close() that fails now is logged, and the connection persists

    def _answer(self, refusal: Refusal) -> None:
        """Send *refusal* as the response; the application gave none."""
        self._status = refusal.status
        self._headers = refusal_headers(refusal)
        body = f"{refusal.reason}\n".encode()
        head, _, _, self.persists = self._compose(len(body))
        if self.method == "HEAD":
            body = b""
        try:
            self._transport.send_pair(head, body)
        except ClientGoneError:
            self.persists = False
        self._sent = len(body)

    def _restart(self, exc_info: ExcInfo) -> None:
        if self._phase is _DONE:
            raise ApplicationError("start_response() was called after the request had ended.")
        if exc_info is None:
            raise ApplicationError(
                "start_response() was called twice. Pass exc_info=sys.exc_info() to replace the"
                " head after an error."
            )
        try:
            if self._phase is _SENT and exc_info[1] is not None:
                raise exc_info[1].with_traceback(exc_info[2])
        finally:
            exc_info = None  # a traceback with its own frame is a reference cycle

    def _send_whole(self, body: bytes) -> None:
        """Send a response with a complete body, in one system call if possible."""
        if type(body) is not bytes:
            _check_type(body)
        size = len(body)
        if self.method == "HEAD":
            # The body may be left out already. Then its size is not that of a GET.
            self._begin(None if size == 0 else size)
            return
        head, framing, count, self.persists = self._compose(size)
        self._phase = _SENT
        if count != size:
            body = b"" if framing is Framing.NONE else self._fit(body, count)
        self._transport.send_pair(head, body)
        self._sent = len(body)

    def _send_file(self, wrapper: FileWrapper) -> None:
        """Have the kernel send a file, if it can."""
        span = wrapper.maybe_span()
        size = None if span is None else span.size
        if span is None or not (self._transport.is_plain or self.method == "HEAD"):
            self._read_file(wrapper, size)
            return
        try:
            if self.method == "HEAD":
                self._begin(size)
                return
            head, framing, count, self.persists = self._compose(size)
            # A smaller Content-Length asks for a part of the file (PEP 3333), such as a range.
            count = 0 if framing is _NONE else count
            if count > span.size:
                self._fit(b"", count)
            self._sent = min(count, span.size)
            piece = FilePiece(span.fd, span.offset, self._sent)
            self._phase = _SENT
            self._transport.send_file(head, piece)
        finally:
            wrapper.close()

    def _read_file(self, wrapper: FileWrapper, size: int | None) -> None:
        """Send a file piece by piece, with the fields and the bytes that the kernel would send."""
        try:
            _, framing, count, _ = self._compose(size)
            if framing is Framing.LENGTH:
                wrapper.limit(count)
                if size == count:  # it may not be declared, and the pieces do not tell
                    fields = [f for f in self._headers if f[0].lower() != "content-length"]
                    self._headers = [*fields, ("Content-Length", str(size))]
        except BaseException:
            wrapper.close()
            raise
        self._send_iterated(wrapper)

    def _send_iterated(self, result: Iterable[bytes]) -> None:
        """Send a part of a body; it becomes `awaited`, or is closed after the last one."""
        goes_on = type(result) is PiecewiseBody
        is_over = True
        try:
            if goes_on:
                self._transport.check_client()
            pieces = iter(result)
            is_over = self._send_part(pieces)
            if is_over:
                self.finish()
            else:
                self.awaited = result if goes_on else PiecewiseBody(result, pieces)
        finally:
            if is_over and (close := getattr(result, "close", None)) is not None:
                close()

    def _send_part(self, pieces: Iterator[bytes]) -> bool:
        """Send some of *pieces*; return whether nothing of the rest has to be sent.

        The rest waits while the client is slow, and lets others pass if it is fast. A body that is
        bound to its thread blocks it instead.
        """
        send = self._transport.send_waiting
        end = self._sent + PART
        for data in pieces:
            if not data:
                _check_type(data)
                continue
            is_full = send(self.framed(data))
            if is_full or self._sent >= end or self._framing is _NONE:
                if not is_thread_bound(pieces):
                    return self._framing is _NONE
                end = self._sent + PART
        return True

    def _compose(self, size: int | None) -> Head:
        # A server that stops closes the connection after the response.
        keep_alive = self.persists and not self._server_context.draining
        body = self.body
        if type(body) is ContinueBody and not body.is_received():
            # The client may or may not send the body now, so the connection cannot persist.
            body.suppress_continue()
            keep_alive = False
        return self._server_context.writer.compose(
            self._status, self._headers, self.http11, keep_alive, size
        )

    def _begin(self, size: int | None) -> None:
        """Send the head alone."""
        head, self._framing, self._left, self.persists = self._compose(size)
        if self.method == "HEAD":
            self._framing = Framing.NONE
        self._phase = _SENT
        self._transport.send(head)

    def _frame(self, data: bytes) -> bytes:
        """Return *data* with its framing."""
        if self._framing is Framing.NONE or not data:
            return b""
        if self._framing is Framing.LENGTH:
            if len(data) > self._left:
                data = self._fit(data, self._left)
            self._left -= len(data)
        self._sent += len(data)
        return chunk(data) if self._framing is Framing.CHUNKED else data

    def _fit(self, data: bytes, count: int) -> bytes:
        """Cut *data* to the declared *count*; if it is shorter, the connection cannot persist."""
        if len(data) < count:
            self.persists = False
        _logger.error(
            "%r sent %s bytes than its Content-Length says.",
            self, "fewer" if len(data) < count else "more",
        )  # fmt: skip
        return data[:count]


def _check_type(data: bytes) -> None:
    if type(data) is not bytes:
        raise ApplicationError(f"The body contains {type(data).__name__}; send bytes.")
