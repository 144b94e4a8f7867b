"""Bytes of one connection in, complete requests out.

A request line and a body's framing are taken apart here, and llhttp (httptools, in its strict
mode) tokenises the fields: it is given one whole head at a time, under a request line that it
knows. The rules of this file:

* The outcome depends on the bytes alone, never on how they were cut into `feed` calls.
* Requests before a fault are complete and are answered; the fault is the last thing that comes
  of a connection. After it, and after a request that closes the connection, input is ignored.
* Nothing from a trailer reaches the environ: it would come after the checks.
"""

import io
from collections.abc import Callable
from enum import Enum
from typing import IO, Any, Generic, TypeVar

import httptools

from dewar.server.errors import Refusal
from dewar.server.wire import errors
from dewar.server.wire.body import BodyBuffer
from dewar.server.wire.chunks import ChunkedBody, maybe_chunked
from dewar.server.wire.framing import CHUNKED, check_body_size, parse_framing
from dewar.server.wire.head import FieldNames, check_host, expects_continue, persists
from dewar.server.wire.head_cache import MEMO_SIZE, HeadCache
from dewar.server.wire.length_body import LengthBody, maybe_length_body
from dewar.server.wire.limits import Limits
from dewar.server.wire.lines import CRLF
from dewar.server.wire.partial_head import (
    HEAD_END,
    LEAST_FIELD,
    PartialHead,
    check_field_count,
    check_fields_size,
)
from dewar.server.wire.request import WireRequest
from dewar.server.wire.request_line import check_line_length, parse_line

Environ = dict[str, Any]
FramedBody = LengthBody | ChunkedBody

R = TypeVar("R", bound=WireRequest)
MakeRequest = Callable[[Environ, bool, bool, IO[bytes] | None], R]

# What llhttp reads in place of the real line: it would refuse methods that it does not know, and
# measure the body by the version.
_PLACEHOLDER_LINE = b"GET / HTTP/1.1"
# Its verdict on a coding comes after all fields, and is ours: it takes no tab behind a value.
_BAD_CODING = "Request has invalid `Transfer-Encoding`"
# It heeds Proxy-Connection, which is no field of HTTP (RFC 9112 §C.2.2), and then takes nothing.
_CLOSED = "Data after `Connection: close`"
_CR = 13
# In the place of a parser that is not needed any more. Nothing is ever fed to it.
_DETACHED_PARSER = httptools.HttpRequestParser(None)


class ReadPhase(Enum):
    """What the reader waits for."""

    START = "the first byte of a request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    ENDED = "nothing: input is ignored from here on"


# PERF: a member of an enum is slower to reach than a name of this module.
_START, _HEAD, _BODY, _ENDED = ReadPhase.START, ReadPhase.HEAD, ReadPhase.BODY, ReadPhase.ENDED


