"""RFC 9112 §5 and RFC 9110 §5, §7.2: field lines, and the Host."""

from tests.server.corpus.case import AFTER, Section, get, post, saw

S = Section("RFC 9112 §5")
HOST = b"Host: x\r\n"


def with_(fields: bytes) -> bytes:
    """Return a GET with a Host and these fields."""
    return get(fields=HOST + fields)


S.good("white space around a value", get(fields=b"Host:\t x \t\r\n"), saw())
S.good("no white space", get(fields=b"Host:x\r\n"), saw())
S.good("empty value", with_(b"X:\r\n"), saw())
S.good("value of white space", with_(b"X: \t \r\n"), saw())
S.good("colons in a value", with_(b"X: a:b:c\r\n"), saw())
S.good("tab in a value", with_(b"X: a\tb\r\n"), saw())
S.good("bytes past ASCII in a value", with_(b"X: \xc3\xa9\xff\r\n"), saw(), may_refuse=True)
S.good("names in any case", b"GET / HTTP/1.1\r\nhOsT: x\r\n\r\n", saw())
S.good("every character of a token", with_(b"!#$%&'*+-.^_`|~09aZ: x\r\n"), saw())
S.good("the same name twice", with_(b"X: 1\r\nX: 2\r\n"), saw())
S.good("name of one letter", with_(b"X: 1\r\n"), saw())
S.bad("space before the colon", get(fields=b"Host : x\r\n"))
S.bad("tab before the colon", get(fields=b"Host\t: x\r\n"))
S.bad("space before the colon of a length", post(b"Content-Length : 3\r\n", b"abc"))
S.bad("space before the colon of a coding", post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"))
S.bad("space in a name", with_(b"X Y: z\r\n"))
S.bad("folded", with_(b"X: 1\r\n 2\r\n"), may=[[saw()]])
S.bad("folded with a tab", with_(b"X: 1\r\n\t2\r\n"), may=[[saw()]])
S.bad("folded, empty", with_(b"X: 1\r\n \r\n"), may=[[saw()]])
S.bad("folded after an empty value", with_(b"X:\r\n 1\r\n"), may=[[saw()]])
S.bad("folded Host", get(fields=b"Host:\r\n x\r\n"), may=[[saw()]])
S.bad("space before the first field", get(fields=b" X: 1\r\n" + HOST), may=[[saw()]])
S.bad("tab before the first field", get(fields=b"\tX: 1\r\n" + HOST), may=[[saw()]])
S.bad("white space line before the fields", get(fields=b" \r\n" + HOST), may=[[saw()]])
S.bad("no colon", with_(b"nonsense\r\n"))
S.bad("no colon in the first", get(fields=b"nonsense\r\n" + HOST))
S.bad("empty name", with_(b": x\r\n"))
S.bad("colon alone", with_(b":\r\n"))
S.bad("LF behind a field", get(fields=b"Host: x\nX: y\r\n"), may=[[saw()]])
S.bad("LF behind the last field", b"GET / HTTP/1.1\r\nHost: x\n\r\n", may=[[saw()]])
S.bad("LF for the empty line", b"GET / HTTP/1.1\r\nHost: x\r\n\n", may=[[saw()]])
S.bad("CR before the line end", with_(b"X: a\r\r\n"), may=[[saw()]])
S.bad("CR in a name", with_(b"X\rY: a\r\n"))
S.bad("CR for a line end", get(fields=b"Host: x\rX: y\r\n"), may=[[saw()]])
S.bad("CR for the empty line", b"GET / HTTP/1.1\r\nHost: x\r\n\r" + AFTER)
for code in (0, 1, 8, 11, 12, 13, 27, 31, 127):
    # RFC 9110 §5.5 has some kept, or replaced by a space, if need be.
    S.bad(f"control {code} in a value", with_(b"X: a%cb\r\n" % code), may=[[saw()]])
    S.bad(f"control {code} before a value", with_(b"X:%ca\r\n" % code), may=[[saw()]])
    S.bad(f"control {code} in a name", with_(b"X%cY: a\r\n" % code))
for code in b'"(),/;<=>?@[\\]{}\xc3\xff':
    S.bad(f"character {code} in a name", with_(b"X%cY: a\r\n" % code))

H = Section("RFC 9112 §3.2, RFC 9110 §7.2")
for host in (
    "x", "x.example", "X.EXAMPLE", "127.0.0.1", "[::1]", "[2001:db8::1]:8000", "x:", "x:80", "",
    "a_b", "a-b", "a%20b", "[v1.a:b]", "x:65535", "*", "xn--bcher-kva", "a.b.c.",
):  # fmt: skip
    unusual = host in ("", "*", "a%20b", "[v1.a:b]", "a_b", "x:")
    H.good(f"Host {host!r}", get(fields=f"Host: {host}\r\n".encode()), saw(), may_refuse=unusual)
for host in (
    "x/y", "x y", "u@x", "u:p@x", "x:8a", "x:-1", "x:+80", "x:80:80", "[::1", "::1]", "[::1]x",
    "[x]", "[]", "[1.2.3.4]", "[::1%eth0]", "[12345::]", "a%2", "a%zz", "x?", "x#y", "x\\y", "<x>",
    '"x"', "http://x", "x\xe9", "x, y", "x\ty", "[v1.]", ":80:", "[fe80::1%25eth0]", "a|b",
):  # fmt: skip
    H.bad(f"Host {host!r}", get(fields=b"Host: %b\r\n" % host.encode("latin-1")), may=[[saw()]])
H.good("empty Host without a space", get(fields=b"Host:\r\n"), saw(), may_refuse=True)
H.good("none in HTTP/1.0", get(fields=b"", version=b"1.0"), saw(), closes=True)
H.good("one in HTTP/1.0", get(version=b"1.0"), saw(), closes=True)
H.bad("none", get(fields=b""))
H.bad("none but another field", get(fields=b"X: y\r\n"))
H.bad("two", get(fields=HOST + b"Host: y\r\n"))
H.bad("two that are equal", get(fields=HOST + HOST))
H.bad("two in different case", get(fields=HOST + b"HOST: x\r\n"))
H.bad("two, one of them empty", get(fields=HOST + b"Host:\r\n"))
H.bad("two in HTTP/1.0", get(fields=HOST + HOST, version=b"1.0"))
H.bad("bad one in HTTP/1.0", get(fields=b"Host: a b\r\n", version=b"1.0"), may=[[saw()]])
H.bad("with a path", get(fields=b"Host: x/\r\n"), may=[[saw()]])

CASES = [*S.cases, *H.cases]
