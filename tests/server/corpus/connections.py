"""RFC 9112 §9, RFC 9110 §7.6.1, §7.8, §10.1.1: persistence, pipelining, upgrades, expectations."""

from tests.server.corpus.case import AFTER, CHUNKED, GET, Section, chunked, get, post, saw

P = Section("RFC 9112 §9.3")
HOST = b"Host: x\r\n"
KEPT = (saw(), saw(target="/after"))


def connection(value: bytes, version: bytes = b"1.1") -> bytes:
    """Return a GET with this Connection, and a request after it."""
    return get(fields=HOST + b"Connection: %b\r\n" % value, version=version) + AFTER


P.good("1.1 persists", GET + AFTER, *KEPT)
for value in (
    b"keep-alive",
    b"Keep-Alive",
    b"",
    b"x",
    b"foo, bar",
    b"closed",
    b"not-close",
    b"close-notify",
    b",",
    b"TE",
):
    P.good(f"1.1 with {value!r}", connection(value), *KEPT)
for value in (
    b"close", b"Close", b"CLOSE", b"keep-alive, close", b"close, keep-alive", b"close,x",
    b"x,close", b" close ", b"\tclose\t", b", close", b"close,", b"x ,\tclose",
):  # fmt: skip
    P.good(f"1.1 with {value!r}", connection(value), saw(), closes=True)
P.good(
    "close in the second field",
    get(fields=HOST + b"Connection: x\r\nConnection: close\r\n") + AFTER,
    saw(),
    closes=True,
)
P.good(
    "close in the first field",
    get(fields=HOST + b"Connection: close\r\nConnection: keep-alive\r\n") + AFTER,
    saw(),
    closes=True,
)
P.good("1.0 closes", get(version=b"1.0") + AFTER, saw(), closes=True)
for value in (b"keep-alive", b"Keep-Alive", b"KEEP-ALIVE", b"x, keep-alive"):
    P.good(f"1.0 with {value!r}", connection(value, b"1.0"), *KEPT)
for value in (b"close", b"x", b"", b"keep-alive, close", b"close, keep-alive", b"keepalive"):
    P.good(f"1.0 with {value!r}", connection(value, b"1.0"), saw(), closes=True)
P.good(
    "Keep-Alive is no Connection",
    get(fields=b"Keep-Alive: timeout=5\r\n", version=b"1.0") + AFTER,
    saw(),
    closes=True,
)
P.good(
    "Proxy-Connection means nothing",
    get(fields=HOST + b"Proxy-Connection: close\r\n") + AFTER,
    *KEPT,
)
P.good(
    "closing, then nonsense",
    get(fields=HOST + b"Connection: close\r\n") + b"\0\0\0",
    saw(),
    closes=True,
)
P.good(
    "closing with a body",
    post(b"Connection: close\r\nContent-Length: 3\r\n", b"abc" + AFTER),
    saw("POST", body=b"abc"),
    closes=True,
)
P.good(
    "closing with chunks",
    post(b"Connection: close\r\n" + CHUNKED, b"0\r\n\r\n" + AFTER),
    saw("POST"),
    closes=True,
)

Q = Section("RFC 9112 §9.3.2", framing=True)
Q.good(
    "three",
    get(b"/1") + get(b"/2") + get(b"/3"),
    saw(target="/1"),
    saw(target="/2"),
    saw(target="/3"),
)
Q.good("equal ones", GET * 5, *[saw()] * 5)
Q.good(
    "after a length",
    post(b"Content-Length: 2\r\n", b"ab") + AFTER,
    saw("POST", body=b"ab"),
    saw(target="/after"),
)
Q.good(
    "after a length of zero",
    post(b"Content-Length: 0\r\n") + AFTER,
    saw("POST"),
    saw(target="/after"),
)
Q.good(
    "after chunks",
    chunked(b"1\r\na\r\n0\r\n\r\n") + AFTER,
    saw("POST", body=b"a"),
    saw(target="/after"),
)
Q.good("after a trailer", chunked(b"0\r\nX: y\r\n\r\n") + AFTER, saw("POST"), saw(target="/after"))
Q.good(
    "after HEAD", b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + AFTER, saw("HEAD"), saw(target="/after")
)
Q.good(
    "after another method",
    b"FOO / HTTP/1.1\r\nHost: x\r\n\r\n" + AFTER,
    saw("FOO"),
    saw(target="/after"),
    may_refuse=True,
)
Q.good(
    "empty line after a body",
    post(b"Content-Length: 2\r\n", b"ab\r\n") + AFTER,
    saw("POST", body=b"ab"),
    saw(target="/after"),
    may_refuse=True,
)
Q.good("half of the second", GET + AFTER[:-2], saw(), waits=True)
Q.good("one byte of the second", GET + b"G", saw(), waits=True)
Q.good("half a head", GET[:-2], waits=True)
Q.good("half a line", b"GET / HT", waits=True)
Q.good("half a Host", b"GET / HTTP/1.1\r\nHo", waits=True)
Q.bad("good, then nonsense", get(b"/1") + b"BAD\x00\r\n\r\n", before=[saw(target="/1")])
Q.bad("good, then no Host", get(b"/1") + get(fields=b""), before=[saw(target="/1")], framing=False)
Q.bad("good, nonsense, good", GET + b"NONSENSE\r\n\r\n" + AFTER, before=[saw()])
Q.bad(
    "more than said is nonsense",
    post(b"Content-Length: 2\r\n", b"abcd\r\n\r\n"),
    before=[saw("POST", body=b"ab")],
)
Q.bad("body without a length", post(b"", b"name=value\r\n\r\n"), before=[saw("POST")])
Q.bad("another version, then good", get(version=b"2.0") + AFTER, 505, framing=False)

