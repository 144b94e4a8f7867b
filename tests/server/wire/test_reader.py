"""`RequestReader`: what is one request, what is several, and what is refused.

Every case is fed whole, byte by byte, and in random pieces, and has the same outcome each time.
"""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dewar.server.wire.head import FieldNames
from dewar.server.wire.limits import Limits
from dewar.server.wire.reader import Phase, RequestReader

LIMITS = Limits(request_line=200, header_count=10, header_bytes=600, body=100, buffered_body=16)
HOST = b"Host: x\r\n"


def get(target: bytes = b"/", fields: bytes = HOST, version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET %b %b\r\n%b\r\n" % (target, version, fields)


def post(fields: bytes, body: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\n%b\r\n%b" % (fields, body)


CHUNKED = b"Transfer-Encoding: chunked\r\n"

# name: (bytes, what is read as "METHOD path?query body", the status of the refusal or None)
CASES: dict[str, tuple[bytes, list[str], str | None]] = {
    # Requests as they should be.
    "plain": (get(), ["GET /"], None),
    "query": (get(b"/a/b?x=1&y"), ["GET /a/b?x=1&y"], None),
    "empty query": (get(b"/a?"), ["GET /a"], None),
    "escapes": (get(b"/a%20b%C3%A9%2F?x=%20"), ["GET /a b\xc3\xa9/?x=%20"], None),
    "absolute form": (get(b"http://y/p?q"), ["GET /p?q"], None),
    "absolute form without path": (get(b"http://y"), ["GET /"], None),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", ["OPTIONS "], None),
    "length": (post(b"Content-Length: 3\r\n", b"abc"), ["POST / abc"], None),
    "length zero": (post(b"Content-Length: 0\r\n"), ["POST /"], None),
    "spooled": (post(b"Content-Length: 40\r\n", b"z" * 40), ["POST / " + "z" * 40], None),
    "chunked": (post(CHUNKED, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), ["POST / abcde"], None),
    "chunked upper case": (
        post(b"transfer-encoding: CHUNKED\r\n", b"A\r\n0123456789\r\n0\r\n\r\n"),
        ["POST / 0123456789"], None,
    ),
    "chunk extension": (post(CHUNKED, b"1;a=b\r\nx\r\n0\r\n\r\n"), ["POST / x"], None),
    "trailers": (post(CHUNKED, b"1\r\nx\r\n0\r\nX-T: 1\r\n\r\n"), ["POST / x"], None),
    "pipelined": (get(b"/1") + get(b"/2") + get(b"/3"), ["GET /1", "GET /2", "GET /3"], None),
    "pipelined after a body": (
        post(b"Content-Length: 2\r\n", b"ab") + get(b"/2"), ["POST / ab", "GET /2"], None,
    ),
    "pipelined after chunks": (
        post(CHUNKED, b"1\r\na\r\n0\r\n\r\n") + get(b"/2"), ["POST / a", "GET /2"], None,
    ),
    "empty line before": (b"\r\n" + get(), ["GET /"], None),
    "http 1.0": (get(version=b"HTTP/1.0", fields=b""), ["GET /"], None),
    "closing": (get(fields=HOST + b"Connection: close\r\n") + get(b"/no"), ["GET /"], None),
    "white space around a value": (get(fields=b"Host:\t x \t\r\n"), ["GET /"], None),
    "upgrade declined": (
        get(fields=HOST + b"Connection: upgrade\r\nUpgrade: h2c\r\n") + get(b"/2"),
        ["GET /", "GET /2"], None,
    ),
    "expectation": (
        post(b"Content-Length: 1\r\nExpect: 100-continue\r\n", b"a"), ["POST / a"], None,
    ),
    # Where a message ends must not be in doubt (RFC 9112 §6.3, §11.2).
    "length and chunked": (
        post(b"Content-Length: 3\r\n" + CHUNKED, b"0\r\n\r\n"), [], "400",
    ),
    "chunked and length": (post(CHUNKED + b"Content-Length: 3\r\n"), [], "400"),
    "two lengths": (post(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"abcd"), [], "400"),
    "two equal lengths": (post(b"Content-Length: 3\r\nContent-Length: 3\r\n", b"abc"), [], "400"),
    "list of lengths": (post(b"Content-Length: 3, 3\r\n", b"abc"), [], "400"),
    "negative length": (post(b"Content-Length: -1\r\n"), [], "400"),
    "signed length": (post(b"Content-Length: +1\r\n", b"a"), [], "400"),
    "hex length": (post(b"Content-Length: 0x1\r\n", b"a"), [], "400"),
    "empty length": (post(b"Content-Length: \r\n"), [], "400"),
    "length with underscore": (post(b"Content-Length: 1_0\r\n"), [], "400"),
    "huge length": (post(b"Content-Length: 99999999999999999999999\r\n"), [], "400"),
    "chunked twice": (post(CHUNKED + CHUNKED, b"0\r\n\r\n"), [], "4xx or 501"),
    "chunked not last": (post(b"Transfer-Encoding: chunked, gzip\r\n"), [], "4xx or 501"),
    "unknown coding": (post(b"Transfer-Encoding: gzip, chunked\r\n"), [], "4xx or 501"),
    "nonsense coding": (post(b"Transfer-Encoding: xchunked\r\n"), [], "4xx or 501"),
    "coding with a tab": (post(b"Transfer-Encoding: \x0bchunked\r\n"), [], "4xx or 501"),
    "chunked in 1.0": (
        b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", [], "400",
    ),
    "bad chunk size": (post(CHUNKED, b"xyz\r\nabc\r\n0\r\n\r\n"), [], "400"),
    "chunk size with prefix": (post(CHUNKED, b"0x1\r\na\r\n0\r\n\r\n"), [], "400"),
    "negative chunk size": (post(CHUNKED, b"-1\r\na\r\n0\r\n\r\n"), [], "400"),
    "chunk size with space": (post(CHUNKED, b"1 \r\na\r\n0\r\n\r\n"), [], "400"),
    "chunk longer than said": (post(CHUNKED, b"1\r\nab\r\n0\r\n\r\n"), [], "400"),
    "chunk ended by LF": (post(CHUNKED, b"1\na\r\n0\r\n\r\n"), [], "400"),
    "chunk data ended by LF": (post(CHUNKED, b"1\r\na\n0\r\n\r\n"), [], "400"),
    "huge chunk size": (post(CHUNKED, b"fffffffffffffffff\r\n"), [], "400"),
    # Fields (RFC 9112 §5).
    "space before colon": (get(fields=b"Host : x\r\n"), [], "400"),
    "folded field": (get(fields=HOST + b"X-A: 1\r\n 2\r\n"), [], "400"),
    "folded with tab": (get(fields=HOST + b"X-A: 1\r\n\t2\r\n"), [], "400"),
    "space before first field": (get(fields=b" X: 1\r\n" + HOST), [], "400"),
    "no colon": (get(fields=HOST + b"nonsense\r\n"), [], "400"),
    "empty name": (get(fields=HOST + b": x\r\n"), [], "400"),
    "NUL in a value": (get(fields=HOST + b"X: a\0b\r\n"), [], "400"),
    "CR in a value": (get(fields=HOST + b"X: a\rb\r\n"), [], "400"),
    "bare LF between fields": (b"GET / HTTP/1.1\nHost: x\n\n", [], "400"),
    "bare LF after a field": (get(fields=b"Host: x\nX: y\r\n"), [], "400"),
    "control in a name": (get(fields=HOST + b"X\x01: y\r\n"), [], "400"),
    "no host": (get(fields=b""), [], "400"),
    "two hosts": (get(fields=HOST + b"Host: y\r\n"), [], "400"),
    "bad host": (get(fields=b"Host: x/y\r\n"), [], "400"),
    "host with a space": (get(fields=b"Host: x y\r\n"), [], "400"),
    "host with user": (get(fields=b"Host: u@x\r\n"), [], "400"),
    # The request line (RFC 9112 §3).
    "fragment": (get(b"/a#b"), [], "400"),
    "relative target": (get(b"a"), [], "400"),
    "asterisk for GET": (get(b"*"), [], "400"),
    # RFC 9112 §3 lets a server split the line at any white space; llhttp does at spaces.
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", ["GET /"], None),
    "space in the target": (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", [], "400"),
    "http 0.9": (b"GET /\r\n\r\n", [], "4xx or 505"),
    "http 2": (get(version=b"HTTP/2.0"), [], "505"),
    "http 1.2": (get(version=b"HTTP/1.2"), [], "4xx or 505"),
    "lower case version": (get(version=b"http/1.1"), [], "400"),
    "no version number": (get(version=b"HTTP/"), [], "400"),
    "unknown method": (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", [], "400"),
    "lower case method": (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", [], "400"),
    "no request": (b"NONSENSE\r\n\r\n", [], "400"),
    "connect": (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", [], "501"),
    "garbage": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [], "400"),
    "unknown expectation": (post(b"Expect: magic\r\nContent-Length: 1\r\n"), [], "417"),
    # Limits, each with its status.
    "long target": (get(b"/" + b"a" * 300), [], "414"),
    "many fields": (get(fields=HOST + b"".join(b"X-%d: 1\r\n" % n for n in range(12))), [], "431"),
    "large fields": (get(fields=HOST + b"X: " + b"a" * 700 + b"\r\n"), [], "431"),
    "large body": (post(b"Content-Length: 101\r\n"), [], "413"),
    "large chunked body": (post(CHUNKED, b"66\r\n" + b"a" * 102 + b"\r\n0\r\n\r\n"), [], "413"),
    "as many fields as allowed": (
        get(fields=HOST + b"".join(b"X-%d: 1\r\n" % n for n in range(9))), ["GET /"], None,
    ),
    "one field too many": (
        get(fields=HOST + b"".join(b"X-%d: 1\r\n" % n for n in range(10))), [], "431",
    ),
    "one field too many by repetition": (get(fields=HOST + b"X: 1\r\n" * 10), [], "431"),
    "one field too many, not seen": (get(fields=HOST + b"X_Y: 1\r\n" * 10), [], "431"),
    # The second message of a read has the same limits as the first.
    "long target, pipelined": (get() + get(b"/" + b"a" * 300), ["GET /"], "414"),
    "many fields, pipelined": (get() + get(fields=HOST + b"X: 1\r\n" * 10), ["GET /"], "431"),
    "large fields, pipelined": (
        get() + get(fields=HOST + b"X: " + b"a" * 700 + b"\r\n"), ["GET /"], "431",
    ),
    "endless target, pipelined": (get() + b"GET /" + b"a" * 3000, ["GET /"], "414"),
    # A fault comes after what was right before it.
    "good, then bad": (get(b"/1") + b"BAD\x00\r\n\r\n", ["GET /1"], "4xx or 501"),
}  # fmt: skip


def read(pieces: list[bytes]) -> tuple[list[str], str | None]:
    reader = RequestReader({"SERVER_PROTOCOL": "HTTP/1.1"}, FieldNames(), LIMITS)
    for piece in pieces:
        reader.feed(piece)
    requests = []
    for request in reader.completed:
        environ = request.environ
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        body = b"" if request.body is None else request.body.read()
        text = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}{query} {body.decode()}"
        requests.append(text.rstrip(" ") or text)
    reader.discard()
    return requests, reader.refusal and reader.refusal.status[:3]


def check(name: str, pieces: list[bytes]) -> None:
    _, expected, status = CASES[name]
    requests, refused = read(pieces)
    assert requests == [text.rstrip(" ") for text in expected]
    if status is not None and status.startswith("4xx or "):
        assert refused is not None
        assert refused.startswith("4") or refused == status[-3:]
    else:
        assert refused == status


@pytest.mark.parametrize("name", CASES)
def test_a_message_is_read_whole(name: str) -> None:
    """All bytes at once."""
    check(name, [CASES[name][0]])


@pytest.mark.parametrize("name", CASES)
def test_a_message_is_read_byte_by_byte(name: str) -> None:
    """As a client that types does it."""
    data = CASES[name][0]
    check(name, [data[n : n + 1] for n in range(len(data))])


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(CASES)), st.lists(st.integers(0, 1000), max_size=8))
def test_a_message_is_read_in_any_pieces(name: str, cuts: list[int]) -> None:
    """However the network cut it."""
    data = CASES[name][0]
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    check(name, [data[a:b] for a, b in pairwise(places)])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(1, 50))
def test_no_bytes_at_all_make_the_reader_raise(data: bytes, size: int) -> None:
    """Whatever comes, it is read, refused, or waited for."""
    reader = RequestReader({}, FieldNames(), LIMITS)
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
    assert reader.phase in Phase


def test_the_environ_has_what_pep_3333_asks_for() -> None:
    """Fields under their keys; the two that have none of the prefix; repeats joined."""
    reader = RequestReader({"SERVER_PROTOCOL": "HTTP/1.1"}, FieldNames(), Limits())
    reader.feed(
        b"POST /p?q HTTP/1.1\r\nHost: h:1\r\nContent-Type: a/b\r\nContent-Length: 1\r\n"
        b"X-Twice: 1\r\nx-twice: 2\r\nCookie: a=1\r\nCookie: b=2\r\nX_Forged: 1\r\n\r\nz"
    )
    environ: dict[str, Any] = reader.completed[0].environ
    assert environ["wsgi.input"].read() == b"z"
    del environ["wsgi.input"]
    assert environ == {
        "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": "POST", "REQUEST_URI": "/p?q",
        "PATH_INFO": "/p", "QUERY_STRING": "q", "HTTP_HOST": "h:1", "CONTENT_TYPE": "a/b",
        "CONTENT_LENGTH": "1", "HTTP_X_TWICE": "1, 2", "HTTP_COOKIE": "a=1; b=2",
    }  # fmt: skip


def test_a_trailer_never_reaches_the_environ() -> None:
    """It would come after everything was checked."""
    reader = RequestReader({}, FieldNames(), Limits())
    reader.feed(post(CHUNKED, b"1\r\nx\r\n0\r\nX-Forged: 1\r\nHost: evil\r\n\r\n"))
    environ = reader.completed[0].environ
    assert environ["HTTP_HOST"] == "x"
    assert "HTTP_X_FORGED" not in environ
