"""Limits, each with its status: RFC 9110 §15.5.14, §15.5.15, RFC 6585 §5."""

from tests.server.corpus.case import CHUNKED, GET, Section, chunked, get, post, saw

# What the cases below are written for.
REQUEST_LINE, HEADER_COUNT, HEADER_BYTES, BODY, BUFFERED = 200, 10, 600, 100, 16

B = Section("limits", limited=True)
HOST = b"Host: x\r\n"


def line(size: int) -> bytes:
    """Return a GET whose request line has so many bytes."""
    return get(b"/" + b"a" * (size - len(b"GET / HTTP/1.1")))


def fields(size: int) -> bytes:
    """Return so many bytes of fields."""
    return HOST + b"X: " + b"a" * (size - len(HOST) - len(b"X: \r\n")) + b"\r\n"


LONGEST = saw(target="/" + "a" * (REQUEST_LINE - len("GET / HTTP/1.1")))
B.good("line of just so many bytes", line(REQUEST_LINE), LONGEST)
B.bad("line of one byte more", line(REQUEST_LINE + 1), 414)
B.bad("line of two bytes more", line(REQUEST_LINE + 2), 414)
B.bad("long line", line(300), 414)
B.bad("endless line", b"GET /" + b"a" * 3000, 414)
B.bad("endless word", b"a" * 3000, 501)
B.bad("endless word that is no method", b"\xff" * 3000, 400)
B.bad("endless line with a fault in it", b"GET /\0" + b"a" * 3000, 400)
B.bad("endless line with a late fault", b"GET /" + b"a" * 3000 + b"\0", 414)
B.bad("long line with a late fault", b"GET /" + b"a" * 3000 + b"\n", 414)
B.bad("long method", b"A" * 300 + b" / HTTP/1.1\r\nHost: x\r\n\r\n", 501)
B.bad("long line of another version", get(b"/" + b"a" * 300, version=b"2.0"), 414)
B.bad("long line after a good one", GET + line(300), 414, before=[saw()])
B.bad("endless line after a good one", GET + b"GET /" + b"a" * 3000, 414, before=[saw()])
B.good("just so many fields", get(fields=HOST + b"X: 1\r\n" * 9), saw())
B.bad("one field more", get(fields=HOST + b"X: 1\r\n" * 10), 431)
B.bad(
    "one field more, all different",
    get(fields=HOST + b"".join(b"X-%d: 1\r\n" % n for n in range(10))),
    431,
)
B.bad("one field more, not seen", get(fields=HOST + b"X_Y: 1\r\n" * 10), 431)
B.bad("many empty fields", get(fields=HOST + b"X:\r\n" * 100), 431)
B.bad("many fields and nonsense", get(fields=HOST + b"X: 1\r\n" * 20 + b"nonsense\r\n"), 431)
B.bad("many fields and a NUL", get(fields=HOST + b"X: 1\r\n" * 20 + b"X: \0\r\n"), 400)
B.bad("many fields and a bare LF", get(fields=HOST + b"X: 1\r\n" * 20 + b"X: \n\r\n"), 400)
B.bad("many fields and a bare CR", get(fields=HOST + b"X: 1\r\n" * 20 + b"X: \r\r\n"), 400)
B.bad("bare CR, then too large", get(fields=fields(HEADER_BYTES)[:-2] + b"\r\r\n"), 400)
B.bad("many fields and no Host", get(fields=b"X: 1\r\n" * 20), 431)
B.bad(
    "many fields after a good one", GET + get(fields=HOST + b"X: 1\r\n" * 10), 431, before=[saw()]
)
B.good("just so many bytes of fields", get(fields=fields(HEADER_BYTES)), saw())
B.bad("one byte of fields more", get(fields=fields(HEADER_BYTES + 1)), 431)
B.bad("two bytes of fields more", get(fields=fields(HEADER_BYTES + 2)), 431)
B.bad("large fields", get(fields=fields(700)), 431)
B.bad("endless fields", b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 3000, 431)
B.bad("endless fields with a fault", b"GET / HTTP/1.1\r\nHost: x\r\nX: \0" + b"a" * 3000, 400)
B.bad(
    "endless fields with a late fault",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 3000 + b"\0",
    431,
)
B.bad("large name", get(fields=HOST + b"X" * 700 + b": 1\r\n"), 431)
B.bad("large fields after a good one", GET + get(fields=fields(700)), 431, before=[saw()])
B.bad("large fields after another version", get(fields=fields(700), version=b"2.0"), 505)
B.good(
    "body of just so many bytes",
    post(b"Content-Length: 100\r\n", b"z" * 100),
    saw("POST", body=b"z" * 100),
)
B.bad("body of one byte more", post(b"Content-Length: 101\r\n", b"z" * 101), 413)
B.bad("large body, nothing of it", post(b"Content-Length: 101\r\n"), 413)
B.bad("large body, expected", post(b"Content-Length: 101\r\nExpect: 100-continue\r\n"), 413)
B.bad("huge body", post(b"Content-Length: 999999999999999\r\n"), 413)
B.good(
    "chunks of just so many bytes",
    chunked(b"32\r\n" + b"z" * 50 + b"\r\n32\r\n" + b"z" * 50 + b"\r\n0\r\n\r\n"),
    saw("POST", body=b"z" * 100),
)
B.bad("chunk of one byte more", chunked(b"65\r\n" + b"z" * 101 + b"\r\n0\r\n\r\n"), 413)
B.bad(
    "chunks of one byte more",
    chunked(b"32\r\n" + b"z" * 50 + b"\r\n33\r\n" + b"z" * 51 + b"\r\n0\r\n\r\n"),
    413,
)
B.bad("large chunk, nothing of it", chunked(b"65\r\n"), 413)
B.good("just so many trailers", chunked(b"0\r\n" + b"X: 1\r\n" * 10 + b"\r\n"), saw("POST"))
B.bad("one trailer more", chunked(b"0\r\n" + b"X: 1\r\n" * 11 + b"\r\n"), 431)
B.good(
    "just so large a trailer",
    chunked(b"0\r\nX: " + b"a" * (HEADER_BYTES - 5) + b"\r\n\r\n"),
    saw("POST"),
)
B.bad(
    "one byte of a trailer more",
    chunked(b"0\r\nX: " + b"a" * (HEADER_BYTES - 4) + b"\r\n\r\n"),
    431,
)
B.bad("endless trailer", chunked(b"0\r\nX: " + b"a" * 3000), 431)
B.bad("endless extension", chunked(b"1;a=" + b"b" * 3000), 431)
B.bad("large extension", chunked(b"1;a=" + b"b" * 700 + b"\r\nx\r\n0\r\n\r\n"), 431)
B.bad("many extensions", chunked((b"1;a=" + b"b" * 100 + b"\r\nx\r\n") * 10), 431)
B.bad("endless size", chunked(b"0" * 3000), 431)
B.bad("endless nonsense for a size", chunked(b"z" * 3000), 431)
B.bad(
    "large trailer after extensions",
    chunked(b"0;a=" + b"b" * 400 + b"\r\nX: " + b"a" * 300 + b"\r\n\r\n"),
    431,
)
B.good(
    "many small chunks", chunked(b"1\r\nx\r\n" * 100 + b"0\r\n\r\n"), saw("POST", body=b"x" * 100)
)
B.bad("chunked and too large in HTTP/1.0", b"POST / HTTP/1.0\r\n" + CHUNKED + b"\r\n65\r\n", 400)

CASES = B.cases
