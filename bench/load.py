"""A load generator that only needs the standard library, if wrk is not installed.

Each connection has one request in progress, and sends the next when the response is complete. The
program prints a `Shot` as JSON: ``python -m bench.load --port 8000 --path / --seconds 2``.

PERF: responses to the same request usually have the same size. So `_Client.is_whole` compares the
length, and only parses the head if the size is new. This client is fast enough for most servers.
If it is not, `Shot.busy` shows it.
"""

import argparse
import select
import selectors
import socket
import time
from array import array
from collections.abc import Callable, Sequence

from bench import answer, stats
from bench.shot import Shot

Poll = Callable[[float], Sequence[tuple[int, int]]]


class _Client:
    """One keep-alive connection."""

    __slots__ = ("buffer", "socket", "started", "usual")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.usual = -1
        self.started = 0.0

    def is_whole(self, data: bytes) -> bool:
        """Add received bytes, and return whether the response is complete and successful.

        Raises:
            ValueError: If the response is not 2xx, or its end cannot be determined.
        """
        if len(data) == self.usual and data.startswith(b"HTTP/1.1 200") and not self.buffer:
            return True
        self.buffer += data
        stop = answer.end(self.buffer)
        if stop is None:
            return False
        whole, self.buffer = self.buffer[:stop], self.buffer[stop:]
        if answer.status(whole) // 100 != 2:
            raise ValueError(f"The response has the status {answer.status(whole)}.")
        if answer.is_last(whole):
            raise ValueError("The server closes the connection after each response: no keep-alive.")
        self.usual = stop
        return True


class _Load:
    """Several clients, and the figures they measure."""

    def __init__(self, port: int, request: bytes, connections: int) -> None:
        self.port = port
        self.request = request
        self.latencies = array("d")
        self.errors = 0
        self.clients: dict[int, _Client] = {}
        self.poll, self._watch, self._forget = _poller()
        for _ in range(connections):
            self._open()

    def _open(self) -> None:
        client = _Client(self.port)
        self.clients[client.socket.fileno()] = client
        self._watch(client.socket.fileno())
        client.started = time.perf_counter()
        client.socket.sendall(self.request)

    def _replace(self, descriptor: int) -> None:
        self.errors += 1
        self._forget(descriptor)
        self.clients.pop(descriptor).socket.close()
        self._open()

    def run(self, seconds: float) -> None:
        """Keep all clients busy for this long."""
        clock, request, clients = time.perf_counter, self.request, self.clients
        record = self.latencies.append
        deadline = clock() + seconds
        while clock() < deadline:
            for descriptor, _ in self.poll(0.05):
                client = clients[descriptor]
                try:
                    data = client.socket.recv(65536)
                    if not data:
                        raise ConnectionResetError("The server closed the connection.")
                    if client.is_whole(data):
                        now = clock()
                        record(now - client.started)
                        client.started = now
                        client.socket.sendall(request)
                except (OSError, ValueError):
                    self._replace(descriptor)

    def close(self) -> None:
        """Close every connection."""
        for client in self.clients.values():
            client.socket.close()


def _poller() -> tuple[Poll, Callable[[int], object], Callable[[int], object]]:
    """Return functions that poll, watch and forget descriptors, with epoll if available."""
    if hasattr(select, "epoll"):
        epoll = select.epoll()
        return epoll.poll, lambda fd: epoll.register(fd, select.EPOLLIN), epoll.unregister
    selector = selectors.DefaultSelector()
    return (
        lambda timeout: [(key.fd, mask) for key, mask in selector.select(timeout)],
        lambda fd: selector.register(fd, selectors.EVENT_READ),
        selector.unregister,
    )


def fire(port: int, path: str, connections: int, seconds: float) -> Shot:
    """Load one server and return the measured figures.

    Raises:
        OSError: If the server cannot be reached.
        ValueError: If it sent no response.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    began, cpu = time.perf_counter(), time.process_time()
    load = _Load(port, request, connections)
    try:
        load.run(seconds)
    finally:
        load.close()
    took = time.perf_counter() - began
    busy = (time.process_time() - cpu) / took
    if not load.latencies:
        raise ValueError(f"No response in {seconds:g} s ({load.errors} errors).")
    return Shot(
        rate=len(load.latencies) / took,
        p99_ms=stats.percentile(load.latencies, 99) * 1000,
        errors=load.errors,
        busy=busy,
    )


def main() -> None:
    """Read the command line, send the load, and print the shot."""
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    shot = fire(options.port, options.path, options.connections, options.seconds)
    print(shot.to_json())


if __name__ == "__main__":
    main()
