"""RFC 9112 §6 and RFC 9110 §8.6: where a message ends."""

from tests.server.corpus.case import AFTER, CHUNKED, GET, Section, Seen, post, saw

L = Section("RFC 9112 §6.2, RFC 9110 §8.6", framing=True)


def length(value: bytes, body: bytes = b"") -> bytes:
    """Return a POST of this Content-Length."""
    return post(b"Content-Length: %b\r\n" % value, body)


def body(content: bytes) -> Seen:
    """Return the one POST with this content."""
    return saw("POST", body=content)


L.good("length", length(b"3", b"abc"), body(b"abc"))
L.good("length of zero", length(b"0"), body(b""))
L.good("length of zeros", length(b"000"), body(b""))
L.good("leading zeros", length(b"0003", b"abc"), body(b"abc"), may_refuse=True)
L.good("many leading zeros", length(b"0" * 100 + b"3", b"abc"), body(b"abc"), may_refuse=True)
L.good("white space around", post(b"Content-Length:\t 3 \t\r\n", b"abc"), body(b"abc"))
L.good("name in lower case", post(b"content-length: 3\r\n", b"abc"), body(b"abc"))
L.good("line ends in the body", length(b"8", b"\r\n\r\nGET "), body(b"\r\n\r\nGET "))
L.good("a request as the body", length(b"%d" % len(AFTER), AFTER), body(AFTER))
L.good("spooled", length(b"40", b"z" * 40), body(b"z" * 40))
L.good("no length", post(b""), body(b""))
L.good(
    "a body of GET", b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", saw(body=b"abc")
)
L.good(
    "a body of HEAD",
    b"HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + AFTER,
    saw("HEAD", body=b"abc"),
    saw(target="/after"),
)
L.good(
    "a body of FOO",
    b"FOO / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + AFTER,
    saw("FOO", body=b"abc"),
    saw(target="/after"),
    may_refuse=True,
)
L.good(
    "a body of OPTIONS",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + AFTER,
    saw("OPTIONS", "*", b"abc", path="*"),
    saw(target="/after"),
    may_refuse=True,
)
L.good(
    "a body in HTTP/1.0",
    b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
    body(b"abc"),
    closes=True,
)
L.good("less than said", length(b"5", b"abc"), waits=True)
L.good(
    "more than said is the next request",
    length(b"3", b"abc" + AFTER),
    body(b"abc"),
    saw(target="/after"),
)
L.good("no length, and then a request", post(b"", AFTER), body(b""), saw(target="/after"))
L.good(
    "length with underscores is none",
    post(b"Content_Length: 30\r\n", AFTER),
    body(b""),
    saw(target="/after"),
    may_refuse=True,
)
L.good(
    "length in another field is none",
    post(b"X-Content-Length: 30\r\n", AFTER),
    body(b""),
    saw(target="/after"),
)
L.good(
    "Content-Length as a value",
    post(b"X: Content-Length: 30\r\n", AFTER),
    body(b""),
    saw(target="/after"),
)
L.bad("two lengths", post(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"abcd"))
L.bad("two lengths, the other way", post(b"Content-Length: 4\r\nContent-Length: 3\r\n", b"abcd"))
L.bad(
    "two equal lengths",
    post(b"Content-Length: 3\r\nContent-Length: 3\r\n", b"abc"),
    may=[[body(b"abc")]],
)
L.bad("two lengths apart", post(b"Content-Length: 3\r\nX: y\r\ncontent-length: 4\r\n", b"abcd"))
L.bad("two lengths, one zero", post(b"Content-Length: 0\r\nContent-Length: 3\r\n", b"abc"))
L.bad("two lengths, one empty", post(b"Content-Length: 3\r\nContent-Length:\r\n", b"abc"))
L.bad("list of equal lengths", length(b"3, 3", b"abc"), may=[[body(b"abc")]])
L.bad("list of lengths", length(b"3, 4", b"abcd"))
L.bad("list without a space", length(b"3,3", b"abc"), may=[[body(b"abc")]])
L.bad("list with an empty end", length(b"3,", b"abc"), may=[[body(b"abc")]])
for value in (
    b"-1", b"+3", b"-0", b"0x3", b"3.0", b"3e0", b"1_0", b"", b" ", b"abc", b"3 3", b"3\t3",
    b"3;", b"\xb3", b"\xd9\xa3", b'"3"', b"3a", b"a3", b"0b11", b"0o3", b"NaN", b"3\xa0",
    b"\xa03", b"3 ;x", b"(3)",
):  # fmt: skip
    L.bad(f"length {value!r}", length(value, b"abc"))
