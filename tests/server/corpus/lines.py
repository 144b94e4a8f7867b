"""RFC 9112 §2.2 and §3: the request line."""

from tests.server.corpus.case import GET, Section, get, saw

S = Section("RFC 9112 §3")
HOST = b"\r\nHost: x\r\n\r\n"


def line(text: bytes) -> bytes:
    """Return a request with this line."""
    return text + HOST


S.good("plain", GET, saw())
S.good("query", get(b"/a/b?x=1&y"), saw(target="/a/b?x=1&y"))
S.good("empty query", get(b"/a?"), saw(target="/a?"))
S.good("question marks in the query", get(b"/a?b?c=?"), saw(target="/a?b?c=?"))
S.good("two slashes", get(b"//a//b"), saw(target="//a//b"))
S.good("dots are the application's", get(b"/a/../b/./c"), saw(target="/a/../b/./c"))
S.good(
    "escapes", get(b"/a%20b%C3%A9%2F?x=%20"),
    saw(target="/a%20b%C3%A9%2F?x=%20", path="/a b\xc3\xa9/"),
)  # fmt: skip
S.good("escaped NUL", get(b"/a%00b"), saw(target="/a%00b", path="/a\0b"), may_refuse=True)
S.good(
    "escaped line end", get(b"/a%0d%0aX:%20y"), saw(target="/a%0d%0aX:%20y", path="/a\r\nX: y"),
    may_refuse=True,
)  # fmt: skip
S.good("escape of nothing", get(b"/a%zz%"), saw(target="/a%zz%"), may_refuse=True)
S.good("all that a path may have", get(b"/-._~!$&'()*+,;=:@"), saw(target="/-._~!$&'()*+,;=:@"))
S.good(
    "what browsers leave bare", get(b"/a?b={|}[]^`"), saw(target="/a?b={|}[]^`"), may_refuse=True
)
S.good("backslash", get(b"/a\\b"), saw(target="/a\\b"), may_refuse=True)
S.bad("space in the target", line(b"GET /a b HTTP/1.1"))
S.bad("request hidden in the target", line(b"GET / HTTP/1.1 /x HTTP/1.1"))
S.bad("fragment", get(b"/a#b"), may=[[saw(target="/a")], [saw(target="/a#b")]])
S.bad("fragment in the query", get(b"/a?b#c"), may=[[saw(target="/a?b")], [saw(target="/a?b#c")]])
S.bad("UTF-8 in the path", get(b"/\xc3\xa9"), may=[[saw(target="/\xc3\xa9")]])
S.bad("UTF-8 in the query", get(b"/?\xc3\xa9"), may=[[saw(target="/?\xc3\xa9")]])
S.bad("byte 0xff in the target", get(b"/\xff"), may=[[saw(target="/\xff")]])
for code in (0, 1, 7, 8, 11, 12, 27, 31, 127):
    S.bad(f"control {code} in the target", get(b"/a%cb" % code))
    S.bad(f"control {code} in the method", line(b"GE%cT / HTTP/1.1" % code))
    S.bad(f"control {code} in the version", line(b"GET / HTTP/1.%c1" % code))
S.bad("tab in the target", get(b"/a\tb"))

