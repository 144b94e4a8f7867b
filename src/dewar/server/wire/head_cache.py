"""Memos of request lines and of the fields of a connection's last request.

PERF: a client sends nearly the same fields with every request of a connection, and many requests
have the same few targets. If the fields are, byte for byte, those of a plain request that was
parsed on this connection, they need not be parsed again, and neither does a known request line.
That halves the cost of reading. ``python -m bench --only server`` measures it.

The result is exactly that of the parser for the same bytes; a property test checks it. Of a request
with a body, the number in its Content-Length may be another one. A request that is not plain (with
a chunked body, an expectation, a Connection field, an escape in the path, …) is always parsed.
"""

import re
import sys
from typing import Any

from dewar.server.wire.limits import Limits
from dewar.server.wire.lines import CRLF
from dewar.server.wire.request import Environ

Line = dict[str, str]  # what a request line puts into the environ
# The environ, the bytes of the body, and where that begins.
KnownHead = tuple[Environ, int, int]
# A whole head; its fields before and behind the number of the body's bytes; that number, as text;
# and the environ.
BodyHead = tuple[bytes, bytes, bytes, bytes, Environ]

# Only characters that have the same meaning in all specifications and applications.
_PLAIN_LINE = re.compile(
    rb"(GET|HEAD|OPTIONS|POST|PUT|PATCH|DELETE) "
    rb"((/[A-Za-z0-9\-._~!$&'()*+,;=:@/]*)(?:\?([A-Za-z0-9\-._~!$&'()*+,;=:@/?%]*))?) HTTP/1\.1"
)
_PERSISTS = "keep-alive"  # a Connection field without an effect in HTTP/1.1
_NOT_PLAIN = frozenset(
    {
        "HTTP_EXPECT",
        "HTTP_TRANSFER_ENCODING",
        "HTTP_UPGRADE",
    }
)

# A request that is accepted has one such field.
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,18})(?=\r\n)", re.IGNORECASE)

MEMO_SIZE = 512
_MEMO_LINE = 256
# If the fields or targets of a client keep changing, one request in this many is learned.
_LOOK_AGAIN = 8


def line_environ(method: str, target: str, path: str, query: str) -> Line:
    """Return what a request line puts into the environ."""
    return {
        "REQUEST_METHOD": method,
        "REQUEST_URI": target,
        "RAW_URI": target,  # gunicorn and Werkzeug have the target under this name
        "PATH_INFO": path,
        "QUERY_STRING": query,
    }


class RequestLineCache:
    """A bounded memo of plain request lines that were received twice.

    So lines that are never repeated do not take the room of the others. Shared by all threads of a
    server: each write is a single operation of a dict, and two threads that learn the same line
    store the same value.
    """

    __slots__ = ("_once", "known")

    def __init__(self) -> None:
        self.known: dict[bytes, Line] = {}
        self._once: dict[bytes, None] = {}

    def __repr__(self) -> str:
        return f"<RequestLineCache {len(self.known)} of {MEMO_SIZE} known>"

    def maybe_parse(self, line: bytes) -> Line | None:
        """Return what a plain line puts into the environ, or None for any other."""
        match = _PLAIN_LINE.fullmatch(line)
        if match is None:
            return None
        method, target, path, query = match.groups(b"")
        found = line_environ(method.decode(), target.decode(), path.decode(), query.decode())
        self.note(line, found)
        return found

    def note(self, line: bytes, found: Line) -> None:
        """Learn a valid line if it was received before, is short, and is plain."""
        if len(line) > _MEMO_LINE:
            return
        if line not in self._once:
            _store(self._once, line, None)
        elif _PLAIN_LINE.fullmatch(line):
            _store(self.known, line, found)


def _store(memo: dict[bytes, Any], line: bytes, value: Line | None) -> None:
    if len(memo) >= MEMO_SIZE:
        memo.clear()  # what is common is learned again at once
    memo[line] = value