for value in (b"3\0", b"\x0b3", b"3\x0b", b"3\x0c", b"\x1f3", b"3\r", b"\n3"):
    L.bad(f"length {value!r}", length(value, b"abc"))
L.bad("length of 2**63", length(b"9223372036854775808"), 413, may_wait=True)
L.bad("length of 2**64", length(b"18446744073709551616"), may_wait=True)
L.bad("length of 2**64 and three", length(b"18446744073709551619", b"abc"), may_wait=True)
L.bad("length of 100 digits", length(b"9" * 100), may_wait=True)
L.bad("folded length", post(b"Content-Length:\r\n 3\r\n", b"abc"), may=[[body(b"abc")]])
L.bad("length cut by a fold", post(b"Content-Length: 1\r\n 0\r\n", b"0123456789"))
L.bad("bad length in HTTP/1.0", b"POST / HTTP/1.0\r\nContent-Length: x\r\n\r\nabc")

T = Section("RFC 9112 §6.1, §6.3", framing=True)
END = b"0\r\n\r\n"


def coding(value: bytes, content: bytes = END) -> bytes:
    """Return a POST of this Transfer-Encoding, and a request after it."""
    return post(b"Transfer-Encoding: %b\r\n" % value, content + AFTER)


BOTH = (body(b""), saw(target="/after"))
T.good("chunked", coding(b"chunked"), *BOTH)
T.good("chunked in upper case", coding(b"CHUNKED"), *BOTH)
T.good("chunked in mixed case", coding(b"ChUnKeD"), *BOTH)
T.good("white space around", coding(b"\t chunked \t"), *BOTH)
T.good("tab behind", coding(b"chunked\t"), *BOTH)
T.good("name in upper case", post(b"TRANSFER-ENCODING: chunked\r\n", END + AFTER), *BOTH)
T.good(
    "chunked GET",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + CHUNKED + b"\r\n" + END + AFTER,
    saw(),
    saw(target="/after"),
)
T.good(
    "coding with an underscore is none",
    post(b"Transfer_Encoding: chunked\r\n", AFTER),
    *BOTH,
    may_refuse=True,
)
T.good("TE is no coding", post(b"TE: trailers, chunked\r\n", AFTER), *BOTH)
T.good("Content-Encoding is no coding", post(b"Content-Encoding: chunked\r\n", AFTER), *BOTH)
T.good(
    "coding in HTTP/1.2",
    b"POST / HTTP/1.2\r\nHost: x\r\n" + CHUNKED + b"\r\n" + END + AFTER,
    *BOTH,
    may_refuse=True,
)
for first, second in ((b"Content-Length: 5\r\n", CHUNKED), (CHUNKED, b"Content-Length: 5\r\n")):
    T.bad(f"{first!r} before {second!r}", post(first + second, END + AFTER), may=[[body(b"")]])
