"""Random changes to a client's bytes, with words that matter in HTTP."""

import random

WORDS = [
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b",", b"=", b'"', b"\\", b"#", b"?", b"%", b"*",
    b"/", b"@", b"[", b"]", b"0", b"1", b"a", b"f", b"F", b"-", b"+", b"_", b"0x", b"\x7f", b"\x80", b"\xff", b"\x0b",
    b"0\r\n\r\n", b"1\r\nx\r\n", b"3\r\nabc\r\n", b";a=b", b';a="b"', b" ;a", b"ffffffffffffffff", b"00000000000000000",
    b"GET ", b"POST ", b"HEAD ", b"CONNECT ", b"OPTIONS * ", b"FOO ", b"get ", b" HTTP/1.1", b" HTTP/1.0", b" HTTP/2.0",
    b" HTTP/1.2", b"http://y", b"http://y/", b"https://[::1]:8", b"http://:8",
    b"Host: x\r\n", b"Host:\r\n", b"Host: [::1]\r\n", b"X: y\r\n", b"X_Y: z\r\n", b"Cookie: a\r\n", b" folded\r\n",
    b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"Content-Length: 40\r\n", b"Content-Length: 03\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"chunked", b"identity", b", chunked",
    b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n",
    b"Proxy-Connection: close\r\n", b"Proxy-Connection: keep-alive\r\n", b"Keep-Alive: 1\r\n", b"Upgrade: h2c\r\n",
    b"a" * 20, b"a" * 55, b"X:\r\n" * 4, b"X: " + b"a" * 100 + b"\r\n", b"\r\r\n", b"\n\r\n", b"1\r\nx\r\n" * 20,
    b"Expect: 100-continue\r\n", b"Expect: x\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
]  # fmt: skip
MOST = 2000


class Mutator:
    """Creates new inputs from old ones, with the given random number generator."""

    def __init__(self, random_: random.Random) -> None:
        self._random = random_

    def __repr__(self) -> str:
        return "<Mutator>"

    def mutate(self, data: bytes, other: bytes) -> bytes:
        """Return *data* with a few changes, which may insert parts of *other*."""
        for _ in range(1 + int(self._random.expovariate(0.7))):
            data = self._change(data, other)
        return data[:MOST]

    def _change(self, data: bytes, other: bytes) -> bytes:
        choice = self._random.random
        a, b = self._range(len(data))
        kind = choice()
        if kind < 0.35:
            return data[:a] + self._random.choice(WORDS) + data[a:]
        if kind < 0.45:
            return data[:a] + self._random.choice(WORDS) + data[b:]
        if kind < 0.60:
            return data[:a] + data[b:]
        if kind < 0.70:
            return data[:b] + data[a:b] + data[b:]
        if kind < 0.80:
            c, d = self._range(len(other))
            return data[:a] + other[c:d] + data[a:]
        if kind < 0.85:
            return data + other
        return data[:a] + bytes([self._random.randrange(256)]) + data[a + 1 :]

    def _range(self, size: int) -> tuple[int, int]:
        a = self._random.randint(0, size)
        return a, min(size, a + int(self._random.expovariate(0.15)))
