"""RFC 9112 §7: the chunked coding."""

from tests.server.corpus.case import AFTER, CHUNKED, Section, chunked, post, saw

C = Section("RFC 9112 §7.1", framing=True)
END = b"0\r\n\r\n"


def ok(name: str, content: bytes, body: bytes = b"", may_refuse: bool = False) -> None:
    """Add a body that is right, with a request after it."""
    both = saw("POST", body=body), saw(target="/after")
    C.good(name, chunked(content + AFTER), *both, may_refuse=may_refuse)


def wrong(name: str, content: bytes, status: int = 400, may: bytes | None = None) -> None:
    """Add one that is not; *may* is the body where the RFC lets a server read it."""
    read = [[saw("POST", body=may)]] if may is not None else []
    huge = name.startswith("size of ")
    C.bad(name, chunked(content), status, may=read, may_wait=huge)


ok("empty", END)
ok("one chunk", b"3\r\nabc\r\n" + END, b"abc")
ok("two chunks", b"3\r\nabc\r\n2\r\nde\r\n" + END, b"abcde")
ok("sixteen chunks", b"1\r\nx\r\n" * 16 + END, b"x" * 16)
ok("upper case size", b"A\r\n0123456789\r\n" + END, b"0123456789")
ok("lower case size", b"a\r\n0123456789\r\n" + END, b"0123456789")
ok("size in two digits", b"1A\r\n" + b"z" * 26 + b"\r\n" + END, b"z" * 26)
ok("leading zeros", b"0003\r\nabc\r\n" + END, b"abc")
ok("many leading zeros", b"0" * 60 + b"3\r\nabc\r\n" + END, b"abc", may_refuse=True)
ok("last chunk of many zeros", b"1\r\na\r\n000000\r\n\r\n", b"a")
ok("line ends in the data", b"8\r\n\r\n\r\n0\r\n\x30\r\n" + END, b"\r\n\r\n0\r\n0")
ok("an end in the data", b"5\r\n0\r\n\r\n\r\n" + END, b"0\r\n\r\n")
ok("a request in the data", b"%x\r\n%b\r\n" % (len(AFTER), AFTER) + END, AFTER)
ok("spooled", b"28\r\n" + b"z" * 40 + b"\r\n" + END, b"z" * 40)
ok("extension", b"1;a=b\r\nx\r\n" + END, b"x")
ok("extension without a value", b"1;a\r\nx\r\n" + END, b"x")
ok("two extensions", b"1;a=b;c=d\r\nx\r\n" + END, b"x")
ok("quoted extension", b'1;a="b c;d=\\"e\\""\r\nx\r\n' + END, b"x")
ok("empty quoted extension", b'1;a=""\r\nx\r\n' + END, b"x")
ok("extension of the last chunk", b"1\r\nx\r\n0;a=b\r\n\r\n", b"x")
ok("white space around the semicolon", b"1 ;\ta\r\nx\r\n" + END, b"x", may_refuse=True)
ok("white space around the equals sign", b"1;a = b\r\nx\r\n" + END, b"x", may_refuse=True)
ok(
    "bytes past ASCII in a quoted extension",
    b'1;a="\xc3\xa9"\r\nx\r\n' + END,
    b"x",
    may_refuse=True,
)
ok("trailer", b"1\r\nx\r\n0\r\nX-T: 1\r\n\r\n", b"x")
ok("two trailers", b"1\r\nx\r\n0\r\nX-T: 1\r\nX-U: 2\r\n\r\n", b"x")
ok("trailer without a value", b"0\r\nX-T:\r\n\r\n")
for field in (
    b"Content-Length: 50", b"Transfer-Encoding: chunked", b"Host: evil", b"Connection: close",
    b"Content-Type: a/b", b"Expect: magic", b"Authorization: x", b"Trailer: X",
):  # fmt: skip
    ok(
        f"trailer that may not be one: {field!r}",
        b"1\r\nx\r\n0\r\n" + field + b"\r\n\r\n",
        b"x",
        may_refuse=True,
    )
C.good("size alone", chunked(b"5\r\n"), waits=True)
C.good("half a chunk", chunked(b"5\r\nab"), waits=True)
C.good("no last chunk", chunked(b"1\r\nx\r\n"), waits=True)
C.good("half a last chunk", chunked(b"1\r\nx\r\n0\r\n"), waits=True)
C.good("half a trailer", chunked(b"1\r\nx\r\n0\r\nX-T: 1\r\n"), waits=True)
C.good("half a size", chunked(b"5"), waits=True)

for size in (
    b"xyz", b"0x1", b"0X1", b"-1", b"+1", b"1_0", b"", b"g", b"1g", b"1.", b"1,", b"\xb9", b'"1"',
    b"1 1", b" 1", b"\t1", b"1 ", b"1\t", b"1h", b"#1", b"%31", b"1:", b"one",
):  # fmt: skip
    wrong(
        f"size {size!r}",
        size + b"\r\na\r\n" + END,
        may=b"a" if size in (b"1 ", b"1\t", b" 1", b"\t1") else None,
    )
