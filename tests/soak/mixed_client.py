"""A client that sends requests of every kind and looks at every answer.

``mixed_client.py PORT ROUNDS SEED`` prints one line of JSON: how many requests of each kind were
answered as they should be, how many were given up on purpose, and what went wrong.
"""

import json
import re
import socket
import struct
import sys
import zlib
from collections import Counter
from collections.abc import Callable
from random import Random

from soaktools import FILE, PIECE

_PIPELINED = 64
_ECHOED = re.compile(rb"HTTP/1\.1 200 OK\r\n(?:[^\r\n]+\r\n)*\r\n(\d{8})")
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_RESET = struct.pack("ii", 1, 0)
_SPOOLED = 600_000
_BYTES = bytes(Random(1).randbytes(_SPOOLED + 4096))


class WrongAnswerError(Exception):
    """Raised where an answer is not what was asked for."""


class MixedClient:
    """One client with one kept connection, and others for what ends a connection.

    Args:
        port: Of the server, on the loopback address.
        seed: For what it chooses.
    """

    def __init__(self, port: int, seed: int) -> None:
        self._port = port
        self._random = Random(seed)
        self._next = seed * 1000 % 50_000_000
        self._sock = self._connect()
        self._rest = b""
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._kinds: list[tuple[str, int, int, Callable[[], None]]] = [
            ("pipelined", _PIPELINED, 1, self._pipeline),
            ("kept alive", 1, 16, self._echo),
            ("closing", 1, 4, self._close_after),
            ("HTTP/1.0", 1, 1, self._old),
            ("small body", 1, 6, self._post),
            ("chunked body", 1, 3, self._post_chunks),
            ("100-continue", 1, 1, self._expect),
            ("stream", 1, 2, self._stream),
            ("file", 1, 2, self._file),
            ("not found", 1, 1, lambda: self._fail("/missing", 404)),
            ("server error", 1, 1, lambda: self._fail("/broken", 500)),
            ("malformed", 1, 1, self._malform),
            ("given up", 1, 2, self._give_up),
        ]

    def run(self, rounds: int) -> None:
        """Send *rounds* times one of each kind, as often as it weighs, and look at the answers."""
        for number in range(rounds):
            for name, count, times, act in self._kinds:
                for _ in range(times):
                    self._try(name, count, act)
            if number % 16 == 0:
                self._try("spooled body", 1, lambda: self._post(_SPOOLED))
        self._sock.close()

    def _try(self, name: str, count: int, act: Callable[[], None]) -> None:
        try:
            act()
        except (OSError, WrongAnswerError) as error:
            self.wrong.append(f"{name}: {error!r}")
            self._sock.close()
            self._sock, self._rest = self._connect(), b""
        else:
            self.done[name] += count

    # One kind of request each.

    def _pipeline(self) -> None:
        numbers = [self._number() for _ in range(_PIPELINED)]
        requests = (b"GET /echo?n=%b HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in numbers)
        self._sock.sendall(b"".join(requests))
        data, self._rest = self._rest, b""
        # The number is all of the last body, so that nothing may come after it.
        while not (data.endswith(b"\r\n\r\n" + numbers[-1])):
            data += self._receive(self._sock)
        found = _ECHOED.findall(data)
        if found != numbers:
            raise WrongAnswerError(f"asked for {len(numbers)}, got {len(found)}: {data[:300]!r}")

    def _echo(self) -> None:
        number = self._number()
        self._sock.sendall(b"GET /echo?n=%b HTTP/1.1\r\nHost: x\r\n\r\n" % number)
        self._expect_answer(200, number)

    def _close_after(self) -> None:
        number = self._number()
        head = b"GET /echo?n=%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        self._expect_last(head % number, b"HTTP/1.1 200 ", number)

    def _old(self) -> None:
        number = self._number()
        self._expect_last(b"GET /echo?n=%b HTTP/1.0\r\n\r\n" % number, b"HTTP/1.1 200 ", number)

    def _malform(self) -> None:
        head = b"GET /echo?n=1 HTTP/1.1\r\nHost: x\r\nno field\r\n\r\n"
        self._expect_last(head, b"HTTP/1.1 400 ", b"")

    def _post(self, size: int = 0) -> None:
        body = self._body(size or self._random.randrange(1, 4096))
        head = b"POST /sum HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        self._sock.sendall(head + body)
        self._expect_answer(200, _sum_of(body))

    def _post_chunks(self) -> None:
        pieces = [self._body(self._random.randrange(1, 2000)) for _ in range(3)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        head = b"POST /sum HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        self._sock.sendall(head + chunks + b"0\r\n\r\n")
        self._expect_answer(200, _sum_of(b"".join(pieces)))

    def _expect(self) -> None:
        body = self._body(1000)
        head = b"POST /sum HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nExpect: 100-continue"
        self._sock.sendall(head + b"\r\n\r\n")
        if not self._head().startswith(b"HTTP/1.1 100 "):
            raise WrongAnswerError("no 100 Continue")
        self._sock.sendall(body)
        self._expect_answer(200, _sum_of(body))

    def _stream(self) -> None:
        self._sock.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        self._head()
        body = b""
        while size := int(self._until(b"\r\n"), 16):
            body += self._exactly(size)
            self._exactly(2)
        self._exactly(2)
        if body != PIECE * 8:
            raise WrongAnswerError("a stream was not whole")

    def _file(self) -> None:
        self._sock.sendall(b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n")
        self._expect_answer(200, FILE)

    def _fail(self, path: str, status: int) -> None:
        self._sock.sendall(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        self._expect_answer(status, None)

    def _give_up(self) -> None:
        """Hang up where it hurts: in a head, a body, a chunk, before and inside an answer."""
        sent, reads = self._random.choice(_UNFINISHED)
        with self._connect() as sock:
            sock.sendall(sent)
            if reads:
                self._receive(sock)
            if self._random.random() < 0.5:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    # How it is sent and read.

    def _number(self) -> bytes:
        self._next += 1
        return b"%08d" % self._next

    def _body(self, size: int) -> bytes:
        start = self._random.randrange(4096)
        return _BYTES[start : start + size]

    def _connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def _expect_last(self, request: bytes, start: bytes, end: bytes) -> None:
        """Send *request* on a connection of its own, which the server is to close."""
        with self._connect() as sock:
            sock.sendall(request)
            data = b""
            while piece := sock.recv(65536):
                data += piece
        if not (data.startswith(start) and data.endswith(end)):
            raise WrongAnswerError(f"{request!r} was answered with {data[:300]!r}")

    def _expect_answer(self, status: int, body: bytes | None) -> None:
        head = self._head()
        length = _LENGTH.search(head)
        if length is None:
            raise WrongAnswerError(f"no Content-Length: {head!r}")
        found = self._exactly(int(length[1]))
        if not head.startswith(b"HTTP/1.1 %d " % status) or body not in (None, found):
            raise WrongAnswerError(f"expected {status}, got {head!r} {found[:100]!r}")

    def _head(self) -> bytes:
        return self._until(b"\r\n\r\n")

    def _until(self, end: bytes) -> bytes:
        while end not in self._rest:
            self._rest += self._receive(self._sock)
        data, _, self._rest = self._rest.partition(end)
        return data

    def _exactly(self, count: int) -> bytes:
        while len(self._rest) < count:
            self._rest += self._receive(self._sock)
        data, self._rest = self._rest[:count], self._rest[count:]
        return data

    def _receive(self, sock: socket.socket) -> bytes:
        data = sock.recv(262144)
        if not data:
            raise WrongAnswerError(f"the server closed after {self._rest[:100]!r}")
        return data


_UNFINISHED = [
    (b"", False),
    (b"GET /echo?n=1 HTTP/1.1\r\nHos", False),
    (b"POST /sum HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc", False),
    (b"POST /sum HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n" + _BYTES[:590_000], False),
    (b"POST /sum HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc", False),
    (b"GET /echo?n=1 HTTP/1.1\r\nHost: x\r\n\r\n", False),
    (b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n" * 20, True),
    (b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n", True),
    (b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", True),
]


def _sum_of(body: bytes) -> bytes:
    return b"%d %d" % (len(body), zlib.crc32(body))


#: Requests in a round, without the spooled body that every sixteenth one has.
ROUND = _PIPELINED + 16 + 4 + 1 + 6 + 3 + 1 + 2 + 2 + 1 + 1 + 1 + 2


def main() -> None:
    """Run and print the outcome."""
    port, rounds, seed = map(int, sys.argv[1:])
    client = MixedClient(port, seed)
    client.run(rounds)
    print(json.dumps({"done": client.done, "wrong": client.wrong[:10]}))


if __name__ == "__main__":
    main()
