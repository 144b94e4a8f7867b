"""One request's way through the application and back (PEP 3333).

An exchange lives as long as its request. What the application may keep of it, ``start_response``
and ``write``, is dead afterwards and cannot touch the next request of the connection.

Where the application returns something that waits for the event loop, `respond` comes back without
an answer, and the rest is an `AsyncExchange`'s.
"""

import logging
from collections.abc import Callable, Iterable
from enum import Enum
from types import TracebackType
from typing import Protocol

from dewar.loop.async_body import AsyncBody
from dewar.loop.suspended import Suspended
from dewar.server.connection.continue_body import ContinueBody
from dewar.server.connection.file_wrapper import FileWrapper
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.write_buffer import FilePiece
from dewar.server.errors import ApplicationError, BodyError, ClientGoneError, Refusal
from dewar.server.wire.errors import INTERNAL
from dewar.server.wire.request import Body, Environ, WireRequest
from dewar.server.wire.writer import LAST_CHUNK, Framing, Head, Headers, chunk

_logger = logging.getLogger("dewar.server")

# What nginx logs where the client went away before there was an answer; it is never sent.
CLIENT_GONE = "499 Client Closed Request"

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None


class ResponsePhase(Enum):
    """How far a response has come."""

    FRESH = "start_response was not called"
    STARTED = "the head can still be replaced"
    SENT = "the head is out"
    DONE = "nothing more goes out"


_INTERNAL_ERROR = Refusal(INTERNAL, "Internal Server Error")

# PERF: a member of an enum is slower to reach than a name of this module.
_FRESH, _STARTED, _SENT, _DONE = (
    ResponsePhase.FRESH,
    ResponsePhase.STARTED,
    ResponsePhase.SENT,
    ResponsePhase.DONE,
)
_NONE = Framing.NONE
_AWAITED = frozenset({AsyncBody, Suspended})


class ResponseTransport(Protocol):
    """What an exchange needs of a connection. Each ``send`` raises `ClientGoneError`."""

    @property
    def sends_files(self) -> bool:
        """Whether the kernel can send files by itself."""

    def send(self, data: bytes) -> None:
        """Send *data*, or keep for later what does not go out at once."""

    def send_pair(self, head: bytes, body: bytes) -> None:
        """Send two things, in one system call where that is cheaper."""

    def send_file(self, head: bytes, piece: FilePiece) -> None:
        """Send *head* and a piece of a file, or keep for later what does not go out at once."""

    def abort(self) -> None:
        """Have the connection end at once: nobody is there to take what waits."""

    def reset(self) -> None:
        """Have the connection end so that the client sees that something is missing."""

    def send_waiting(self, data: bytes) -> None:
        """Send *data*; block while too much of what was sent before still waits."""


