"""Bytes of one connection in, complete requests out.

httptools (llhttp in its strict mode) does the tokenising. What it lets through although it is
ambiguous, unsupported or not WSGI is refused here. The rules of this file:

* The outcome depends on the bytes alone, never on how they were cut into `feed` calls.
* Requests before a fault are complete and are answered; the fault is the last thing that comes
  of a connection. After it, and after a request that closes the connection, input is ignored.
* Nothing from a trailer reaches the environ: it would come after the checks.
"""

from enum import Enum
from typing import IO, Any

import httptools

from dewar.server.wire import errors
from dewar.server.wire.body import BodyBuffer
from dewar.server.wire.errors import Refusal
from dewar.server.wire.head import FieldNames, check_host, split_target
from dewar.server.wire.limits import Limits
from dewar.server.wire.repeat import Repeat
from dewar.server.wire.request import Request

Environ = dict[str, Any]

# Chunk-size lines that a sensible client needs for a byte of body: "1\r\n" + "\r\n" around one
# byte is five. Past sixteen per byte somebody is making us parse extensions for nothing.
_CHUNK_OVERHEAD = 16


class Phase(Enum):
    """What the reader waits for."""

    START = "the first byte of a request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    ENDED = "nothing: input is ignored from here on"


# What a reader adds to the environ besides the fields.
_REQUEST_KEYS = frozenset({"REQUEST_METHOD", "REQUEST_URI", "PATH_INFO", "QUERY_STRING"})

# PERF: a member of an enum is slower to reach than a name of this module.
_START, _HEAD, _BODY, _ENDED = Phase.START, Phase.HEAD, Phase.BODY, Phase.ENDED


