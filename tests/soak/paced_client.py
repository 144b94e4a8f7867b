"""A client with an even pace that measures how long its answers take.

``paced_client.py PORT SECONDS RATE`` sends RATE requests per second on kept connections, and
prints one line of JSON with the p50 and the p99 of the latencies in microseconds. A request that
is due is sent whether or not earlier ones have been answered, on a connection that is free; what
it waits counts.
"""

import json
import select
import socket
import sys
import time
from collections import deque

_ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
_CONNECTIONS = 32
_TIMEOUT = 30.0


class PacedClient:
    """Sends requests when they are due, and not when the server has time.

    Args:
        port: Of the server, on the loopback address.
        rate: Requests per second.
    """

    def __init__(self, port: int, rate: float) -> None:
        self._gap = 1 / rate
        # In turns: one that is left alone for long is closed by the server.
        self._free = deque(self._connect(port) for _ in range(_CONNECTIONS))
        self._due_of: dict[socket.socket, float] = {}
        self.latencies: list[int] = []
        self.wrong = 0

    def run(self, seconds: float) -> None:
        """Send for *seconds*, and wait for the last answers."""
        began = time.perf_counter()
        sent, count = 0, round(seconds / self._gap)
        while sent < count or self._due_of:
            now = time.perf_counter()
            due = began + sent * self._gap
            while sent < count and due <= now and self._free:
                sock = self._free.popleft()
                self._due_of[sock] = due
                sock.sendall(_ASK)
                sent += 1
                due = began + sent * self._gap
            if now > began + seconds + _TIMEOUT:
                self.wrong += len(self._due_of) + count - sent
                return
            waits = sent < count and self._free
            self._take_answers(max(0.0, due - time.perf_counter()) if waits else _TIMEOUT)

    def _take_answers(self, patience: float) -> None:
        # select, because its clock is finer than the milliseconds of epoll's.
        for sock in select.select(list(self._due_of), [], [], patience)[0]:
            data = sock.recv(65536)
            self.latencies.append(round((time.perf_counter() - self._due_of.pop(sock)) * 1e6))
            if not data.startswith(b"HTTP/1.1 200 ") or not data.endswith(b"index"):
                self.wrong += 1
            self._free.append(sock)

    @staticmethod
    def _connect(port: int) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock


def main() -> None:
    """Run and print what was found."""
    port, seconds, rate = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    client = PacedClient(port, rate)
    client.run(seconds)
    latencies = sorted(client.latencies)
    p50, p99 = (latencies[len(latencies) * share // 100] for share in (50, 99))
    print(json.dumps({"p50": p50, "p99": p99, "count": len(latencies), "wrong": client.wrong}))


if __name__ == "__main__":
    main()
