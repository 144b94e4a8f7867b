"""Bytes of one connection in, complete requests out.

The rules of this file:

* The result depends on the bytes alone, never on how they were split into `feed` calls.
* One request is parsed at a time. What was received behind it is held as bytes until it is taken,
  because a parsed request needs many times the memory of its bytes.
* Requests before an error are complete and are answered. The error is the last result of a
  connection: after it, and after a request that closes the connection, input is ignored.
* What follows a request for another protocol may be no HTTP, so it is held as bytes too.
* Nothing from a trailer gets into the environ: it would come after the checks.
"""

import io
from typing import IO, Generic, TypeVar

from dewar.server.errors import Refusal
from dewar.server.wire.chunks import FramedBody, begin_body, maybe_whole_body
from dewar.server.wire.field_parser import FieldParser
from dewar.server.wire.framing import take_framing
from dewar.server.wire.head import FieldNames
from dewar.server.wire.head_cache import HeadCache
from dewar.server.wire.head_parser import HeadParser
from dewar.server.wire.limits import Limits
from dewar.server.wire.lines import CRLF
from dewar.server.wire.partial_head import HEAD_END, PartialHead
from dewar.server.wire.read_phase import ReadPhase
from dewar.server.wire.request import Environ, WireRequest
from dewar.server.wire.storage import BodyStorage

R = TypeVar("R", bound=WireRequest)

_CR = 13

# PERF: a member of an enum is slower to reach than a name of this module.
_START, _HEAD, _BODY = ReadPhase.START, ReadPhase.HEAD, ReadPhase.BODY
_HELD, _UPGRADE, _ENDED = ReadPhase.HELD, ReadPhase.UPGRADE, ReadPhase.ENDED