class RequestReader:
    """The reading half of one connection.

    Args:
        base: The environ keys that every request of this connection has.
        names: The server's memo of field names.
        limits: What is taken in at most.

    Attributes:
        completed: Requests that wait to be answered, oldest first. The owner takes them out.
        refusal: Why reading ended, to be answered after all of `completed`.
        phase: What is waited for.
        received: Bytes fed since the last request was complete.
        wants_continue: Whether the client waits for ``100 Continue`` before it sends its body
            (RFC 9110 §10.1.1); the owner sets it back when it has sent one.
    """

    __slots__ = (
        "_base", "_body", "_environ", "_feeding", "_held", "_host", "_http11", "_keep_alive",
        "_keys", "_limits", "_max_keys", "_names", "_parser", "_repeat", "_repeats", "_threshold",
        "_url", "completed", "late_body", "phase", "received", "refusal", "wants_continue",
    )  # fmt: skip

    def __init__(self, base: Environ, names: FieldNames, limits: Limits) -> None:
        self._base = base
        self._names = names
        self._keys = names.keys
        self._limits = limits
        # Below this many bytes no limit of the head can be passed, so that none is looked at.
        self._threshold = min(limits.request_line, limits.header_bytes)
        self._max_keys = len(base.keys() | _REQUEST_KEYS) + limits.header_count
        self._feeding = 0
        self._parser = httptools.HttpRequestParser(self)
        self._environ: Environ = {}
        self._url = b""
        self._host = "\0"  # equal to no valid Host
        self._http11 = self._keep_alive = True
        self._body: BodyBuffer | None = None
        self._repeats = 0
        self._repeat = Repeat(names.lines, limits.request_line)
        self._held: Environ = {}
        self.completed: list[Request] = []
        self.refusal: Refusal | None = None
        self.phase = _START
        self.received = 0
        self.wants_continue = False
        self.late_body: IO[bytes] | None = None

    def __repr__(self) -> str:
        return f"<RequestReader {self.phase.name}, {len(self.completed)} complete>"

    def feed(self, data: bytes) -> None:
        """Take in what the connection received; look at `completed` and `refusal` after it.

        Never raises on account of *data*.
        """
        if self.phase is _START and not self.received:
            environ = self._repeat.maybe_environ(data)
            if environ is not None:
                self.completed.append(Request(environ, True, True, None))
                return
        elif self.phase is _ENDED:
            return
        before = len(self.completed)
        self._feeding = len(data)
        self.received += self._feeding
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrades(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(_explain(error))
        if self.phase is _HEAD or self.phase is _BODY:
            # Without a count so far, some of these bytes are the last message's, and the parser
            # does not say which: all are taken for the next one's.
            self.received = self.received or self._feeding
            self._check_progress()
        elif len(self.completed) == before + 1:
            self._learn(data, self.completed[-1])

    def _learn(self, data: bytes, request: Request) -> None:
        if request.body is None and request.http11 and request.keep_alive:
            self._repeat.learn(data, request.environ)

    def take_early(self) -> Request | None:
        """Return None."""

    def discard(self) -> None:
        """Give back what an unfinished or unanswered request holds; input is ignored from here."""
        self.phase = _ENDED
        if self._body is not None:
            self._body.discard()
            self._body = None
        for request in self.completed:
            if request.body is not None:
                request.body.close()
        self.completed.clear()

    # What httptools calls, in this order. An exception in here ends parsing with a refusal.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.phase = _HEAD
        self._environ = self._base.copy()
        self._url = b""
        self._repeats = 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one field of the head, or of the trailer (its environ is thrown away)."""
        try:
            key = self._keys[name]
        except KeyError:
            key = self._names.learn(name)
        environ = self._environ
        if key is None or key in environ:
            self._merge(key, value)
        else:
            environ[key] = value.decode("latin-1").rstrip(" \t")

    def on_headers_complete(self) -> None:
        """Judge the head as a whole."""
        environ = self._environ
        parser = self._parser
        method = environ["REQUEST_METHOD"] = parser.get_method().decode()
        if method == "CONNECT":
            # Before its target, which has a form of its own (RFC 9112 §3.2.3).
            raise Refusal(errors.NOT_IMPLEMENTED, "This server is no proxy: no CONNECT.")
        keep_alive = self._keep_alive = parser.should_keep_alive()
        # PERF: without a Connection field only 1.1 persists (llhttp knows 0.9, 1.0, 1.1, 2.0), so
        # the version need not be asked for, which would format a string.
        self._http11 = (keep_alive and "HTTP_CONNECTION" not in environ) or self._check_version()
        host = environ.get("HTTP_HOST")
        if host != self._host or host is None:
            self._check_host(host)
        target = environ["REQUEST_URI"] = self._url.decode("latin-1")
        path, environ["QUERY_STRING"], authority = split_target(method, target)
        environ["PATH_INFO"] = path
        if authority is not None:
            environ["HTTP_HOST"] = authority  # RFC 9112 §3.2.2: it outdoes the Host field
        # `received` says nothing of a message that began in this feed, after another one.
        size = self.received or self._feeding
        if size > self._threshold or len(environ) + self._repeats > self._max_keys:
            self._check_size(method)
        if "HTTP_TRANSFER_ENCODING" in environ or "CONTENT_LENGTH" in environ:
            self._begin_body(environ)
        if "HTTP_EXPECT" in environ:
            self._check_expectation(environ)

    def on_body(self, data: bytes) -> None:
        """Take a part of the body."""
        body = self._body
        if body is None:
            return
        try:
            body.add(data)
        except OSError as error:
            raise Refusal(errors.UNAVAILABLE, "The body could not be stored.") from error
        limit = self._limits.body
        if limit is not None and body.size > limit:
            raise Refusal(errors.TOO_LARGE, f"A body may have at most {limit} bytes.")

    def on_message_complete(self) -> None:
        """Put the request with the completed ones."""
        body = None
        if self._body is not None:
            if self._parser.should_upgrade():
                return  # llhttp ends such a request with its head; the body is yet to come
            body = self._end_body(self._body)
        self.completed.append(Request(self._environ, self._http11, self._keep_alive, body))
        self.received = 0
        self.phase = _START if self._keep_alive else _ENDED

    # The uncommon cases.

    def _merge(self, key: str | None, value: bytes) -> None:
        """Take a field whose name came before, or one that the application does not see."""
        self._repeats += 1
        if key is None:
            return
        if key == "HTTP_HOST":
            raise Refusal(errors.BAD_REQUEST, "There is more than one Host field.")
        separator = "; " if key == "HTTP_COOKIE" else ", "
        self._environ[key] += separator + value.decode("latin-1").rstrip(" \t")

    def _check_version(self) -> bool:
        """Return whether the request is HTTP/1.1; refuse what is not 1.x."""
        version = self._parser.get_http_version()
        if version == "1.1":
            return True
        if version != "1.0":
            raise Refusal(errors.VERSION, "This server speaks HTTP/1.1 and HTTP/1.0.")
        self._environ["SERVER_PROTOCOL"] = "HTTP/1.0"
        return False

    def _check_host(self, host: str | None) -> None:
        if host is not None:
            check_host(host)
            self._host = host
        elif self._http11:
            raise Refusal(errors.BAD_REQUEST, "HTTP/1.1 needs a Host field.")

    def _check_size(self, method: str) -> None:
        """Apply the limits of the head exactly (white space around values is not counted)."""
        limits = self._limits
        line = len(method) + len(self._url) + len("  HTTP/1.1")
        if line > limits.request_line:
            raise Refusal(errors.URI_TOO_LONG, "The request line is too long.")
        if len(self._environ) + self._repeats > self._max_keys:
            raise Refusal(
                errors.FIELDS_TOO_LARGE, f"A head may have at most {limits.header_count} fields."
            )
        base = self._base
        size = sum(len(key) + len(value) for key, value in self._environ.items() if key not in base)
        if size > limits.header_bytes:
            raise Refusal(
                errors.FIELDS_TOO_LARGE, f"A head may have at most {limits.header_bytes} bytes."
            )

    def _check_progress(self) -> None:
        """Bound what an incomplete message may cost, in bytes that reach no callback too."""
        limits = self._limits
        if self.phase is _HEAD and len(self._url) > limits.request_line:
            self._refuse(Refusal(errors.URI_TOO_LONG, "The request line is too long."))
            return
        bound = limits.request_line + 2 * limits.header_bytes
        overhead = self.received
        if self._body is not None:
            bound += _CHUNK_OVERHEAD * self._body.size
            overhead -= self._body.size
        if overhead > bound:
            self._refuse(Refusal(errors.FIELDS_TOO_LARGE, "The head or the trailer is too large."))

    def _begin_body(self, environ: Environ) -> None:
        coding = environ.pop("HTTP_TRANSFER_ENCODING", None)
        if coding is None:
            length = int(environ["CONTENT_LENGTH"])  # llhttp has seen to it: digits, once
            limit = self._limits.body
            if limit is not None and length > limit:
                raise Refusal(errors.TOO_LARGE, f"A body may have at most {limit} bytes.")
            if length == 0:
                return
        elif not self._http11:
            # RFC 9112 §6.1: such a message's framing is to be taken as faulty.
            raise Refusal(errors.BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding.")
        elif coding.lower() != "chunked":
            raise Refusal(errors.NOT_IMPLEMENTED, "The only transfer coding here is chunked.")
        self.phase = _BODY
        self._body = BodyBuffer(self._limits)
        self._held, self._environ = environ, {}  # trailers go into the empty one

    def _end_body(self, body: BodyBuffer) -> IO[bytes]:
        """Put the body into the environ; its length is known now, chunked or not."""
        self._body = None
        self.wants_continue = False  # it has sent all without waiting
        environ = self._environ = self._held
        file = environ["wsgi.input"] = body.take()
        environ["CONTENT_LENGTH"] = str(body.size)
        return file

    def _check_expectation(self, environ: Environ) -> None:
        """Answer RFC 9110 §10.1.1; HTTP/1.0 has no expectations, and they are ignored there."""
        if not self._http11:
            return
        if environ["HTTP_EXPECT"].lower() != "100-continue":
            raise Refusal(errors.EXPECTATION_FAILED, "The only expectation here is 100-continue.")
        self.wants_continue = self._body is not None

    def _decline_upgrades(self, rest: bytes) -> None:
        """Go on in HTTP/1.1 after a request that offered an upgrade.

        llhttp takes such a request as ended with its head, and *rest* as another protocol's. If
        the head declared a body, reading *rest* as a request would let a body smuggle one in.
        """
        while True:
            if self._body is not None:
                self._parser = self._parser_for_body()
            if not rest or self.phase is _ENDED:
                return
            try:
                self._parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                self._refuse(_explain(error))
            else:
                return

    def _parser_for_body(self) -> httptools.HttpRequestParser:
        """Return a parser that stands where the body begins; it knows this one message only."""
        self._keep_alive = False
        length = self._held.get("CONTENT_LENGTH")
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        parser = httptools.HttpRequestParser(_BodySink(self))
        parser.feed_data(f"POST / HTTP/1.1\r\nConnection: close\r\n{framing}\r\n\r\n".encode())
        return parser

    def _refuse(self, refusal: Refusal) -> None:
        if self.phase is _ENDED:
            return  # bytes after a request that closes the connection
        self.phase = _ENDED
        self.received = 0
        self.refusal = refusal
        if self._body is not None:
            self._body.discard()
            self._body = None


class _BodySink:
    """What a parser for a body alone tells its reader."""

    def __init__(self, reader: RequestReader) -> None:
        self.on_body = reader.on_body
        self.on_message_complete = reader.on_message_complete


def _explain(error: httptools.HttpParserError) -> Refusal:
    """Return the refusal that stands for a fault that llhttp or a callback found."""
    cause = error.__context__
    if isinstance(cause, Refusal):
        return cause
    if isinstance(error, httptools.HttpParserCallbackError) and cause is not None:
        raise cause  # a mistake of ours, not the client's
    if isinstance(error, httptools.HttpParserInvalidMethodError):
        # The parser stops at the first wrong letter, before it is known whether the rest is a
        # request line (501, RFC 9110 §9.1) or no HTTP at all (400, RFC 9112 §3).
        return Refusal(errors.BAD_REQUEST, "This is no request, or its method is not known here.")
    reason = str(error)
    if reason in ("Invalid HTTP version", "Expected HTTP/2 Connection Preface"):
        return Refusal(errors.VERSION, "This server speaks HTTP/1.1 and HTTP/1.0.")
    return Refusal(errors.BAD_REQUEST, f"{reason}.")
