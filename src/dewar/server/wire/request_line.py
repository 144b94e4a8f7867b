"""The request line (RFC 9112 §3): our own gate, in front of the parser.

llhttp knows a list of methods, splits at several spaces and takes other protocols' names. Here a
line is ``token SP request-target SP HTTP-version`` and nothing else.
"""

import re

from dewar.server.errors import Refusal
from dewar.server.wire import errors
from dewar.server.wire.head import split_target
from dewar.server.wire.head_cache import Line
from dewar.server.wire.limits import Limits
from dewar.server.wire.lines import check_line_text

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
_VERSION = re.compile(r"HTTP/([0-9])\.([0-9])")
# PERF: these need not be looked at for being tokens.
_COMMON = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_MALFORMED = "The request line is not a method, a target and HTTP/1.1, with one space between."

# Method, target as sent, path, query; then the target's authority, and whether the client speaks
# HTTP/1.1 or a later 1.x, which is to be treated as 1.1 (RFC 9110 §2.5).
RequestLine = tuple[Line, str | None, bool]


def parse_line(line: bytes) -> RequestLine:
    """Return the parts of a request line.

    Any token is a method, and methods are case-sensitive (RFC 9110 §9.1): the application says
    which it has.

    Raises:
        Refusal: 400 for what is no request line, 501 for CONNECT, 505 for another major version.
    """
    text = line.decode("latin-1")
    words = text.split(" ")
    # A target is written in visible ASCII (RFC 3986 §2). What is beyond must be percent-encoded:
    # two readers may disagree about what it stands for where it is not.
    if len(words) != 3 or not text.isascii() or not text.isprintable():
        raise Refusal(errors.BAD_REQUEST, _MALFORMED)
    method, target, version = words
    http11 = version == "HTTP/1.1" or _is_later(version)
    if not target or (method not in _COMMON and _TOKEN.fullmatch(method) is None):
        raise Refusal(errors.BAD_REQUEST, _MALFORMED)
    if method == "CONNECT":
        # Before its target, which has a form of its own (RFC 9112 §3.2.3).
        raise Refusal(errors.NOT_IMPLEMENTED, "This server is no proxy: no CONNECT.")
    path, query, authority = split_target(method, target)
    return (method, target, path, query), authority, http11


def _is_later(version: str) -> bool:
    match = _VERSION.fullmatch(version)
    if match is None:
        raise Refusal(errors.BAD_REQUEST, _MALFORMED)
    if match[1] != "1":
        raise Refusal(errors.VERSION, "This server speaks HTTP/1.1 and HTTP/1.0.")
    return match[2] != "0"


def check_line_length(data: bytes | bytearray, start: int, end: int, limits: Limits) -> None:
    """Raise a 414 where the request line `data[start:end]` is too long.

    It is a 501 where the method alone is (RFC 9112 §3), and a 400 where that cannot be one.
    """
    bound = limits.request_line
    if end - start > bound:
        check_line_text(data[start:end], 0, bound + 1)
        head = bytes(data[start : start + bound])
        if b" " not in head:
            if _TOKEN.fullmatch(head.decode("latin-1")) is None:
                raise Refusal(errors.BAD_REQUEST, _MALFORMED)
            raise Refusal(errors.NOT_IMPLEMENTED, "No application has a method of that length.")
        raise Refusal(errors.URI_TOO_LONG, "The request line is too long.")