class HeadCache:
    """The fields that the plain requests of one connection share.

    Args:
        lines: The server's memo of request lines.
        limits: The limits of a request.

    Attributes:
        message: A complete request with these fields; None before the first.
        template: The environ of `message`, to be copied.
        with_body: The head of a request with a body, as `BodyHead` says; None before the first.
    """

    __slots__ = (
        "_fields", "_lines", "_looks", "_max_body", "_max_line", "message", "template", "with_body",
    )  # fmt: skip

    def __init__(self, lines: RequestLineCache, limits: Limits) -> None:
        self._lines = lines
        self._max_line = limits.request_line
        self._max_body = sys.maxsize if limits.body is None else limits.body
        # From the end of the request line to the end of the head; None before the first.
        self._fields: bytes | None = None
        self.message: bytes | None = None
        self.template: Environ = {}
        self.with_body: BodyHead | None = None
        self._looks = 0

    def __repr__(self) -> str:
        return f"<HeadCache of {len(self._fields or b'')} bytes>"

    def maybe_environ(self, data: bytes) -> Environ | None:
        """Return the environ of *data*, if it is a complete request with the known fields.

        Call it only between two messages.
        """
        if data == self.message:
            return self.template.copy()
        fields = self._fields
        if fields is None or not data.endswith(fields):
            return None
        line = data[: -len(fields)]
        parts = self._lines.known.get(line) or self._maybe_line(line)
        if parts is None:
            return None
        environ = self.template | parts
        self._looks += 1
        if not self._looks % _LOOK_AGAIN:
            self.message, self.template = data, environ.copy()
        return environ

    def learn(self, head: bytes, line_end: int, environ: Environ) -> None:
        """Learn the fields of a request that consists of *head* alone."""
        self._looks += 1
        if self._fields is not None and self._looks % _LOOK_AGAIN:
            return
        if _is_plain(head, line_end, environ):
            self.message, self._fields = head, head[line_end:]
            self.template = environ.copy()

    def maybe_with_body(self, data: bytes) -> KnownHead | None:
        """Return what a known head of a request with a body says, if *data* begins with one.

        Call it only between two messages, and if `with_body` is not None.
        """
        head, before, after, number, template = self.with_body  # type: ignore[misc]  # as above
        if data.startswith(head):
            return template.copy(), int(number), len(head)
        line_end = data.find(CRLF)
        begin = line_end + len(before)
        # With more digits a head might be too large.
        end = data.find(CRLF, begin, begin + len(number) + len(CRLF))
        number = data[begin:end]
        if (
            not (number.isdigit() and data.startswith(before, line_end))
            or not data.startswith(after, end)
            or not 0 < (size := int(number)) <= self._max_body
        ):
            return None
        line = data[:line_end]
        parts = self._lines.known.get(line) or self._maybe_line(line)
        if parts is None:
            return None
        environ = template | parts
        environ["CONTENT_LENGTH"] = str(size)
        return environ, size, end + len(after)

    def learn_with_body(self, head: bytes, line_end: int, environ: Environ) -> None:
        """Learn the head of a request whose Content-Length is above zero."""
        self._looks += 1
        found = _LENGTH.search(head, line_end)
        if found is None:
            return
        known, number = self.with_body, found[1]
        if known is not None and len(number) <= len(known[3]) and self._looks % _LOOK_AGAIN:
            return
        if _is_plain(head, line_end, environ):
            before, after = head[line_end : found.start(1)], head[found.end(1) :]
            self.with_body = head, before, after, number, environ.copy()

    def _maybe_line(self, line: bytes) -> Line | None:
        return self._lines.maybe_parse(line) if len(line) <= self._max_line else None


def _is_plain(head: bytes, line_end: int, environ: Environ) -> bool:
    """Whether nothing in a head asks for more than the answer to it."""
    return (
        not environ.keys() & _NOT_PLAIN
        and environ.get("HTTP_CONNECTION", _PERSISTS) == _PERSISTS
        and _PLAIN_LINE.fullmatch(head, 0, line_end) is not None
    )
