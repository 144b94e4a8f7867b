"""Bytes of one connection in, complete requests out.

The rules of this file:

* The result depends on the bytes alone, never on how they were split into `feed` calls.
* Requests before an error are complete and are answered. The error is the last result of a
  connection: after it, and after a request that closes the connection, input is ignored.
* Nothing from a trailer gets into the environ: it would come after the checks.
"""

import io
from collections.abc import Callable
from enum import Enum
from typing import IO, Generic, TypeVar

import httptools

from dewar.server.errors import Refusal
from dewar.server.wire import errors
from dewar.server.wire.body import BodyBuffer, LengthBody, maybe_length_body
from dewar.server.wire.chunks import ChunkedBody, maybe_chunked
from dewar.server.wire.field_parser import FieldParser
from dewar.server.wire.framing import CHUNKED, take_framing
from dewar.server.wire.head import (
    FieldNames,
    check_host,
    check_line_length,
    parse_line,
)
from dewar.server.wire.head_cache import MEMO_SIZE, HeadCache
from dewar.server.wire.limits import Limits
from dewar.server.wire.lines import CRLF
from dewar.server.wire.partial_head import HEAD_END, PartialHead
from dewar.server.wire.request import Environ, WireRequest

FramedBody = LengthBody | ChunkedBody

R = TypeVar("R", bound=WireRequest)
MakeRequest = Callable[[Environ, bool, bool, IO[bytes] | None], R]

_CR = 13


class ReadPhase(Enum):
    """What the reader waits for."""

    START = "the first byte of a request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    ENDED = "nothing: input is ignored from now on"


# PERF: a member of an enum is slower to reach than a name of this module.
_START, _HEAD, _BODY, _ENDED = ReadPhase.START, ReadPhase.HEAD, ReadPhase.BODY, ReadPhase.ENDED


