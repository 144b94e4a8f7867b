"""The head of a request (RFC 9112 §3 and §5): the request line, and fields with a meaning here.

The request line is checked before llhttp sees the head, because llhttp accepts a fixed list of
methods, several spaces, and the names of other protocols. Here a line is
``token SP request-target SP HTTP-version`` and nothing else.
"""

import re
from contextlib import suppress
from ipaddress import IPv6Address
from urllib.parse import unquote

from dewar.server.errors import Refusal
from dewar.server.wire import errors
from dewar.server.wire.head_cache import Line, RequestLineCache, line_environ
from dewar.server.wire.limits import Limits
from dewar.server.wire.lines import check_line_text

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
_VERSION = re.compile(r"HTTP/([0-9])\.([0-9])")
# PERF: these need no check for being a token.
_COMMON = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MALFORMED = "The request line is not a method, a target and HTTP/1.1, with one space between."
_NOT_ENCODED = (
    "The request line has a character that is not visible ASCII. Percent-encode it: /caf%C3%A9."
)

# RFC 3986 §3.2.2 with RFC 9110 §7.2: reg-name, IPv4 or a bracketed literal, and a port. No user
# information: RFC 9110 §4.2.4 requires to reject it in a request.
_HOST = re.compile(
    r"(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*"
    r"|\[(?P<ip>[0-9A-Fa-f:.]+)\]"
    r"|\[[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+\])(?::[0-9]*)?"
)
_ABSOLUTE = re.compile(r"https?://([^/?]+)([^?]*)(?:\?(.*))?", re.IGNORECASE | re.DOTALL)

# The distinct field names that a server remembers. A client that invents names fills the memo
# once. After that its names are converted each time; the memo cannot grow.
MEMO_SIZE = 512
MEMO_NAME = 64

# What it puts into the environ; the target's authority; and whether the client speaks HTTP/1.1 or a
# later 1.x, which is treated as 1.1 (RFC 9110 §2.5).
RequestLine = tuple[Line, str | None, bool]
Target = tuple[str, str, str | None]


class FieldNames:
    """A bounded memo from a field's name on the wire to its key in the environ.

    ``None`` stands for a field that the application must not see. A name with ``_`` would get the
    same key as the name with ``-``, so a client could forge the fields of proxies with it.

    Shared by all threads of a server: its one write is a dict store, and two threads that learn
    the same name store the same key.
    """

    __slots__ = ("keys", "lines")

    def __init__(self) -> None:
        self.keys: dict[bytes, str | None] = {}
        self.lines = RequestLineCache()

    def __repr__(self) -> str:
        return f"<FieldNames {len(self.keys)} of {MEMO_SIZE} known>"

    def learn(self, name: bytes) -> str | None:
        """Return the environ key for *name*, or ``None`` if the field is dropped."""
        text = name.decode("ascii").upper()
        key: str | None
        if "_" in text:
            key = None
        elif text in ("CONTENT-TYPE", "CONTENT-LENGTH"):
            key = text.replace("-", "_")
        else:
            key = "HTTP_" + text.replace("-", "_")
        if len(self.keys) < MEMO_SIZE and len(name) <= MEMO_NAME:
            self.keys[name] = key
        return key


def parse_line(line: bytes) -> RequestLine:
    """Return the parts of a request line.

    Any token is a method, and methods are case-sensitive (RFC 9110 §9.1). The application decides
    which ones it supports.

    Raises:
        Refusal: 400 for a malformed line, 501 for CONNECT, 505 for another major version.
    """
    text = line.decode("latin-1")
    words = text.split(" ")
    # A target consists of visible ASCII (RFC 3986 §2). Other characters must be percent-encoded;
    # else two readers may disagree about their meaning. gunicorn and waitress refuse them too.
    if not text.isascii() or not text.isprintable():
        raise Refusal(errors.BAD_REQUEST, _NOT_ENCODED)
    if len(words) != 3:
        raise Refusal(errors.BAD_REQUEST, _MALFORMED)
    method, target, version = words
    http11 = version == "HTTP/1.1" or _is_later(version)
    if not target or (method not in _COMMON and _TOKEN.fullmatch(method) is None):
        raise Refusal(errors.BAD_REQUEST, _MALFORMED)
    if method == "CONNECT":
        # Before its target, which has another form (RFC 9112 §3.2.3).
        raise Refusal(errors.NOT_IMPLEMENTED, "This server is not a proxy and has no CONNECT.")
    path, query, authority = split_target(method, target)
    return line_environ(method, target, path, query), authority, http11


def _is_later(version: str) -> bool:
    match = _VERSION.fullmatch(version)
    if match is None:
        raise Refusal(errors.BAD_REQUEST, _MALFORMED)
    if match[1] != "1":
        raise Refusal(errors.VERSION, "This server speaks HTTP/1.1 and HTTP/1.0.")
    return match[2] != "0"


def check_line_length(data: bytes | bytearray, start: int, end: int, limits: Limits) -> None:
    """Raise a 414 if the request line `data[start:end]` is too long.

    If the method alone is too long it is a 501 (RFC 9112 §3), or a 400 if it is not a token.
    """
    bound = limits.request_line
    if end - start > bound:
        check_line_text(data[start:end], 0, bound + 1)
        head = bytes(data[start : start + bound])
        if b" " not in head:
            if _TOKEN.fullmatch(head.decode("latin-1")) is None:
                raise Refusal(errors.BAD_REQUEST, _MALFORMED)
            raise Refusal(errors.NOT_IMPLEMENTED, "The method is too long.")
        raise Refusal(errors.URI_TOO_LONG, "The request line is too long.")


def split_target(method: str, target: str) -> Target:
    """Return the decoded path, the query and the authority (``None`` in origin-form).

    Percent-escapes become latin-1 characters, as PEP 3333 requires.

    Raises:
        Refusal: The target has none of the forms of RFC 9112 §3.2, or has a fragment.
    """
    if "#" in target:
        raise Refusal(errors.BAD_REQUEST, "The request target has a fragment.")
    if target[0] == "/":
        path, _, query = target.partition("?")
        authority = None
    elif target == "*":
        if method != "OPTIONS":
            raise Refusal(errors.BAD_REQUEST, "Only OPTIONS may have the request target *.")
        # RFC 9112 §3.2.4: it stands for the server and no path, so it is not "/". CGI has no form
        # for it; gunicorn and waitress have this one.
        return "*", "", None
    else:
        match = _ABSOLUTE.fullmatch(target)
        if match is None:
            reason = "The request target is neither a path nor an http URL."
            raise Refusal(errors.BAD_REQUEST, reason)
        authority = match[1]
        if authority[0] == ":":
            # RFC 9110 §4.2.1: an http URI with an empty host is invalid.
            raise Refusal(errors.BAD_REQUEST, "The request target has no host.")
        check_host(authority)
        path, query = match[2] or "/", match[3] or ""
    if "%" in path:
        path = unquote(path, "latin-1")
    return path, query, authority


def check_host(host: str) -> None:
    """Raise a 400 if *host* is not a valid Host (RFC 9112 §3.2). An empty one is valid."""
    match = _HOST.fullmatch(host)
    if match is not None:
        address = match["ip"]
        if address is None:
            return
        with suppress(ValueError):
            IPv6Address(address)
            return
    raise Refusal(errors.BAD_REQUEST, "The Host field is not a host and port.")