class RequestReader(Generic[R]):
    """Reads the requests of one connection.

    Args:
        base: The environ keys that every request of this connection has.
        names: The server's memo of field names.
        limits: The limits of a request.
        make: `WireRequest`, or a subclass of it.
        storage: The room for bodies; None for one of its own.

    Attributes:
        completed: The request to be answered, if there is one. The owner removes it.
        refusal: Why reading ended; to be answered after `completed`.
        phase: What the reader waits for.
        received: Bytes of an incomplete head, and of empty lines before it.
        wants_continue: Whether the client waits for ``100 Continue`` before it sends its body
            (RFC 9110 §10.1.1). The owner resets it when it has sent one.
        body: The body that is being received.
        environ: That of the request whose body is being received, or was when reading ended.
        continue_body: The complete body of a request that `take_before_body` returned. The owner
            takes it and resets the attribute to None.
    """

    __slots__ = (
        "_field_parser", "_head", "_head_cache", "_head_parser", "_held", "_held_from", "_http11",
        "_keep_alive", "_limits", "_make", "_storage", "_taken_before_body", "body", "completed",
        "continue_body", "environ", "phase", "received", "refusal", "wants_continue",
    )  # fmt: skip

    def __init__(
        self, base: Environ, names: FieldNames, limits: Limits, make: type[R],
        storage: BodyStorage | None = None,
    ) -> None:  # fmt: skip
        self._make = make
        self._limits = limits
        self._storage = storage or BodyStorage(limits)
        self._field_parser = FieldParser(names, limits)
        self._head_parser = HeadParser(base, names, limits, self._field_parser)
        self._head = PartialHead(limits)
        self.environ: Environ = {}
        self._http11 = self._keep_alive = True
        self.body: FramedBody | None = None
        self._taken_before_body = False
        self._head_cache = HeadCache(names.lines, limits)
        self._held, self._held_from = b"", 0
        self.completed: list[R] = []
        self.continue_body: IO[bytes] | None = None
        self.refusal: Refusal | None = None
        self.phase = _START
        self.received = 0
        self.wants_continue = False

    def __repr__(self) -> str:
        return f"<RequestReader {self.phase.name}, {len(self.completed)} complete>"

    def feed(self, data: bytes) -> bool:
        """Take received bytes; return whether a request is `completed`. Else look at `refusal`.

        Feed it when `advance` has returned False; else it holds *data* too. No value of *data*
        makes it raise.
        """
        if self.phase is _START and not self.received and not self.completed:
            cache = self._head_cache
            # PERF: the whole request again is found without another call.
            is_known = data == cache.message
            environ = cache.template.copy() if is_known else cache.maybe_environ(data)
            if environ is not None:
                make = self._make  # PERF: a call of an attribute that is no method is slower
                self.completed.append(make().begin(environ, True, True, None))
                return True
            if cache.with_body is not None and (known := cache.maybe_with_body(data)):
                self.environ, size, pos = known
                self._http11 = True  # and the connection persists, as it is between two requests
                pos = self._begin_body(size, data, pos)
                if pos < len(data):
                    self._parse(data, pos)
                return bool(self.completed)
        if self.phase is _HELD or self.phase is _UPGRADE:
            self._held, self._held_from = self._held[self._held_from :] + data, 0
        else:
            self._parse(data, 0)
        return bool(self.completed)

    def advance(self) -> bool:
        """Go on with bytes that are held; return whether a request is complete.

        Call it after the request in `completed` was removed. If it returns False, nothing is held
        any more.
        """
        if self.phase is _HELD and not self.completed:
            data, pos = self._held, self._held_from
            self.phase, self._held = _START, b""
            end = data.find(HEAD_END, pos) + 4
            environ = self._head_cache.maybe_environ(data[pos:end])
            if environ is None:
                self._parse(data, pos)
            else:
                self.completed.append(self._make().begin(environ, True, True, None))
                if end < len(data):
                    self.phase, self._held, self._held_from = _HELD, data, end
        return bool(self.completed)

    def take_before_body(self) -> R | None:
        """Return the request whose `body` is being received, with None for its body.

        It is returned once, after the one in `completed`; else None. The body goes to
        `continue_body` when it is complete. Until then only the caller uses the environ.
        """
        if self.body is None or self._taken_before_body or self.completed:
            return None
        self._taken_before_body = True
        return self._make().begin(self.environ, self._http11, self._keep_alive, None)

    def take_upgrade(self) -> R:
        """Return the request in the phase UPGRADE; then `advance`, or `discard` it."""
        environ, self.environ = self.environ, {}
        self.phase = _HELD
        return self._make().begin(environ, True, True, None)

    def held(self) -> bytes:
        """Return what was received behind the request that was taken."""
        return self._held[self._held_from :]

    def discard(self) -> None:
        """Release all that unfinished and unanswered requests hold; ignore input from now on."""
        self.phase = _ENDED
        self._held = b""
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

    def _parse(self, data: bytes, pos: int) -> None:
        """Parse `data[pos:]` up to the end of one request; hold the rest."""
        size = len(data)
        try:
            while pos < size and self.phase is not _ENDED:
                if self.body is not None:
                    pos = self._take_body(self.body, data, pos)
                    continue
                if self.completed and self.phase is _START:
                    self.phase, self._held, self._held_from = _HELD, data, pos
                    return
                end = data.find(HEAD_END, pos)
                if end < 0 or self.received or data[pos] == _CR:
                    pos = self._take_piece(data, pos)
                else:
                    pos = self._take_head(data, pos, end)
        except Refusal as refusal:
            self._refuse(refusal)

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
            if self.phase is _UPGRADE:
                self._held, end = data[end:], len(data)
        return end

    def _take_head(self, data: bytes, pos: int, end: int) -> int:
        """Take the head at *pos*; return where its message ends, or the head if a body follows.

        *end* is where the CRLF before its empty line begins.
        """
        line_end = data.find(CRLF, pos)
        environ = self._head_parser.parse(data, pos, line_end, end)
        http11 = self._http11 = self._head_parser.http11
        end += 4
        connection = environ.get("HTTP_CONNECTION")
        if (
            (connection is not None and not (http11 and connection == "keep-alive"))
            or "CONTENT_LENGTH" in environ
            or "HTTP_TRANSFER_ENCODING" in environ
            or "HTTP_EXPECT" in environ
        ):
            return self._take_rest(environ, data, pos, line_end, end)
        self.completed.append(self._make().begin(environ, http11, http11, None))
        self.phase = _START if http11 else _ENDED
        if http11:
            self._head_cache.learn(data[pos:end], line_end - pos, environ)
        return end

    def _take_rest(self, environ: Environ, data: bytes, pos: int, line_end: int, end: int) -> int:
        """Take a head with fields about the connection or a body; return where its message ends."""
        http11 = self._http11
        keep_alive, upgrades, waits, framing = take_framing(environ, http11, self._limits)
        if framing:
            self.environ, self._keep_alive, self.wants_continue = environ, keep_alive, waits
            if framing > 0:
                self._head_cache.learn_with_body(data[pos:end], line_end - pos, environ)
            pos = self._begin_body(framing, data, end)
            self._field_parser.take_body(data[end:pos] if framing > 0 and pos > end else None)
            return pos
        if upgrades:
            self.phase, self.environ = _UPGRADE, environ
            self._held, self._held_from = data[end:], 0
            return len(data)
        self.completed.append(self._make().begin(environ, http11, keep_alive, None))
        self.phase = _START if keep_alive else _ENDED
        return end

    # A body.

    def _begin_body(self, framing: int, data: bytes, pos: int) -> int:
        """Begin a body; return where it ends if it is complete in *data*, else where it begins."""
        found = maybe_whole_body(data, pos, framing, self._limits)
        if found is not None:  # PERF: nothing to collect
            self._deliver_body(io.BytesIO(found[0]), len(found[0]))
            return found[1]
        self.phase = _BODY
        self.body = begin_body(framing, self._limits, self._storage)
        return pos

    def _take_body(self, body: FramedBody, data: bytes, pos: int) -> int:
        """Take a part of the body; return where it ends."""
        self.wants_continue = False  # the client did not wait
        try:
            pos = body.take(data, pos)
            file = body.buffer.take() if body.is_ended else None
        except OSError as error:
            raise self._storage.failure(error) from error
        if file is not None:
            self.body = None
            self._deliver_body(file, body.buffer.size)
        return pos

    def _deliver_body(self, file: IO[bytes], size: int) -> None:
        """Pass on a complete body; without the request, if that was taken before."""
        environ, self.environ = self.environ, {}
        self.phase = _START if self._keep_alive else _ENDED
        self.wants_continue = False
        if self._taken_before_body:
            self._taken_before_body = False
            self.continue_body = file
            return
        environ["wsgi.input"] = file
        environ["CONTENT_LENGTH"] = str(size)
        self.completed.append(self._make().begin(environ, self._http11, self._keep_alive, file))

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
        if self.body is not None:
            self.body.buffer.discard()
            self.body = None