S.bad("two spaces before the target", line(b"GET  / HTTP/1.1"), may=[[saw()]])
S.bad("two spaces after the target", line(b"GET /  HTTP/1.1"), may=[[saw()]])
S.bad("tab for the first space", line(b"GET\t/ HTTP/1.1"), may=[[saw()]])
S.bad("tab for the second space", line(b"GET /\tHTTP/1.1"), may=[[saw()]])
S.bad("vertical tab for a space", line(b"GET /\x0bHTTP/1.1"), may=[[saw()]])
S.bad("space at the end", line(b"GET / HTTP/1.1 "), may=[[saw()]])
S.bad("tab at the end", line(b"GET / HTTP/1.1\t"), may=[[saw()]])
S.bad("space at the beginning", line(b" GET / HTTP/1.1"), may=[[saw()]])
S.bad("tab at the beginning", line(b"\tGET / HTTP/1.1"), may=[[saw()]])
S.bad("bare CR in the line", line(b"GET /\rx HTTP/1.1"))
S.bad("bare CR for a space", line(b"GET\r/ HTTP/1.1"), may=[[saw()]])
S.bad("bare CR before the line end", line(b"GET / HTTP/1.1\r"), may=[[saw()]])
S.bad("bare LF behind the line", b"GET / HTTP/1.1\nHost: x\r\n\r\n", may=[[saw()]])
S.bad("bare LF in the target", line(b"GET /a\nb HTTP/1.1"))
S.bad("all lines end in LF", b"GET / HTTP/1.1\nHost: x\n\n", may=[[saw()]])
S.bad("all lines end in CR", b"GET / HTTP/1.1\rHost: x\r\r")
S.bad("no words", line(b"NONSENSE"))
S.bad("no target", line(b"GET HTTP/1.1"))
S.bad("empty target", line(b"GET  HTTP/1.1"))
S.bad("no method", line(b" / HTTP/1.1"))
S.bad("four words", line(b"GET / x HTTP/1.1"))
S.bad("handshake of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
S.bad("SSH", b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
S.bad("only a NUL", b"\0")

V = Section("RFC 9112 §2.3, RFC 9110 §2.5")
V.good("HTTP/1.0", get(version=b"1.0", fields=b""), saw(), closes=True)
V.good("HTTP/1.2 is read as 1.1", get(version=b"1.2"), saw(), may_refuse=True)
V.good("HTTP/1.9 is read as 1.1", get(version=b"1.9"), saw(), may_refuse=True)
V.bad("HTTP/0.9 by name", get(version=b"0.9"), 505)
V.bad("HTTP/0.9, without a version", b"GET /\r\n\r\n")
V.bad("HTTP/2.0", get(version=b"2.0"), 505)
V.bad("HTTP/3.0", get(version=b"3.0"), 505)
V.bad("preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)
V.bad("HTTP/2 in one digit", line(b"GET / HTTP/2"))
V.bad("HTTP/1", line(b"GET / HTTP/1"))
V.bad("HTTP/1.", line(b"GET / HTTP/1."))
V.bad("HTTP/.1", line(b"GET / HTTP/.1"))
V.bad("HTTP/1.10", line(b"GET / HTTP/1.10"))
V.bad("HTTP/01.1", line(b"GET / HTTP/01.1"))
V.bad("HTTP/1.01", line(b"GET / HTTP/1.01"))
V.bad("HTTP/+1.1", line(b"GET / HTTP/+1.1"))
V.bad("HTTP/1,1", line(b"GET / HTTP/1,1"))
V.bad("HTTP/A.B", line(b"GET / HTTP/A.B"))
V.bad("HTTP/", line(b"GET / HTTP/"))
V.bad("HTTP alone", line(b"GET / HTTP"))
V.bad("lower case", line(b"GET / http/1.1"))
V.bad("mixed case", line(b"GET / Http/1.1"))
V.bad("HTTPS", line(b"GET / HTTPS/1.1"))
V.bad("RTSP", line(b"OPTIONS / RTSP/1.0"))
V.bad("ICE", line(b"SOURCE / ICE/1.0"))
V.bad("space inside", line(b"GET / HTTP/1. 1"))
V.bad("superscript digit", line(b"GET / HTTP/1.\xb9"))

M = Section("RFC 9110 §9.1")
KNOWN = ("HEAD", "DELETE", "OPTIONS", "TRACE", "PUT", "PATCH", "PURGE", "PROPFIND", "FOO", "QUERY")
for name in (*KNOWN, "M-SEARCH", "get", "Get", "X", "!#$%&'*+-.^_`|~09"):
    M.good(f"method {name}", line(name.encode() + b" / HTTP/1.1"), saw(name), may_refuse=True)
M.good(
    "method as long as a line", line(b"A" * 180 + b" / HTTP/1.1"), saw("A" * 180), may_refuse=True
)
M.bad(
    "CONNECT",
    line(b"CONNECT x:1 HTTP/1.1"),
    501,
    may=[[saw("CONNECT", path="x:1")], [saw("CONNECT")]],
)
M.bad("CONNECT to a path", line(b"CONNECT / HTTP/1.1"), 501)
M.bad(
    "CONNECT with a body", b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 501
)
for text in (b"G(ET", b"GET:", b'"GET"', b"G@T", b"G,T", b"G/T", b"G\xc3\xa9T", b"G;T", b"{GET}"):
    M.bad(f"no token: {text!r}", line(text + b" / HTTP/1.1"))

F = Section("RFC 9112 §3.2")
F.good("absolute-form", get(b"http://y/p?q"), saw(target="http://y/p?q", path="/p"))
F.good("absolute-form without a path", get(b"http://y"), saw(target="http://y", path="/"))
F.good(
    "absolute-form with a query alone", get(b"http://y?q"), saw(target="http://y?q", path="/"),
    may_refuse=True,
)  # fmt: skip
F.good("absolute-form with a port", get(b"http://y:81/p"), saw(target="http://y:81/p", path="/p"))
F.good("absolute-form, upper case", get(b"HTTP://Y/p"), saw(target="HTTP://Y/p", path="/p"))
F.good("absolute-form, https", get(b"https://y/p"), saw(target="https://y/p", path="/p"))
F.good("absolute-form, IPv6", get(b"http://[::1]:80/p"), saw(target="http://[::1]:80/p", path="/p"))
F.good(
    "absolute-form in HTTP/1.0", get(b"http://y/p", b"", b"1.0"),
    saw(target="http://y/p", path="/p"), closes=True,
)  # fmt: skip
F.good(
    "asterisk for OPTIONS", line(b"OPTIONS * HTTP/1.1"), saw("OPTIONS", "*", path="*"),
    may_refuse=True,
)  # fmt: skip
F.bad("asterisk for GET", get(b"*"))
F.bad("asterisk for options", line(b"options * HTTP/1.1"))
F.bad("asterisk and more", line(b"OPTIONS *x HTTP/1.1"))
F.bad("relative", get(b"a"))
F.bad("query alone", get(b"?a"))
F.bad("authority-form for GET", get(b"x:80"))
F.bad("authority-form for POST", line(b"POST x:80 HTTP/1.1"))
F.bad("host alone", get(b"www.example.com"))
F.bad("another scheme", get(b"ftp://x/"), may=[[saw()]])
F.bad("scheme alone", get(b"http:"))
F.bad("no host", get(b"http:///p"))
F.bad("no host but a port", get(b"http://:80/"))
F.bad("no host but a query", get(b"http://?q"))
F.bad("one slash", get(b"http:/x/p"))
F.bad("user in the target", get(b"http://u@x/"))
F.bad("user and password in the target", get(b"http://u:p@x/"))
F.bad("bad port in the target", get(b"http://x:8a/"))
F.bad("bad literal in the target", get(b"http://[::1/"))
F.bad("absolute-form with a bad Host", get(b"http://y/p", b"Host: a b\r\n"))
F.bad("absolute-form without a Host", get(b"http://y/p", b""))
F.bad("absolute-form with two Hosts", get(b"http://y/p", b"Host: y\r\nHost: y\r\n"))

E = Section("RFC 9112 §2.2")
E.good("empty line before", b"\r\n" + GET, saw(), may_refuse=True)
E.good("three empty lines before", b"\r\n" * 3 + GET, saw(), may_refuse=True)
E.good("eight empty lines before", b"\r\n" * 8 + GET, saw(), may_refuse=True)
E.good("empty line between", GET + b"\r\n" + get(b"/2"), saw(), saw(target="/2"), may_refuse=True)
E.good("empty line and no more", GET + b"\r\n", saw())
E.good("half an empty line", GET + b"\r", saw())
E.bad("nine empty lines", b"\r\n" * 9, may=[[]])
E.bad("nine empty lines before", b"\r\n" * 9 + GET, may=[[saw()]])
E.bad("LF before", b"\n" + GET, may=[[saw()]])
E.bad("CR before", b"\r" + GET, may=[[saw()]])
E.bad("CRLF LF before", b"\r\n\n" + GET, may=[[saw()]])
E.bad("CR CRLF before", b"\r\r\n" + GET, may=[[saw()]])
E.bad("white space line before", b" \r\n" + GET, may=[[saw()]])
E.bad("NUL between", GET + b"\0" + GET, before=[saw()])
E.bad("LF between", GET + b"\n" + GET, before=[saw()], may=[[saw(), saw()]])

CASES = [*S.cases, *V.cases, *M.cases, *F.cases, *E.cases]
