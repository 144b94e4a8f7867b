"""Responses as bytes: status line and fields, chunks, and the answers that no application gave.

What an application hands over is checked here, on the joined head, because a CR or LF that got
through would let a visitor write the rest of the response (CWE-113).
"""

import re
from collections.abc import Hashable
from email.utils import formatdate
from enum import Enum

from dewar.server.errors import ApplicationError, Refusal
from dewar.server.wire.errors import UNAVAILABLE

Headers = list[tuple[str, str]]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"

# Seconds. What is full now may have room again soon, and a client that waits is one fewer.
_RETRY_AFTER = "1"

# What a writer remembers at most.
_MEMO_SIZE = 512
_MEMO_TEXT = 64
_FIELDS_SIZE = 2048
_FIELDS_TEXT = 256
_HEADS_SIZE = 256
_STATUS = re.compile(r"([2-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2

# What a field's name means for the head that it is in. Bits, so that one pass can join them.
_PLAIN, _LENGTH, _DATE, _SERVER, _HOP = 0, 1, 2, 4, 8
_KINDS = {
    "content-length": _LENGTH,
    "date": _DATE,
    "server": _SERVER,
    "connection": _HOP,
    "keep-alive": _HOP,
    "proxy-connection": _HOP,
    "te": _HOP,
    "trailer": _HOP,
    "transfer-encoding": _HOP,
    "upgrade": _HOP,
}


class Framing(Enum):
    """How the client finds the end of a body (RFC 9112 §6.3)."""

    NONE = "there is none"
    LENGTH = "Content-Length"
    CHUNKED = "chunked"
    CLOSE = "the end of the connection"


_BY_LENGTH = Framing.LENGTH

# A field as it goes on the wire, with its line end before it; its kind; what a length says.
Field = tuple[str, int, int]

# The head's bytes, its framing, the declared length (0 where there is none), and whether the
# connection persists. A tuple and not a class: one is made for each response.
Head = tuple[bytes, Framing, int, bool]


class HeadWriter:
    """Turns what an application gave to ``start_response`` into bytes.

    One per server, used by all its threads: memos are changed by single dict operations, and the
    dated tails are replaced as one tuple by whoever leads.

    Args:
        server: The value of the Server field, or ``None`` for no such field.
        wall: The time of day in seconds since the epoch, for the Date field.
    """

    def __init__(self, server: str | None, wall: float) -> None:
        self._fields: dict[tuple[str, str], Field] = {}
        self._statuses: dict[str, tuple[str, bool]] = {}
        self._server = "" if server is None else f"\r\nServer: {server}"
        self._tails: tuple[str, ...] = ()
        self._heads: dict[Hashable, Head] = {}
        self.refresh(wall)

    def __repr__(self) -> str:
        return f"<HeadWriter {len(self._fields)} fields, {len(self._statuses)} statuses known>"

    def refresh(self, wall: float) -> None:
        """Set the Date of the responses from now on; once a second is enough."""
        date = f"\r\nDate: {formatdate(wall, usegmt=True)}"
        end = "\r\n\r\n"
        # Indexed by the bits _DATE | _SERVER of what the application set itself, halved.
        self._tails = (self._server + date + end, self._server + end, date + end, end)
        self._heads = {}  # after the tails: a head with the old date must not get into it

    def compose(
        self, status: str, headers: Headers, http11: bool, keep_alive: bool, size: int | None
    ) -> Head:
        """Return the head for *status* and *headers*.

        Args:
            status: As given to ``start_response``.
            headers: As given to ``start_response``.
            http11: Whether the client may be sent chunks.
            keep_alive: Whether both sides are ready to go on after this response.
            size: Bytes of the body where they are known.

        Raises:
            ApplicationError: The head cannot be sent; the message says why.
        """
        # PERF: applications send the same few heads over and over. A head is good for a second, as
        # its Date is.
        heads = self._heads
        try:
            head = heads.get(key := (status, http11, keep_alive, size, *headers))
            if head is None:
                head = self._compose(status, headers, http11, keep_alive, size)
                if len(heads) < _HEADS_SIZE:
                    heads[key] = head
        except (TypeError, ValueError) as error:
            raise ApplicationError(
                "The response's fields must be a list of (name, value) tuples of latin-1 str,"
                f" and one is not: {error}"
            ) from error
        return head

    def _compose(  # noqa: C901  # PERF: one pass, in one frame
        self, status: str, headers: Headers, http11: bool, keep_alive: bool, size: int | None
    ) -> Head:
        line, bodyless = self._statuses.get(status) or self._learn_status(status)
        fields = self._fields
        found = 0
        length = None
        text = line
        for header in headers:
            # PERF: a field that was sent before was checked then.
            field, kind, count = fields.get(header) or self._learn_field(header)
            text += field
            if kind:
                if kind & found & _LENGTH:
                    raise ApplicationError("There are two Content-Length fields; send one.")
                found |= kind
                if kind == _LENGTH:
                    length = count
        if found & _HOP:
            headers, keep_alive = self._without_hops(headers, keep_alive)
            text = self._joined(line, headers)
        if bodyless:
            text, extra, framing, count = self._no_body(line, headers)
        elif length is not None:
            extra, framing, count = "", _BY_LENGTH, length
        elif size is not None:
            extra, framing, count = f"\r\nContent-Length: {size}", _BY_LENGTH, size
        elif http11:
            extra, framing, count = "\r\nTransfer-Encoding: chunked", Framing.CHUNKED, 0
        else:
            extra, framing, count, keep_alive = "", Framing.CLOSE, 0, False
        if not keep_alive:
            extra += "\r\nConnection: close"
        elif not http11:
            extra += "\r\nConnection: keep-alive"
        head = f"{text}{extra}{self._tails[(found & 6) >> 1]}"
        return head.encode("latin-1"), framing, count, keep_alive

    def refuse(self, refusal: Refusal) -> bytes:
        """Return a whole response that closes the connection."""
        body = f"{refusal.reason}\n".encode()
        headers = [("Content-Type", "text/plain; charset=utf-8")]
        if refusal.status == UNAVAILABLE:
            headers.append(("Retry-After", _RETRY_AFTER))
        return self.compose(refusal.status, headers, True, False, len(body))[0] + body

    def _learn_field(self, header: tuple[str, str]) -> Field:
        """Check a field and return it as text, its kind, and the number a length stands for."""
        name, value = header
        if type(name) is not str or _TOKEN.fullmatch(name) is None:
            raise ApplicationError(f"{name!r} is no name for a response header.")
        if "\r" in value or "\n" in value or "\0" in value:
            # Whoever chose the value could write the rest of the response (CWE-113).
            raise ApplicationError(
                f"The value of the response header {name!r} has a CR, LF or NUL in it."
            )
        kind = _KINDS.get(name.lower(), _PLAIN)
        # join(), because a subclass of str may have its own idea of adding and formatting.
        text = "".join(("\r\n", name, ": ", value))  # noqa: FLY002  # as said
        field = text, kind, _count(value) if kind == _LENGTH else 0
        if len(text) <= _FIELDS_TEXT:
            if len(self._fields) >= _FIELDS_SIZE:
                # What is sent often comes back at once; what was made up for one response does
                # not, and must not keep the others out.
                self._fields.clear()
            self._fields[header] = field
        return field

    def _joined(self, line: str, headers: Headers) -> str:
        return line + "".join([self._learn_field(header)[0] for header in headers])

    def _learn_status(self, status: str) -> tuple[str, bool]:
        match = _STATUS.fullmatch(status) if type(status) is str else None
        if match is None:
            raise ApplicationError(
                f"{status!r} is no final status; pass three digits from 200 to 599, a space and a"
                ' reason, such as "200 OK".'
            )
        space = "" if " " in status else " "  # RFC 9112 §4: the space stays, the reason may go
        entry = f"HTTP/1.1 {status}{space}", match[1] in ("204", "304")
        if len(self._statuses) < _MEMO_SIZE and len(status) <= _MEMO_TEXT:
            self._statuses[status] = entry
        return entry

    def _no_body(self, line: str, headers: Headers) -> tuple[str, str, Framing, int]:
        """Return what compose needs for a 204, which has no length, or a 304, which may (§8.6)."""
        if line.startswith("HTTP/1.1 204"):
            headers = [field for field in headers if field[0].lower() != "content-length"]
        return self._joined(line, headers), "", Framing.NONE, 0

    def _without_hops(self, headers: Headers, keep_alive: bool) -> tuple[Headers, bool]:
        """Drop the fields that are the server's own (RFC 9110 §7.6.1), but heed a ``close``."""
        kept = []
        for name, value in headers:
            if _KINDS.get(name.lower(), _PLAIN) != _HOP:
                kept.append((name, value))
            elif name.lower() == "connection" and "close" in value.lower():
                keep_alive = False
        return kept, keep_alive


def chunk(data: bytes) -> bytes:
    """Return *data*, which is not empty, as one chunk (RFC 9112 §7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _count(length: str) -> int:
    if not (length.isascii() and length.isdigit()):
        raise ApplicationError(f"Content-Length {length!r} is no number of bytes.")
    return int(length)
