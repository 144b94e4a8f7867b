"""Responses as bytes: heads, chunks, and the server's own responses.

The values of an application are checked here. A CR or LF in a field would let a client write the
rest of the response (CWE-113).
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

# Seconds. An overloaded server may have room again soon, and a waiting client makes no request.
_RETRY_AFTER = "1"

# The limits of the memos.
_MEMO_SIZE = 512
_MEMO_TEXT = 64
_FIELDS_SIZE = 2048
_FIELDS_TEXT = 256
_HEADS_SIZE = 256
# Bytes of a body; writing the head of a larger one takes a small part of the time to send it.
_LATEST_BODY = 16384
# RFC 9110 §15: a status above 599 is no valid one, clients take it for a 5xx, and programs use it
# among themselves. It is sent as it is, as gunicorn and waitress do.
_STATUS = re.compile(r"([2-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
# What a connection can leave HTTP for.
_WEBSOCKET = "\r\nUpgrade: websocket"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2

# The meaning of a field's name for its head. Bits, so that one pass can combine them.
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

# A field as it is sent, with a line end before it; its kind; the number of a Content-Length.
Field = tuple[str, int, int]

# The head's bytes, its framing, the declared length (0 if there is none), and whether the
# connection persists. PERF: a tuple and not a class, because one is made for each response.
Head = tuple[bytes, Framing, int, bool]


# The status, the fields and the bytes of a head.
LatestHead = tuple[str, Headers, bytes]


class HeadWriter:
    """Turns the arguments of ``start_response`` into bytes.

    One per server, used by all its threads: memos are changed by single dict operations, and the
    leader replaces the dated tails as one tuple.

    Args:
        server: The value of the Server field, or ``None`` for no such field.
        wall: The time of day in seconds since the epoch, for the Date field.

    Attributes:
        latest: By the size of a small body, the last head in HTTP/1.1 that fits it and lets the
            connection persist. PERF: most responses of a size have the same head, and to compare
            its fields takes a tenth of the time of making a key of them.
    """

    def __init__(self, server: str | None, wall: float) -> None:
        self._fields: dict[tuple[str, str], Field] = {}
        self._statuses: dict[str, tuple[str, bool, bool]] = {}
        self._server = "" if server is None else f"\r\nServer: {server}"
        self._tails: tuple[str, ...] = ()
        self._heads: dict[Hashable, Head] = {}
        self.latest: dict[int, LatestHead] = {}
        self.refresh(wall)

    def __repr__(self) -> str:
        return f"<HeadWriter {len(self._fields)} fields, {len(self._statuses)} statuses known>"

    def refresh(self, wall: float) -> None:
        """Set the Date of the responses from now on. Call it about once a second."""
        date = f"\r\nDate: {formatdate(wall, usegmt=True)}"
        end = "\r\n\r\n"
        # Indexed by half the bits _DATE | _SERVER of the fields that the application has set.
        self._tails = (self._server + date + end, self._server + end, date + end, end)
        # After the tails, so that no head with the old date gets into them.
        self._heads, self.latest = {}, {}

    def compose(
        self, status: str, headers: Headers, http11: bool, keep_alive: bool, size: int | None
    ) -> Head:
        """Return the head for *status* and *headers*.

        Args:
            status: The argument of ``start_response``.
            headers: The argument of ``start_response``.
            http11: Whether the client supports chunks.
            keep_alive: Whether both sides allow the connection to persist.
            size: Bytes of the body, if known.

        Raises:
            ApplicationError: The head cannot be sent; the message says why.
        """
        # PERF: applications send the same few heads again and again. A head is valid for a second,
        # like its Date.
        heads, latest = self._heads, self.latest
        try:
            head = heads.get(key := (status, http11, keep_alive, size, *headers))
            if head is None:
                head = self._compose(status, headers, http11, keep_alive, size)
                if len(heads) < _HEADS_SIZE:
                    heads[key] = head
            data, _, count, persists = head
            fits = count == size and count <= _LATEST_BODY and len(latest) < _HEADS_SIZE
            if http11 and persists and fits:
                latest[count] = status, headers.copy(), data
        except (TypeError, ValueError) as error:
            raise ApplicationError(
                "The response's fields must be a list of (name, value) tuples of latin-1 str,"
                f" and one is not: {error}"
            ) from error
        return head

    def _compose(  # noqa: C901  # PERF: one pass, in one frame
        self, status: str, headers: Headers, http11: bool, keep_alive: bool, size: int | None
    ) -> Head:
        line, bodyless, offers = self._statuses.get(status) or self._learn_status(status)
        fields = self._fields
        found = 0
        length = None
        text = line
        for header in headers:
            # PERF: a known field was checked when it was learned.
            field, kind, count = fields.get(header) or self._learn_field(header)
            text += field
            if kind:
                if kind & found & _LENGTH:
                    raise ApplicationError("There are two Content-Length fields; send one.")
                found |= kind
                if kind == _LENGTH:
                    length = count
        sent = headers
        if found & _HOP:
            sent, keep_alive = self._without_hops(headers, keep_alive)
            text = self._joined(line, sent)
        if bodyless:
            text, extra, framing, count = self._no_body(line, sent)
        elif length is not None:
            extra, framing, count = "", _BY_LENGTH, length
        elif size is not None:
            extra, framing, count = f"\r\nContent-Length: {size}", _BY_LENGTH, size
        elif http11:
            extra, framing, count = "\r\nTransfer-Encoding: chunked", Framing.CHUNKED, 0
        else:
            extra, framing, count, keep_alive = "", Framing.CLOSE, 0, False
        option = "close" if not keep_alive else "" if http11 else "keep-alive"
        if offers:
            extra += self._offer(headers, option)
        elif option:
            extra += f"\r\nConnection: {option}"
        head = f"{text}{extra}{self._tails[(found & 6) >> 1]}"
        return head.encode("latin-1"), framing, count, keep_alive

    def refuse(self, refusal: Refusal) -> bytes:
        """Return a whole response that closes the connection."""
        body = f"{refusal.reason}\n".encode()
        headers = refusal_headers(refusal)
        return self.compose(refusal.status, headers, True, False, len(body))[0] + body

    def _learn_field(self, header: tuple[str, str]) -> Field:
        """Check a field; return its text, its kind, and the number of a Content-Length."""
        name, value = header
        if type(name) is not str or _TOKEN.fullmatch(name) is None:
            raise ApplicationError(f"{name!r} is not a valid name of a response header.")
        if "\r" in value or "\n" in value or "\0" in value:
            # A client that chose the value could write the rest of the response (CWE-113).
            raise ApplicationError(
                f"The value of the response header {name!r} contains a CR, LF or NUL."
            )
        kind = _KINDS.get(name.lower(), _PLAIN)
        # join(), because a subclass of str may override adding and formatting.
        text = "".join(("\r\n", name, ": ", value))  # noqa: FLY002  # see above
        field = text, kind, _count(value) if kind == _LENGTH else 0
        if len(text) <= _FIELDS_TEXT:
            if len(self._fields) >= _FIELDS_SIZE:
                # Common fields are learned again at once. Fields that occur once must not keep the
                # others out.
                self._fields.clear()
            self._fields[header] = field
        return field

    def _joined(self, line: str, headers: Headers) -> str:
        return line + "".join([self._learn_field(header)[0] for header in headers])

    def _learn_status(self, status: str) -> tuple[str, bool, bool]:
        match = _STATUS.fullmatch(status) if type(status) is str else None
        if match is None:
            raise ApplicationError(
                f"{status!r} is not a final status; pass three digits from 200 to 999, a space and"
                ' a reason, such as "200 OK".'
            )
        space = "" if " " in status else " "  # RFC 9112 §4: a reason may be missing, the space not
        entry = f"HTTP/1.1 {status}{space}", match[1] in ("204", "304"), match[1] == "426"
        if len(self._statuses) < _MEMO_SIZE and len(status) <= _MEMO_TEXT:
            self._statuses[status] = entry
        return entry

    def _no_body(self, line: str, headers: Headers) -> tuple[str, str, Framing, int]:
        """Return the parts for a 204, which has no length, or a 304, which may (RFC 9110 §8.6)."""
        if line.startswith("HTTP/1.1 204"):
            headers = [field for field in headers if field[0].lower() != "content-length"]
        return self._joined(line, headers), "", Framing.NONE, 0

    def _offer(self, headers: Headers, option: str) -> str:
        """Return Upgrade and Connection of a 426, which has to name a protocol (RFC 9110 §15.5.22).

        PEP 3333 leaves that field to the server, so it is added. If the application names protocols
        all the same, it knows better.
        """
        own = [self._learn_field(field)[0] for field in headers if field[0].lower() == "upgrade"]
        options = f"Upgrade, {option}" if option else "Upgrade"
        return f"{''.join(own) or _WEBSOCKET}\r\nConnection: {options}"

    def _without_hops(self, headers: Headers, keep_alive: bool) -> tuple[Headers, bool]:
        """Drop the hop-by-hop fields (RFC 9110 §7.6.1), but apply a ``close``."""
        kept = []
        for name, value in headers:
            if _KINDS.get(name.lower(), _PLAIN) != _HOP:
                kept.append((name, value))
            elif name.lower() == "connection" and "close" in value.lower():
                keep_alive = False
        return kept, keep_alive


def refusal_headers(refusal: Refusal) -> list[tuple[str, str]]:
    """Return the fields of a response that says why a request is refused."""
    headers = [("Content-Type", "text/plain; charset=utf-8")]
    if refusal.status == UNAVAILABLE:
        headers.append(("Retry-After", _RETRY_AFTER))
    return headers


def chunk(data: bytes) -> bytes:
    """Return *data*, which is not empty, as one chunk (RFC 9112 §7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _count(length: str) -> int:
    if not (length.isascii() and length.isdigit()):
        raise ApplicationError(f"The Content-Length {length!r} is not a number of bytes.")
    return int(length)
