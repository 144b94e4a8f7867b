"""Memos of request lines and of the fields of a connection's last request.

PERF: a client sends nearly the same fields with every request of a connection, and many requests
have the same few targets. If the fields are, byte for byte, those of a plain request that was
parsed on this connection, they need not be parsed again, and neither does a known request line.
That halves the cost of reading. ``python -m bench --only server`` measures it.

The result is exactly that of the parser for the same bytes; a property test checks it. A request
that is not plain (with a body, an expectation, a Connection field, an escape in the path, …) is
always parsed.
"""

import re
from typing import Any

from dewar.server.wire.request import Environ

Line = dict[str, str]  # what a request line puts into the environ

# Only characters that have the same meaning in all specifications and applications.
_PLAIN_LINE = re.compile(
    rb"(GET|HEAD|OPTIONS) "
    rb"((/[A-Za-z0-9\-._~!$&'()*+,;=:@/]*)(?:\?([A-Za-z0-9\-._~!$&'()*+,;=:@/?%]*))?) HTTP/1\.1"
)
_PERSISTS = "keep-alive"  # a Connection field without an effect in HTTP/1.1
_NOT_PLAIN = frozenset(
    {
        "CONTENT_LENGTH",
        "HTTP_EXPECT",
        "HTTP_TRANSFER_ENCODING",
        "HTTP_UPGRADE",
    }
)

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
        max_line: The maximum length of a request line.

    Attributes:
        message: A complete request with these fields; None before the first.
        template: The environ of `message`, to be copied.
    """

    __slots__ = ("_fields", "_lines", "_looks", "_max_line", "message", "template")

    def __init__(self, lines: RequestLineCache, max_line: int) -> None:
        self._lines = lines
        self._max_line = max_line
        # From the end of the request line to the end of the head; None before the first.
        self._fields: bytes | None = None
        self.message: bytes | None = None
        self.template: Environ = {}
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
        parts = self._lines.known.get(line)
        if parts is None:
            parts = self._lines.maybe_parse(line) if len(line) <= self._max_line else None
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
        if environ.keys() & _NOT_PLAIN or environ.get("HTTP_CONNECTION", _PERSISTS) != _PERSISTS:
            return
        if _PLAIN_LINE.fullmatch(head, 0, line_end):
            self.message, self._fields = head, head[line_end:]
            self.template = environ.copy()