class RequestReader(Generic[R]):
    """Reads the requests of one connection.

    Args:
        base: The environ keys that every request of this connection has.
        names: The server's memo of field names.
        limits: The limits of a request.
        make: `WireRequest`, or a subclass of it.

    Attributes:
        completed: Requests to be answered, oldest first. The owner removes them.
        refusal: Why reading ended; to be answered after all of `completed`.
        phase: What the reader waits for.
        received: Bytes of an incomplete head, and of empty lines before it.
        wants_continue: Whether the client waits for ``100 Continue`` before it sends its body
            (RFC 9110 §10.1.1). The owner resets it when it has sent one.
        environ: That of the request whose body is being received, or was when reading ended.
        continue_body: The complete body of a request that `take_before_body` returned. The owner
            takes it and resets the attribute to None.
    """

    __slots__ = (
        "_base", "_body", "_field_parser", "_head", "_head_cache", "_host", "_http11",
        "_keep_alive", "_limits", "_lines", "_make", "_max_line", "_taken_before_body", "completed",
        "continue_body", "environ", "phase", "received", "refusal", "wants_continue",
    )  # fmt: skip

    def __init__(
        self, base: Environ, names: FieldNames, limits: Limits, make: MakeRequest[R]
    ) -> None:
        self._make = make
        self._base = base
        self._lines = names.lines
        self._limits = limits
        self._max_line = limits.request_line
        self._field_parser = FieldParser(names, limits)
        self._head = PartialHead(limits)
        self.environ: Environ = {}
        self._host = "\0"  # equal to no valid Host
        self._http11 = self._keep_alive = True
        self._body: FramedBody | None = None
        self._taken_before_body = False
        self._head_cache = HeadCache(names.lines, limits.request_line)
        self.completed: list[R] = []
        self.continue_body: IO[bytes] | None = None
        self.refusal: Refusal | None = None
        self.phase = _START
        self.received = 0
        self.wants_continue = False

    def __repr__(self) -> str:
        return f"<RequestReader {self.phase.name}, {len(self.completed)} complete>"

    def feed(self, data: bytes) -> None:
        """Take received bytes; look at `completed` and `refusal` afterwards.

        No value of *data* makes it raise.
        """
        if self.phase is _START and not self.received:
            environ = self._head_cache.maybe_environ(data)
            if environ is not None:
                self.completed.append(self._make(environ, True, True, None))
                return
        pos, size = 0, len(data)
        try:
            while pos < size and self.phase is not _ENDED:
                if self._body is not None:
                    pos = self._take_body(self._body, data, pos)
                    continue
                end = data.find(HEAD_END, pos)
                if end < 0 or self.received or data[pos] == _CR:
                    pos = self._take_piece(data, pos)
                else:
                    pos = self._take_head(data, pos, end)
        except Refusal as refusal:
            self._refuse(refusal)

    def take_before_body(self) -> R | None:
        """Return the request whose client waits for ``100 Continue``, with None for its body.

        It is returned once, after all of `completed`; else None. The body goes to `continue_body`
        when it is complete. Until then only the caller uses the environ.
        """
        if not self.wants_continue or self._taken_before_body or self.completed:
            return None
        self._taken_before_body = True
        return self._make(self.environ, self._http11, self._keep_alive, None)

    def discard(self) -> None:
        """Release all that unfinished and unanswered requests hold; ignore input from now on."""
        self.phase = _ENDED
        # The parser and the environ (by its continue body) are in reference cycles. Broken here,
        # they need no garbage collection, which comes after thousands of connections.
        self._field_parser.detach()
        self.environ = {}
        self._head.clear()
        self._drop_body()
        if self.continue_body is not None:
            self.continue_body.close()
            self.continue_body = None
        for request in self.completed:
            if request.body is not None:
                request.body.close()
        self.completed.clear()

    # A head.

    def _take_piece(self, data: bytes, pos: int) -> int:
        """Take a part of a head, or the empty lines before one."""
        head, end = self._head.take(data, pos)
        if head is None:
            self.received += end - pos
            if self._head.is_begun:
                self.phase = _HEAD
        else:
            self.received = 0
            self._take_head(head, 0, len(head) - 4)
        return end

    def _take_head(self, data: bytes, pos: int, end: int) -> int:
        """Take the head at *pos*; return where its message ends, or the head if a body follows.

        *end* is where the CRLF before its empty line begins.
        """
        line_end = data.find(CRLF, pos)
        if line_end - pos > self._max_line:
            check_line_length(data, pos, line_end, self._limits)
        line = data[pos:line_end]
        authority, http11 = None, True
        parts = self._lines.known.get(line)
        if parts is None:
            parts, authority, http11 = parse_line(line)
            if len(self._lines.known) < MEMO_SIZE:
                self._lines.remember(line, parts)
        environ = self._base.copy()
        self._field_parser.parse(environ, data, line_end, end)
        (
            environ["REQUEST_METHOD"],
            environ["REQUEST_URI"],
            environ["PATH_INFO"],
            environ["QUERY_STRING"],
        ) = parts
        self._http11 = http11
        host = environ.get("HTTP_HOST")
        if host != self._host or host is None:
            self._check_host(host)
        if authority is not None:
            environ["HTTP_HOST"] = authority  # RFC 9112 §3.2.2: it replaces the Host field
        if not http11:
            environ["SERVER_PROTOCOL"] = "HTTP/1.0"
        end += 4
        if (
            "HTTP_CONNECTION" in environ
            or "CONTENT_LENGTH" in environ
            or "HTTP_TRANSFER_ENCODING" in environ
            or "HTTP_EXPECT" in environ
        ):
            return self._take_rest(environ, data, end)
        self.completed.append(self._make(environ, http11, http11, None))
        self.phase = _START if http11 else _ENDED
        if http11 and not pos and end == len(data):
            self._head_cache.learn(data, line_end, environ)
        return end

    def _take_rest(self, environ: Environ, data: bytes, end: int) -> int:
        """Take a head with fields about the connection or a body; return where its message ends."""
        http11 = self._http11
        keep_alive, waits, framing = take_framing(environ, http11, self._limits)
        if framing:
            self.environ = environ
            self._keep_alive = keep_alive
            self.wants_continue = waits
            return self._begin_body(framing, data, end)
        self.completed.append(self._make(environ, http11, keep_alive, None))
        self.phase = _START if keep_alive else _ENDED
        return end

    def _check_host(self, host: str | None) -> None:
        if host is not None:
            check_host(host)
            self._host = host
        elif self._http11:
            raise Refusal(errors.BAD_REQUEST, "A request in HTTP/1.1 needs a Host field.")

    # A body.

    def _begin_body(self, framing: int, data: bytes, pos: int) -> int:
        """Begin a body; return where it ends if it is complete in *data*, else where it begins."""
        # llhttp expects the body now, and never gets it. PERF: set here, without a call.
        fields = self._field_parser
        fields.parser = httptools.HttpRequestParser(fields)
        limits = self._limits
        found = (
            maybe_chunked(data, pos, limits)
            if framing == CHUNKED
            else maybe_length_body(data, pos, framing, limits)
        )
        if found is not None:  # PERF: nothing to collect
            self.wants_continue = False
            content, pos = found
            self._complete(io.BytesIO(content), len(content))
            return pos
        self.phase = _BODY
        buffer = BodyBuffer(limits)
        chunked = framing == CHUNKED
        self._body = ChunkedBody(buffer, limits) if chunked else LengthBody(buffer, framing)
        return pos

    def _take_body(self, body: FramedBody, data: bytes, pos: int) -> int:
        """Take a part of the body; return where it ends."""
        self.wants_continue = False  # the client did not wait
        try:
            pos = body.take(data, pos)
            file = body.buffer.take() if body.is_ended else None
        except OSError as error:
            raise Refusal(errors.UNAVAILABLE, "The body cannot be stored.") from error
        if file is not None:
            self._body = None
            self._deliver_body(file, body.buffer.size)
        return pos

    def _deliver_body(self, file: IO[bytes], size: int) -> None:
        """Pass on a complete body."""
        if self._taken_before_body:
            self._taken_before_body = False
            self.continue_body, self.environ = file, {}
            self.phase = _START if self._keep_alive else _ENDED
        else:
            self._complete(file, size)

    def _complete(self, file: IO[bytes], size: int) -> None:
        """Put the body and its length into the environ."""
        environ = self.environ
        environ["wsgi.input"] = file
        environ["CONTENT_LENGTH"] = str(size)
        self.completed.append(self._make(environ, self._http11, self._keep_alive, file))
        self.environ = {}
        self.phase = _START if self._keep_alive else _ENDED

    # The end.

    def _refuse(self, refusal: Refusal) -> None:
        self.phase = _ENDED
        self.received = 0
        self.wants_continue = False
        self.refusal = refusal
        refusal.__traceback__ = refusal.__context__ = None  # they refer to this reader
        self._head.clear()
        self._drop_body()

    def _drop_body(self) -> None:
        if self._body is not None:
            self._body.buffer.discard()
            self._body = None
