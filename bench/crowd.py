"""Many clients that request a view that waits, all at once, in waves.

Each client requests a different number and must get it back. The program prints ``connected``
when all clients are connected, and then a `Shot` as JSON for each wave. It exits after the wave in
which standard input ends: ``python -m bench.crowd --port 8000 --path /sleep/ --count 5000``. The
rate of a wave is measured from the first request to the last response.
"""

import argparse
import resource
import select
import socket
import sys
import time

from bench import answer, stats
from bench.shot import Shot

_PATIENCE = 60.0


class Crowd:
    """The connections, which are kept between waves.

    Args:
        port: The port of the server on the loopback address.
        path: The path to which a number is appended.
        count: The number of clients.
    """

    def __init__(self, port: int, path: str, count: int) -> None:
        self._path = path
        self._epoll = select.epoll()
        self._clients: dict[int, tuple[int, socket.socket]] = {}
        for number in range(count):
            client = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
            self._clients[client.fileno()] = number, client
            self._epoll.register(client.fileno(), select.EPOLLIN)

    def wave(self, turn: int) -> Shot:
        """Send a request from each client. An error is a response with another's number.

        Raises:
            ValueError: If a response is missing after a minute.
        """
        began = time.perf_counter()
        asked = {}
        for fd, (number, client) in self._clients.items():
            asked[fd] = time.perf_counter(), str(turn * len(self._clients) + number).encode()
            line = f"GET {self._path}{asked[fd][1].decode()} HTTP/1.1\r\nHost: x\r\n\r\n"
            client.sendall(line.encode())
        latencies, errors = self._collect(asked, began + _PATIENCE)
        took = time.perf_counter() - began
        p99_ms = stats.percentile(latencies, 99) * 1000
        return Shot(rate=len(latencies) / took, p99_ms=p99_ms, errors=errors)

    def close(self) -> None:
        """Close all connections."""
        for _, client in self._clients.values():
            client.close()
        self._epoll.close()

    def _collect(
        self, asked: dict[int, tuple[float, bytes]], deadline: float
    ) -> tuple[list[float], int]:
        latencies: list[float] = []
        errors = 0
        parts = dict.fromkeys(asked, b"")
        while parts:
            if time.perf_counter() > deadline:
                raise ValueError(f"{len(parts)} of {len(asked)} clients got no response.")
            for fd, _ in self._epoll.poll(1.0):
                piece = self._clients[fd][1].recv(65536)
                if not piece:
                    raise ValueError("The server closed a connection.")
                parts[fd] += piece
                if answer.end(parts[fd]) is not None:
                    since, expected = asked[fd]
                    latencies.append(time.perf_counter() - since)
                    body = parts.pop(fd).partition(b"\r\n\r\n")[2]
                    errors += body != expected
        return latencies, errors


def main() -> None:
    """Connect, and send waves until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m bench.crowd", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/sleep/")
    parser.add_argument("--count", type=int, default=5000)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = Crowd(options.port, options.path, options.count)
    print("connected", flush=True)
    turn = 0
    while turn == 0 or not select.select([sys.stdin], [], [], 0)[0]:
        print(crowd.wave(turn).to_json(), flush=True)
        turn += 1
    crowd.close()


if __name__ == "__main__":
    main()
