"""Many slow or idle clients in one process.

``crowd.py PORT KIND=COUNT ...`` connects them and prints a line of JSON when all of them are
there. It goes on until a line comes on standard input, and prints what has become of them. Kinds:

- ``head``: sends one byte of a head per second, and begins again where the server hangs up;
- ``body``: the same with a body;
- ``reader``: asks for 8 MiB and reads a KiB per second;
- ``idle``: asks once and waits. At the line, each of them asks once more.
"""

import json
import select
import socket
import sys
import time
from collections import Counter, deque

from soaktools import raise_descriptor_limit

_ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
# Slow in its sending: long enough that no deadline of ours sees its end.
_HEAD = b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"a" * 4000
_BODY = b"POST /sum HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
_READ = 1024
_SMALL = 4096


class Crowd:
    """The clients. One thread serves all of them: each has a turn per second.

    Args:
        port: Of the server, on the loopback address.
        counts: How many there are of each kind.
    """

    def __init__(self, port: int, counts: dict[str, int]) -> None:
        self._port = port
        self._kinds = [kind for kind, count in counts.items() for _ in range(count)]
        self._socks = [self._begin(kind) for kind in self._kinds]
        self._sent = [0] * len(self._kinds)
        self.seen: Counter[str] = Counter()

    def wait(self) -> None:
        """Take turns until standard input has a line."""
        is_idle = set(self._kinds) <= {"idle"}
        turns = deque(range(len(self._kinds)))
        pause = 1.0 / max(1, len(turns))
        due = time.monotonic()
        while True:
            due += pause
            patience = None if is_idle else max(0.0, due - time.monotonic())
            if select.select([sys.stdin], [], [], patience)[0]:
                sys.stdin.readline()
                return
            self._turn(turns[0])
            turns.rotate(-1)

    def finish(self) -> None:
        """Have the idle ones ask once more; hang up all."""
        for kind, sock in zip(self._kinds, self._socks, strict=True):
            if kind == "idle":
                self._ask(sock, "answered at the end")
            sock.close()

    def _begin(self, kind: str) -> socket.socket:
        sock = socket.socket()
        sock.settimeout(30)
        if kind == "reader":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
        sock.connect(("127.0.0.1", self._port))
        if kind == "idle":
            sock.sendall(_ASK)
            sock.recv(65536)
        elif kind == "reader":
            sock.sendall(_ASK.replace(b"/ ", b"/large ", 1))
            # There from its first byte on: what a large response costs at first is no slowness.
            sock.recv(1, socket.MSG_PEEK)
        elif kind == "body":
            sock.sendall(_BODY)
        if kind != "idle":
            sock.setblocking(False)
        return sock

    def _turn(self, number: int) -> None:
        kind, sock = self._kinds[number], self._socks[number]
        try:
            if kind == "reader":
                if not sock.recv(_READ):
                    self._begin_again(number)
                return
            at = self._sent[number]
            sock.sendall(_HEAD[at : at + 1] if kind == "head" else b"b")
            self._sent[number] += 1
            self.seen[f"bytes of a {kind}"] += 1
            if answer := sock.recv(65536):
                self.seen[f"{kind}: {answer.partition(b' ')[2][:3].decode()}"] += 1
            self._begin_again(number)
        except BlockingIOError:
            return  # nothing to say yet: it is still there
        except OSError:
            self._begin_again(number)

    def _begin_again(self, number: int) -> None:
        kind = self._kinds[number]
        self.seen[f"{kind}: ended by the server"] += 1
        self._socks[number].close()
        self._sent[number] = 0
        self._socks[number] = self._begin(kind)

    def _ask(self, sock: socket.socket, name: str) -> None:
        try:
            sock.sendall(_ASK)
            if sock.recv(65536).startswith(b"HTTP/1.1 200 "):
                self.seen[name] += 1
        except OSError as error:
            self.seen[f"failed: {error}"] += 1


def main() -> None:
    """Connect, wait, and print what was seen."""
    raise_descriptor_limit()
    counts = {kind: int(count) for kind, _, count in (a.partition("=") for a in sys.argv[2:])}
    crowd = Crowd(int(sys.argv[1]), counts)
    print(json.dumps({"connected": len(crowd._socks)}), flush=True)
    crowd.wait()
    crowd.finish()
    print(json.dumps(crowd.seen), flush=True)


if __name__ == "__main__":
    main()
