"""A second implementation of RFC 9112 for comparison: simple, slow and independent.

It shares no code with `dewar.server.wire` and reads all bytes at once, so both are unlikely to have
the same bug. It has no limits.
"""

import ipaddress
import re
from dataclasses import dataclass, field

TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
TEXT = rb"[\t -~\x80-\xff]*"
QUOTED = rb'"([\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
OWS = rb"[\t ]*"
LINE = re.compile(rb"(%b) ([!-~]+) HTTP/(\d)\.(\d)" % TOKEN)
FIELD = re.compile(rb"(%b):(%b)" % (TOKEN, TEXT))
EXTENSION = rb"%b;%b%b(%b=%b(%b|%b))?" % (OWS, OWS, TOKEN, OWS, OWS, TOKEN, QUOTED)
SIZE = re.compile(rb"([0-9A-Fa-f]+)(%b)*" % EXTENSION)
SCHEME = re.compile(rb"https?://", re.IGNORECASE)
REG_NAME = re.compile(rb"([-._~!$&'()*+,;=0-9A-Za-z]|%[0-9A-Fa-f][0-9A-Fa-f])*")
FUTURE = re.compile(rb"[vV][0-9A-Fa-f]+\.[-._~!$&'()*+,;=:0-9A-Za-z]+")
BAD_TEXT = re.compile(rb"[^\t\r\n -~\x80-\xff]|\r[^\n]")
EMPTY_LINES = 8


class RefusedError(Exception):
    """Raised when a server must refuse the bytes."""


@dataclass
class Verdict:
    """The meaning of the bytes of a connection.

    Attributes:
        requests: The method, target and body of each request.
        ends: The position after each request.
        end: ``"refused"``, ``"closed"``, ``"between"`` requests, or ``"inside"`` one.
    """

    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    end: str = "between"


def judge(data: bytes) -> Verdict:
    """Return the meaning of *data*."""
    verdict = Verdict()
    pos = 0
    try:
        while verdict.end == "between":
            read = _message(data, pos, verdict)
            if read is None:
                break
            pos = read
    except RefusedError:
        verdict.end = "refused"
    return verdict


def _message(data: bytes, pos: int, verdict: Verdict) -> int | None:
    """Read one message; return the position of the next, or None if bytes are missing."""
    empty = 0
    while data[pos : pos + 2] == b"\r\n":
        pos += 2
        empty += 1
        _need(empty <= EMPTY_LINES)
    rest = data[pos:]
    if rest in (b"", b"\r"):
        return None
    head, end, rest = rest.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    if not end:
        if b"\r\n" in head:
            _request_line(line)
        _unfinished(head)
        verdict.end = "inside"
        return None
    method, target, http11 = _request_line(line)
    fields = _fields(lines)
    _host(fields, http11)
    body = _body(fields, http11, rest)
    # An unknown expectation is refused too.
    expected = {item.strip(b" \t").lower() for item in _list(fields, b"expect")}
    _need(not http11 or not expected - {b"", b"100-continue"})
    if body is None:
        verdict.end = "inside"
        return None
    content, taken = body
    pos += len(head) + 4 + taken
    verdict.requests.append((method.decode(), target.decode(), content))
    verdict.ends.append(pos)
    options = {item.strip(b" \t").lower() for item in _list(fields, b"connection")}
    if b"close" in options or (not http11 and b"keep-alive" not in options):
        verdict.end = "closed"
        return None
    return pos


def _request_line(line: bytes) -> tuple[bytes, bytes, bool]:
    match = LINE.fullmatch(line)
    if match is None:
        raise RefusedError
    method, target, major, minor = match.groups()[:4]
    _need(major == b"1" and method != b"CONNECT" and b"#" not in target)
    if not target.startswith(b"/") and (target != b"*" or method != b"OPTIONS"):
        scheme = SCHEME.match(target)
        if scheme is None:
            raise RefusedError
        authority = re.split(rb"[/?]", target[scheme.end() :])[0]
        _need(authority.split(b":")[0] != b"" and _is_host(authority))
    return method, target, minor != b"0"


def _fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    fields: dict[bytes, list[bytes]] = {}
    for text in lines:
        match = FIELD.fullmatch(text)
        if match is None:
            raise RefusedError
        fields.setdefault(match[1].lower(), []).append(match[2].strip(b" \t"))
    return fields


def _host(fields: dict[bytes, list[bytes]], http11: bool) -> None:
    hosts = fields.get(b"host", [])
    _need(len(hosts) <= 1 and (len(hosts) == 1 or not http11))
    _need(all(map(_is_host, hosts)))


def _is_host(host: bytes) -> bool:
    name, port = host, b""
    if host.startswith(b"["):
        name, bracket, rest = host[1:].partition(b"]")
        if not bracket or (rest and not rest.startswith(b":")):
            return False
        port = rest[1:]
        if not FUTURE.fullmatch(name):
            try:
                ipaddress.IPv6Address(name.decode("latin-1"))
            except ValueError:
                return False
            if b"%" in name:
                return False
    else:
        name, _, port = host.partition(b":")
        if not REG_NAME.fullmatch(name):
            return False
    return re.fullmatch(rb"[0-9]*", port) is not None


def _body(fields: dict[bytes, list[bytes]], http11: bool, data: bytes) -> tuple[bytes, int] | None:
    """Return the body and its length in *data*, or None if bytes are missing."""
    codings, lengths = fields.get(b"transfer-encoding"), fields.get(b"content-length")
    if codings is not None:
        _need(http11 and lengths is None and [coding.lower() for coding in codings] == [b"chunked"])
        return _chunks(data)
    if lengths is None:
        return b"", 0
    _need(len(lengths) == 1 and re.fullmatch(rb"[0-9]+", lengths[0]) is not None)
    digits = lengths[0].lstrip(b"0")
    _need(len(digits) <= 18)
    length = int(digits or b"0")
    return None if len(data) < length else (data[:length], length)


def _chunks(data: bytes) -> tuple[bytes, int] | None:
    content, pos = b"", 0
    while True:
        line, end, _ = data[pos:].partition(b"\r\n")
        if not end:
            _unfinished(line)
            return None
        match = SIZE.fullmatch(line)
        if match is None or len(match[1].lstrip(b"0")) > 16:
            raise RefusedError
        size = int(match[1], 16)
        pos += len(line) + 2
        if not size:
            return _trailers(content, data, pos)
        chunk, after = data[pos : pos + size], data[pos + size : pos + size + 2]
        _need(b"\r\n".startswith(after))
        if len(after) < 2:
            return None
        content += chunk
        pos += size + 2


def _trailers(content: bytes, data: bytes, pos: int) -> tuple[bytes, int] | None:
    while True:
        line, end, _ = data[pos:].partition(b"\r\n")
        if not end:
            _unfinished(line)
            return None
        pos += len(line) + 2
        if not line:
            return content, pos
        _need(FIELD.fullmatch(line) is not None)


def _list(fields: dict[bytes, list[bytes]], name: bytes) -> list[bytes]:
    return b",".join(fields.get(name, [])).split(b",")


def _unfinished(text: bytes) -> None:
    """Refuse text that no line can contain, whatever follows."""
    _need(BAD_TEXT.search(text) is None)
    _need(re.search(rb"(^|[^\r])\n", text) is None)


def _need(condition: bool) -> None:
    if not condition:
        raise RefusedError