class RequestReader(Generic[R]):
    """The reading half of one connection.

    Args:
        base: The environ keys that every request of this connection has.
        names: The server's memo of field names.
        limits: What is taken in at most.
        make: `WireRequest`, or a subclass of it.

    Attributes:
        completed: Requests that wait to be answered, oldest first. The owner takes them out.
        refusal: Why reading ended, to be answered after all of `completed`.
        phase: What is waited for.
        received: Bytes of the head that is not complete yet, and of empty lines before it.
        wants_continue: Whether the client waits for ``100 Continue`` before it sends its body
            (RFC 9110 §10.1.1); the owner sets it back when it has sent one.
        continue_body: The body of a request that `take_before_body` gave, once all of it has come.
            The owner takes it and sets it back.
    """

    __slots__ = (
        "_base", "_body", "_environ", "_head", "_head_cache", "_host", "_http11", "_keep_alive",
        "_keys", "_limits", "_lines", "_make", "_max_fields", "_max_fields_unchecked", "_max_line",
        "_names", "_parser", "_taken_before_body", "completed", "continue_body", "phase",
        "received", "refusal", "wants_continue",
    )  # fmt: skip

    def __init__(
        self, base: Environ, names: FieldNames, limits: Limits, make: MakeRequest[R]
    ) -> None:
        self._make = make
        self._base = base
        self._names = names
        self._keys = names.keys
        self._lines = names.lines
        self._limits = limits
        self._max_line = limits.request_line
        self._max_fields = limits.header_bytes
        self._max_fields_unchecked = LEAST_FIELD * limits.header_count
        self._parser = httptools.HttpRequestParser(self)
        self._head = PartialHead(limits)
        self._environ: Environ = {}
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
        """Take in what the connection received; look at `completed` and `refusal` after it.

        Never raises on account of *data*.
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
        """Return the request whose body the client holds back, with None for its body.

        Only while it waits for ``100 Continue``, once, and after all of `completed`. The body
        goes to `continue_body` when it has come; until then the environ is the caller's alone.
        """
        if not self.wants_continue or self._taken_before_body or self.completed:
            return None
        self._taken_before_body = True
        return self._make(self._environ, self._http11, self._keep_alive, None)

    def discard(self) -> None:
        """Give back what an unfinished or unanswered request holds; input is ignored from here."""
        self.phase = _ENDED
        # What leads back to this reader, a parser by our methods and an environ by a continue body,
        # would have it wait for the collector of garbage, which comes after thousands of them.
        self._parser = _DETACHED_PARSER
        self._environ = {}
        self._head.clear()
        self._drop_body()
        if self.continue_body is not None:
            self.continue_body.close()
            self.continue_body = None
        for request in self.completed:
            if request.body is not None:
                request.body.close()
        self.completed.clear()

    # What httptools calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one field."""
        try:
            key = self._keys[name]
        except KeyError:
            key = self._names.learn(name)
        environ = self._environ
        if key is None or key in environ:
            self._merge(key, value)
        else:
            environ[key] = value.decode("latin-1").rstrip(" \t")

    # A head.

    def _take_piece(self, data: bytes, pos: int) -> int:
        """Take a head that comes in pieces, or what comes before one."""
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
        """Take the head from *pos* on; return where its message ends, or the head if that is open.

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
        environ = self._environ = self._base.copy()
        self._parse_fields(data, line_end, end)
        (
            environ["REQUEST_METHOD"],
            environ["REQUEST_URI"],
            environ["PATH_INFO"],
            environ["QUERY_STRING"],
        ) = parts
        self._http11 = self._keep_alive = http11
        host = environ.get("HTTP_HOST")
        if host != self._host or host is None:
            self._check_host(host)
        if authority is not None:
            environ["HTTP_HOST"] = authority  # RFC 9112 §3.2.2: it outdoes the Host field
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
        """Go on after a head with fields that say how; return where the message ends."""
        if framing := self._apply_framing_fields(environ):
            return self._begin_body(framing, data, end)
        self.completed.append(self._make(environ, self._http11, self._keep_alive, None))
        self.phase = _START if self._keep_alive else _ENDED
        return end

    def _parse_fields(self, data: bytes, line_end: int, end: int) -> None:
        """Put the fields of a head into the environ."""
        size = end - line_end
        if size > self._max_fields:
            check_fields_size(data, line_end, end, self._limits)
        if size > self._max_fields_unchecked:
            check_field_count(data, line_end, end, self._limits)
        is_shut = False
        try:
            self._parser.feed_data(_PLACEHOLDER_LINE + data[line_end : end + 4])
        except (httptools.HttpParserUpgrade, httptools.HttpParserError) as error:
            is_shut = self._replace_after(error)
        if is_shut:
            self._parse_fields(data, line_end, end)

    def _replace_after(self, error: Exception) -> bool:
        """Get a new parser; return whether the last one took nothing of the head.

        Raises:
            Refusal: It found a fault.
        """
        if isinstance(error, httptools.HttpParserCallbackError):
            raise error  # a mistake of ours, not the client's
        self._parser = httptools.HttpRequestParser(self)
        reason = str(error)
        # An upgrade is declined by going on in HTTP/1.1 (RFC 9110 §7.8), while the parser takes
        # all that follows for another protocol's.
        upgrade = isinstance(error, httptools.HttpParserUpgrade)
        if not upgrade and reason not in (_CLOSED, _BAD_CODING):
            raise Refusal(errors.BAD_REQUEST, f"{reason}.") from None
        return reason == _CLOSED

    def _merge(self, key: str | None, value: bytes) -> None:
        """Take a field whose name came before, or one that the application does not see."""
        if key is None:
            return
        # Two Hosts make none: no host has a comma and a space in it (RFC 9112 §3.2).
        separator = "; " if key == "HTTP_COOKIE" else ", "
        self._environ[key] += separator + value.decode("latin-1").rstrip(" \t")

    def _check_host(self, host: str | None) -> None:
        if host is not None:
            check_host(host)
            self._host = host
        elif self._http11:
            raise Refusal(errors.BAD_REQUEST, "HTTP/1.1 needs a Host field.")

    # A body.

    def _apply_framing_fields(self, environ: Environ) -> int:
        """Heed the fields that say how to go on; return the bytes of the body, or CHUNKED."""
        http11 = self._http11
        connection = environ.get("HTTP_CONNECTION")
        if connection is not None:
            self._keep_alive = persists(connection, http11)
        length = environ.get("CONTENT_LENGTH")
        framing = parse_framing(environ.pop("HTTP_TRANSFER_ENCODING", None), length, http11)
        check_body_size(framing, self._limits)
        if length is not None:
            environ["CONTENT_LENGTH"] = str(framing)  # without leading zeros
        expect = environ.get("HTTP_EXPECT")
        # HTTP/1.0 has no expectations, and they are ignored there (RFC 9110 §10.1.1).
        waits = expect is not None and http11 and expects_continue(expect)
        self.wants_continue = waits and framing != 0
        return framing

    def _begin_body(self, framing: int, data: bytes, pos: int) -> int:
        """Begin to take a body; return where it ends, if it is there, or where it begins."""
        # llhttp expects the body now, which it will not see.
        self._parser = httptools.HttpRequestParser(self)
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
        self.wants_continue = False  # it sends without waiting
        try:
            pos = body.take(data, pos)
            file = body.buffer.take() if body.is_ended else None
        except OSError as error:
            raise Refusal(errors.UNAVAILABLE, "The body could not be stored.") from error
        if file is not None:
            self._body = None
            self._deliver_body(file, body.buffer.size)
        return pos

    def _deliver_body(self, file: IO[bytes], size: int) -> None:
        """Give away a body that is complete."""
        if self._taken_before_body:
            self._taken_before_body = False
            self.continue_body = file
            self.phase = _START if self._keep_alive else _ENDED
        else:
            self._complete(file, size)

    def _complete(self, file: IO[bytes], size: int) -> None:
        """Put the body into the environ; its length is known now, chunked or not."""
        environ = self._environ
        environ["wsgi.input"] = file
        environ["CONTENT_LENGTH"] = str(size)
        self.completed.append(self._make(environ, self._http11, self._keep_alive, file))
        self.phase = _START if self._keep_alive else _ENDED

    # The end.

    def _refuse(self, refusal: Refusal) -> None:
        self.phase = _ENDED
        self.received = 0
        self.wants_continue = False
        self.refusal = refusal
        refusal.__traceback__ = refusal.__context__ = None  # they lead back here, too
        self._head.clear()
        self._drop_body()

    def _drop_body(self) -> None:
        if self._body is not None:
            self._body.buffer.discard()
            self._body = None