class Exchange(WireRequest):
    """A request that can be answered.

    PERF: one object for both, because making one costs as much as reading a repeated head.

    Attributes:
        persists: When it has ended: whether the connection can take another request.
        awaited: What the application returned that waits for the event loop, if it did.
    """

    __slots__ = (
        "_began", "_connection", "_framing", "_headers", "_left", "_phase", "_sent",
        "_server_context", "_status", "awaited", "persists",
    )  # fmt: skip

    def __init__(self, environ: Environ, http11: bool, keep_alive: bool, body: Body | None) -> None:
        # PERF: what Request does, without the call.
        self.environ = environ
        self.http11 = http11
        self.keep_alive = self.persists = keep_alive
        self.body = body
        self.method = environ["REQUEST_METHOD"]
        self.target = environ["REQUEST_URI"]
        self.awaited: Iterable[bytes] | None = None
        self._phase = _FRESH
        self._framing = _NONE
        self._sent = 0

    def respond(self, server_context: ServerContext, connection: ResponseTransport) -> None:
        """Run the application, send its response, and call its ``close``. Never raises.

        It has not ended where something is `awaited` then.

        Args:
            server_context: Whose application it is.
            connection: Where the response goes.
        """
        self._server_context = server_context
        self._connection = connection
        if server_context.logs_access:
            self._began = server_context.clock()
        try:
            result = server_context.app(self.environ, self.start_response)
            # PERF: a list or tuple has no close().
            if (type(result) is list or type(result) is tuple) and self._phase is _STARTED:
                self._send_whole(result[0] if len(result) == 1 else b"".join(result))
            elif type(result) in _AWAITED and server_context.suspends:
                self._suspend(result)
                return
            else:
                self.deliver(result)
        except BaseException as error:  # noqa: BLE001 - a view's sys.exit() must not end our thread
            self.fail(error)
        # PERF: `end` without the call.
        self._phase = _DONE
        if self.body is not None:
            self.body.close()
        if server_context.logs_access:
            server_context.access_log.log(self, self._status, self._sent, self._began)

    def await_answer(
        self, server_context: ServerContext, connection: ResponseTransport, awaited: Iterable[bytes]
    ) -> None:
        """Begin with an answer that was asked for already, in place of `respond`."""
        self._server_context = server_context
        self._connection = connection
        if server_context.logs_access:
            self._began = server_context.clock()
        self.awaited = awaited

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo = None, /
    ) -> Callable[[bytes], None]:
        """Take the status line and the fields; see PEP 3333.

        Raises:
            ApplicationError: It was called before, without ``exc_info``.
            BaseException: That of *exc_info*, where the head is out already.
        """
        if self._phase is not _FRESH:
            self._restart(exc_info)
        self._status = status
        self._headers = headers if type(headers) is list else list(headers)
        self._phase = _STARTED
        return self.write

    def write(self, data: bytes, /) -> None:
        """Send *data* at once; blocks while the client is slow.

        Raises:
            ApplicationError: The request is over, or *data* is not bytes.
            ClientGoneError: Nobody is there to read it.
        """
        if self._phase is _DONE:
            raise ApplicationError("write() was called after the request had ended.")
        self._emit(data)

    # For what has been awaited.

    def deliver(self, result: Iterable[bytes]) -> None:
        """Send what the application returned, and call its ``close``; it may block."""
        if type(result) is FileWrapper and self._phase is _STARTED:
            self._send_file(result)
        else:
            self._send_iterated(result)

    def deliver_whole(self, pieces: list[bytes] | tuple[bytes, ...]) -> None:
        """Send a body that is here in full. It does not block."""
        if self._phase is _STARTED:
            self._send_whole(b"".join(pieces))
        else:
            self._send_iterated(pieces)

    def framed(self, data: bytes) -> bytes:
        """Return *data* as it goes on the wire, after the head where that is not out yet.

        Raises:
            ApplicationError: It is no bytes, or there is no head.
        """
        if type(data) is not bytes:
            raise ApplicationError(f"The body has {type(data).__name__} in it; send bytes.")
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
        """Send what belongs after the last of the body. It does not block.

        Raises:
            ApplicationError: There is no head.
        """
        if self._phase is _FRESH:
            raise ApplicationError("The application returned without calling start_response().")
        if self._phase is _STARTED:
            self._begin(None if self.method == "HEAD" else 0)
        if self._framing is Framing.CHUNKED:
            self._connection.send(LAST_CHUNK)
        elif self._framing is Framing.LENGTH and self._left:
            self._fit(b"", self._left)
        self._phase = _DONE  # from here a failing close() costs a log line, no connection

    def fail(self, error: BaseException) -> None:
        """Log *error*; answer 500 where the head is not out, else cut the connection."""
        before, self._phase = self._phase, _DONE
        if isinstance(error, ClientGoneError):
            self.persists = False
            if before is _FRESH:
                self._status = CLIENT_GONE
            self._connection.abort()
            _logger.debug("%r: %s", self, error)
            return
        if isinstance(error, BodyError):
            _logger.info("%r: %s", self, error)
        else:
            _logger.error("%r failed", self, exc_info=error)
        if before in (_FRESH, _STARTED):
            self._answer(error.refusal if isinstance(error, BodyError) else _INTERNAL_ERROR)
        elif before is _SENT:
            self.persists = False
            if self._framing is Framing.CLOSE:
                self._connection.reset()

    def end(self) -> None:
        """Let go of the request, and log it. Nothing more is sent."""
        self._phase = _DONE
        if self.body is not None:
            self.body.close()
        if self._server_context.logs_access:
            self._server_context.access_log.log(self, self._status, self._sent, self._began)

    # Below: how it is sent.

    def _suspend(self, awaited: Iterable[bytes]) -> None:
        self.awaited = awaited
        if type(self.body) is ContinueBody:
            # It would be waited for on the event loop, which must not wait.
            self.body.prefetch()

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
            exc_info = None  # a traceback that holds its own frame is a cycle

    def _send_whole(self, body: bytes) -> None:
        """Send a response whose body is here in full, in one system call where it fits."""
        if type(body) is not bytes:
            raise ApplicationError(f"The body has {type(body).__name__} in it; send bytes.")
        size = len(body)
        if self.method == "HEAD":
            # The body may have been left out already, so that its size says nothing.
            self._begin(None if size == 0 else size)
            return
        server_context = self._server_context
        if self.body is None:
            # PERF: `_compose` without the call.
            head, framing, count, self.persists = server_context.writer.compose(
                self._status, self._headers, self.http11,
                self.persists and not server_context.draining, size,
            )  # fmt: skip
        else:
            head, framing, count, self.persists = self._compose(size)
        self._phase = _SENT
        if count != size:
            body = b"" if framing is Framing.NONE else self._fit(body, count)
        self._connection.send_pair(head, body)
        self._sent = len(body)

    def _send_file(self, wrapper: FileWrapper) -> None:
        """Have the kernel send a file, where it can."""
        span = wrapper.maybe_span() if self._connection.sends_files else None
        if span is None:
            self._send_iterated(wrapper)
            return
        try:
            if self.method == "HEAD":
                self._begin(span.size)
                return
            head, framing, count, self.persists = self._compose(span.size)
            # A Content-Length that is less asks for a part (PEP 3333): a range, for example.
            count = 0 if framing is Framing.NONE else count
            if count > span.size:
                self._fit(b"", count)
            self._sent = min(count, span.size)
            piece = FilePiece(span.fd, span.offset, self._sent)
            self._phase = _SENT
            self._connection.send_file(head, piece)
        finally:
            wrapper.close()

    def _send_iterated(self, result: Iterable[bytes]) -> None:
        try:
            for data in result:
                if data:
                    self._emit(data)
                elif type(data) is not bytes:
                    raise ApplicationError(f"The body has {type(data).__name__} in it; send bytes.")
            self.finish()
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _compose(self, size: int | None) -> Head:
        # A server that stops says so in the answers that were still being worked on.
        stays = self.persists and not self._server_context.draining
        body = self.body
        if type(body) is ContinueBody and not body.is_here():
            # Nobody can say whether the client will send it: the connection cannot go on.
            body.suppress_continue()
            stays = False
        return self._server_context.writer.compose(
            self._status, self._headers, self.http11, stays, size
        )

    def _begin(self, size: int | None) -> None:
        """Send the head alone."""
        head, self._framing, self._left, self.persists = self._compose(size)
        if self.method == "HEAD":
            self._framing = Framing.NONE
        self._phase = _SENT
        self._connection.send(head)

    def _emit(self, data: bytes) -> None:
        self._connection.send_waiting(self.framed(data))

    def _frame(self, data: bytes) -> bytes:
        """Return *data* as it goes on the wire."""
        if self._framing is Framing.NONE or not data:
            return b""
        if self._framing is Framing.LENGTH:
            if len(data) > self._left:
                data = self._fit(data, self._left)
            self._left -= len(data)
        self._sent += len(data)
        return chunk(data) if self._framing is Framing.CHUNKED else data

    def _fit(self, data: bytes, count: int) -> bytes:
        """Cut *data* to the declared *count*; where it is less, the connection cannot go on."""
        if len(data) < count:
            self.persists = False
        _logger.error(
            "%r sent %s than its Content-Length says.",
            self, "less" if len(data) < count else "more",
        )  # fmt: skip
        return data[:count]

    def _answer(self, refusal: Refusal) -> None:
        """Send an answer that is not the application's."""
        self._status = refusal.status
        self._headers = [("Content-Type", "text/plain; charset=utf-8")]
        body = f"{refusal.reason}\n".encode()
        head, _, _, self.persists = self._compose(len(body))
        if self.method == "HEAD":
            body = b""
        try:
            self._connection.send_pair(head, body)
        except ClientGoneError:
            self.persists = False
        self._sent = len(body)
