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

from dewar.server.wire.request import Environ

Line = tuple[str, str, str, str]  # method, target, path, query

# Only characters that have the same meaning in all specifications and applications.
_PLAIN_LINE = re.compile(
    rb"(GET|HEAD|OPTIONS) "
    rb"((/[A-Za-z0-9\-._~!$&'()*+,;=:@/]*)(?:\?([A-Za-z0-9\-._~!$&'()*+,;=:@/?%]*))?) HTTP/1\.1"
)
_NOT_PLAIN = frozenset(
    {
        "CONTENT_LENGTH",
        "HTTP_CONNECTION",
        "HTTP_EXPECT",
        "HTTP_TRANSFER_ENCODING",
        "HTTP_UPGRADE",
    }
)

MEMO_SIZE = 512
_MEMO_LINE = 256
# If the fields or targets of a client keep changing, one request in this many is learned.
_LOOK_AGAIN = 8


class RequestLineCache:
    """A bounded memo of plain request lines.

    Shared by all threads of a server: its one write is a dict store, and two threads that learn
    the same line store the same value.
    """

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: dict[bytes, Line] = {}

    def __repr__(self) -> str:
        return f"<RequestLineCache {len(self.known)} of {MEMO_SIZE} known>"

    def maybe_learn(self, line: bytes) -> Line | None:
        """Return the parts of a plain line, or None for any other."""
        match = _PLAIN_LINE.fullmatch(line)
        if match is None:
            return None
        method, target, path, query = (part.decode("ascii") for part in match.groups(b""))
        parts = method, target, path, query
        if len(self.known) < MEMO_SIZE and len(line) <= _MEMO_LINE:
            self.known[line] = parts
        return parts

    def remember(self, line: bytes, parts: Line) -> None:
        """Learn a line that was parsed elsewhere, if it is plain, short, and there is room."""
        if len(self.known) < MEMO_SIZE and len(line) <= _MEMO_LINE and _PLAIN_LINE.fullmatch(line):
            self.known[line] = parts


class HeadCache:
    """The fields that the plain requests of one connection share.

    Args:
        lines: The server's memo of request lines.
        max_line: The maximum length of a request line.
    """

    __slots__ = ("_fields", "_lines", "_looks", "_max_line", "_message", "_template")

    def __init__(self, lines: RequestLineCache, max_line: int) -> None:
        self._lines = lines
        self._max_line = max_line
        # From the end of the request line to the end of the head; None before the first.
        self._fields: bytes | None = None
        # A complete message with these fields, and its environ.
        self._message: bytes | None = None
        self._template: Environ = {}
        self._looks = 0

    def __repr__(self) -> str:
        return f"<HeadCache of {len(self._fields or b'')} bytes>"

    def maybe_environ(self, data: bytes) -> Environ | None:
        """Return the environ of *data*, if it is a complete request with the known fields.

        Call it only between two messages.
        """
        if data == self._message:
            return self._template.copy()
        fields = self._fields
        if fields is None or not data.endswith(fields):
            return None
        line = data[: -len(fields)]
        parts = self._lines.known.get(line)
        if parts is None:
            parts = self._lines.maybe_learn(line) if len(line) <= self._max_line else None
            if parts is None:
                return None
        environ = self._template.copy()
        (
            environ["REQUEST_METHOD"],
            environ["REQUEST_URI"],
            environ["PATH_INFO"],
            environ["QUERY_STRING"],
        ) = parts
        self._looks += 1
        if not self._looks % _LOOK_AGAIN:
            self._message, self._template = data, environ.copy()
        return environ

    def learn(self, head: bytes, line_end: int, environ: Environ) -> None:
        """Learn the fields of a request that consists of *head* alone."""
        self._looks += 1
        if self._fields is not None and self._looks % _LOOK_AGAIN:
            return
        if _PLAIN_LINE.fullmatch(head, 0, line_end) and not environ.keys() & _NOT_PLAIN:
            self._message, self._fields = head, head[line_end:]
            self._template = environ.copy()