for size in (b"\x001", b"1\x00", b"\x0b1", b"1\x0b", b"1\x0c", b"1\r", b"\x7f1", b"\n1"):
    wrong(f"size {size!r}", size + b"\r\na\r\n" + END)
wrong("size of 2**64 and more", b"10000000000000001\r\na\r\n" + END)
wrong("size of 17 digits", b"fffffffffffffffff\r\n")
wrong("size of 2**64 less one", b"ffffffffffffffff\r\na\r\n" + END, 413)
wrong("size of 2**32 and one", b"100000001\r\na\r\n" + END, 413)
wrong("size ended by LF", b"1\na\r\n" + END, may=b"a")
wrong("size ended by CR", b"1\ra\r\n" + END)
wrong("data ended by LF", b"1\r\na\n" + END, may=b"a")
wrong("data ended by CR", b"1\r\na\r" + END)
wrong("data ended by nothing", b"1\r\na" + END)
wrong("data ended by two line ends", b"1\r\na\r\n\r\n" + END)
wrong("data ended by a space", b"1\r\na \r\n" + END)
wrong("longer than said", b"1\r\nab\r\n" + END)
wrong("shorter than said", b"3\r\nab\r\n" + END)
wrong("last size ended by LF", b"0\n\r\n")
wrong("end is LF", b"0\r\n\n", may=b"")
wrong("all line ends are LF", b"1\na\n0\n\n", may=b"a")
wrong("end is CR and more", b"0\r\n\rX")
wrong("end is missing", b"0\r\n" + AFTER)
wrong("negative last chunk", b"-0\r\n\r\n")
wrong("last chunk with a prefix", b"0x0\r\n\r\n")
wrong("semicolon alone", b"1;\r\na\r\n" + END, may=b"a")
wrong("two semicolons", b"1;;a\r\na\r\n" + END, may=b"a")
wrong("semicolon at the end", b"1;a;\r\na\r\n" + END, may=b"a")
wrong("extension without a name", b"1;=b\r\na\r\n" + END, may=b"a")
wrong("extension without its value", b"1;a=\r\na\r\n" + END, may=b"a")
wrong("extension with an open quote", b'1;a="b\r\na\r\n' + END, may=b"a")
wrong("extension with a quote in it", b'1;a=b"c"\r\na\r\n' + END, may=b"a")
wrong("extension that is none", b"1;@\r\na\r\n" + END, may=b"a")
wrong("extension of two words", b"1;a b\r\na\r\n" + END, may=b"a")
wrong("extension with LF", b"1;a\nb\r\na\r\n" + END)
wrong("extension with CR", b"1;a\rb\r\na\r\n" + END)
wrong("extension with NUL", b"1;a\0b\r\na\r\n" + END)
wrong("line end in a quoted extension", b'1;a="\r\nb"\r\na\r\n' + END)
wrong("LF in a quoted extension", b'1;a="\n"\r\na\r\n' + END)
wrong("extension ended by LF", b"1;a\na\r\n" + END, may=b"a")
wrong("folded trailer", b"0\r\nX-T: 1\r\n 2\r\n\r\n", may=b"")
wrong("trailer of white space", b"0\r\n \r\n\r\n")
wrong("trailer without a colon", b"0\r\nnonsense\r\n\r\n")
wrong("trailer without a name", b"0\r\n: x\r\n\r\n")
wrong("trailer with a space before the colon", b"0\r\nX : y\r\n\r\n")
wrong("trailer ended by LF", b"0\r\nX: y\n\r\n", may=b"")
wrong("trailer with LF", b"0\r\nX: y\nZ: z\r\n\r\n", may=b"")
wrong("trailer with CR", b"0\r\nX: y\rz\r\n\r\n")
wrong("trailer with NUL", b"0\r\nX: y\0\r\n\r\n")
wrong("trailer with a control in its name", b"0\r\nX\x01: y\r\n\r\n")
wrong("data after the end of the line", b"3\r\nabc0\r\n\r\n")
wrong("a size of spaces", b"   \r\n\r\n")
wrong("nothing but an end", b"\r\n\r\n")
C.bad("size that goes on forever", chunked(b"z" * 20 + b"\n"))
C.bad("fault in the second chunk", chunked(b"1\r\na\r\nz\r\n"))
C.good(
    "chunked after chunked",
    chunked(b"1\r\na\r\n" + END) + chunked(b"1\r\nb\r\n" + END),
    saw("POST", body=b"a"),
    saw("POST", body=b"b"),
)
C.good(
    "length after chunked",
    chunked(END) + post(b"Content-Length: 1\r\n", b"b"),
    saw("POST"),
    saw("POST", body=b"b"),
)
C.good(
    "FOO with chunks",
    b"FOO / HTTP/1.1\r\nHost: x\r\n" + CHUNKED + b"\r\n1\r\na\r\n" + END + AFTER,
    saw("FOO", body=b"a"),
    saw(target="/after"),
    may_refuse=True,
)

CASES = C.cases