T.bad(
    "length of zero and chunked",
    post(b"Content-Length: 0\r\n" + CHUNKED, END + AFTER),
    may=[[body(b"")]],
)
T.bad(
    "two lengths and chunked",
    post(b"Content-Length: 5\r\nContent-Length: 6\r\n" + CHUNKED, END),
    may=[[body(b"")]],
)
T.bad("bad length and chunked", post(b"Content-Length: x\r\n" + CHUNKED, END), may=[[body(b"")]])
T.bad(
    "length and a bad coding",
    post(b"Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n", END + AFTER),
)
T.bad(
    "length and identity",
    post(b"Content-Length: 5\r\nTransfer-Encoding: identity\r\n", END + AFTER),
)
T.bad(
    "length and an empty coding", post(b"Content-Length: 5\r\nTransfer-Encoding:\r\n", END + AFTER)
)
T.bad(
    "chunked and length with Connection",
    post(CHUNKED + b"Content-Length: 5\r\nConnection: Content-Length\r\n", END + AFTER),
    may=[[body(b"")]],
)
for value, status in (
    (b"chunked, chunked", 400), (b"chunked,chunked", 400), (b"chunked, gzip", 400),
    (b"chunked, identity", 400), (b"identity", 400), (b"gzip", 400), (b"xchunked", 400),
    (b"chunkedx", 400), (b"chunked;q=1", 400), (b'"chunked"', 400), (b"'chunked'", 400),
    (b"chunked;", 400), (b"chunked chunked", 400), (b"chunke", 400), (b"cow", 400), (b"", 400),
    (b" ", 400), (b",", 400), (b"chunked\x00", 400), (b"\x0bchunked", 400), (b"chunked\x0b", 400),
    (b"\x0cchunked", 400), (b"chunked\x1f", 400), (b"\x00chunked", 400), (b"chunked\r", 400),
    (b"\nchunked", 400), (b"\xa0chunked", 400), (b"chunked\x85", 400), (b"c\xe8unked", 400),
    (b"gzip;chunked", 400), (b"chunked/1", 400), (b"gzip chunked", 400), (b"(x) chunked", 400),
    (b"identity, chunked, identity", 400), (b"chunked\xff", 400), (b"x\tchunked", 400),
    (b"gzip, chunked", 501), (b"identity, chunked", 501), (b"gzip, deflate, chunked", 501),
    (b"x-foo, chunked", 501), (b"gzip;q=1, chunked", 501),
):  # fmt: skip
    # 501 is what a server SHOULD say; one that reads on knows where the message ends.
    T.bad(f"coding {value!r}", coding(value), status, may=[BOTH] if status == 501 else [])
T.bad("empty element before", coding(b", chunked"), may=[BOTH])
T.bad("empty element behind", coding(b"chunked,"), may=[BOTH])
T.bad("folded coding", post(b"Transfer-Encoding:\r\n chunked\r\n", END + AFTER), may=[BOTH])
T.bad("fold behind the coding", post(b"Transfer-Encoding: chunked\r\n , gzip\r\n", END + AFTER))
T.bad("chunked twice", post(CHUNKED + CHUNKED, END + AFTER))
T.bad("chunked, then identity", post(CHUNKED + b"Transfer-Encoding: identity\r\n", END + AFTER))
for name in (b"identity", b"gzip"):
    fields = b"Transfer-Encoding: %b\r\n" % name + CHUNKED
    T.bad(f"{name!r}, then chunked", post(fields, END + AFTER), 501, may=[BOTH])
T.bad(
    "chunked, then an empty field",
    post(CHUNKED + b"Transfer-Encoding:\r\n", END + AFTER),
    may=[BOTH],
)
T.bad(
    "chunked in HTTP/1.0",
    b"POST / HTTP/1.0\r\nHost: x\r\n" + CHUNKED + b"\r\n" + END + AFTER,
    may=[[body(b"")]],
)
T.bad(
    "chunked in HTTP/1.0, kept alive",
    b"POST / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n" + CHUNKED + b"\r\n" + END + AFTER,
    may=[[body(b"")]],
)
T.bad(
    "both in HTTP/1.0",
    b"POST / HTTP/1.0\r\nContent-Length: 5\r\n" + CHUNKED + b"\r\n" + END,
    may=[[body(b"")]],
)
T.bad(
    "space before the colon",
    post(b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", END + AFTER),
)
T.bad(
    "LF before the coding", post(b"X: y\nTransfer-Encoding: chunked\r\n", END + AFTER), may=[BOTH]
)
T.bad("CR before the coding", post(b"X: y\rTransfer-Encoding: chunked\r\n", END + AFTER))
T.bad("length after a bare CR", post(b"X: y\rContent-Length: 3\r\n", b"abc"))
T.bad("NUL before the coding", post(b"X: y\0\r\n" + CHUNKED, END + AFTER))
T.bad(
    "good, then ambiguous",
    GET + post(b"Content-Length: 5\r\n" + CHUNKED, END),
    before=[saw()],
    may=[[saw(), body(b"")]],
)

CASES = [*L.cases, *T.cases]