U = Section("RFC 9110 §7.8", framing=True)
for offer in (b"h2c", b"websocket", b"TLS/1.0", b"h2c, websocket", b""):
    U.good(
        f"declined {offer!r}",
        get(fields=HOST + b"Connection: upgrade\r\nUpgrade: %b\r\n" % offer) + AFTER,
        *KEPT,
    )
U.good(
    "declined, HTTP2-Settings",
    get(
        fields=HOST
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    )
    + AFTER,
    *KEPT,
)
U.good(
    "declined, then the preface",
    get(fields=HOST + b"Connection: upgrade, close\r\nUpgrade: h2c\r\n")
    + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    saw(),
    closes=True,
)
U.bad(
    "declined, then the preface and kept",
    get(fields=HOST + b"Connection: upgrade\r\nUpgrade: h2c\r\n")
    + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    505,
    before=[saw()],
    framing=False,
)
U.good(
    "with a length",
    post(b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n", b"abc" + AFTER),
    saw("POST", body=b"abc"),
    saw(target="/after"),
)
U.good(
    "with a request as the body",
    post(
        b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n" % len(AFTER), AFTER + AFTER
    ),
    saw("POST", body=AFTER),
    saw(target="/after"),
)
U.good(
    "with chunks",
    post(b"Connection: upgrade\r\nUpgrade: h2c\r\n" + CHUNKED, b"1\r\na\r\n0\r\n\r\n" + AFTER),
    saw("POST", body=b"a"),
    saw(target="/after"),
)
U.good("Upgrade without Connection", get(fields=HOST + b"Upgrade: h2c\r\n") + AFTER, *KEPT)
U.good("Connection without Upgrade", get(fields=HOST + b"Connection: upgrade\r\n") + AFTER, *KEPT)
U.good(
    "in HTTP/1.0",
    get(fields=HOST + b"Connection: upgrade\r\nUpgrade: h2c\r\n", version=b"1.0") + AFTER,
    saw(),
    closes=True,
)
U.good("twice", get(fields=HOST + b"Connection: upgrade\r\nUpgrade: h2c\r\n") * 2, saw(), saw())

X = Section("RFC 9110 §10.1.1", framing=True)
for value in (b"100-continue", b"100-Continue", b"100-CONTINUE"):
    X.good(
        f"expects {value!r}",
        post(b"Expect: %b\r\nContent-Length: 1\r\n" % value, b"a") + AFTER,
        saw("POST", body=b"a"),
        saw(target="/after"),
    )
X.good(
    "expects, with chunks",
    post(b"Expect: 100-continue\r\n" + CHUNKED, b"1\r\na\r\n0\r\n\r\n"),
    saw("POST", body=b"a"),
)
X.good("expects, and waits", post(b"Expect: 100-continue\r\nContent-Length: 1\r\n"), waits=True)
X.good("expects without a body", get(fields=HOST + b"Expect: 100-continue\r\n") + AFTER, *KEPT)
X.good(
    "expects with a length of zero",
    post(b"Expect: 100-continue\r\nContent-Length: 0\r\n") + AFTER,
    saw("POST"),
    saw(target="/after"),
)
X.good(
    "expects in HTTP/1.0",
    b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
    saw("POST", body=b"a"),
    closes=True,
)
X.good(
    "magic in HTTP/1.0",
    b"POST / HTTP/1.0\r\nExpect: magic\r\nContent-Length: 1\r\n\r\na",
    saw("POST", body=b"a"),
    closes=True,
    may_refuse=True,
)
X.good(
    "expects nothing",
    post(b"Expect:\r\nContent-Length: 1\r\n", b"a"),
    saw("POST", body=b"a"),
    may_refuse=True,
)
X.good(
    "expects it twice",
    post(b"Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n", b"a"),
    saw("POST", body=b"a"),
    may_refuse=True,
)
A = saw("POST", body=b"a")
for value in (
    b"magic",
    b"100-continue, magic",
    b"100-continue;x",
    b"100",
    b"200-ok",
    b"100-continue=1",
):
    X.bad(
        f"expects {value!r}",
        post(b"Expect: %b\r\nContent-Length: 1\r\n" % value, b"a"),
        417,
        may=[[A]],
    )
X.bad("expects magic without a body", get(fields=HOST + b"Expect: magic\r\n"), 417, may=[[saw()]])
X.bad(
    "expects, but ambiguous",
    post(b"Expect: 100-continue\r\nContent-Length: 5\r\n" + CHUNKED, b"0\r\n\r\n"),
    may=[[saw("POST")]],
)

CASES = [*P.cases, *Q.cases, *U.cases, *X.cases]
