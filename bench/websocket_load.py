"""A load generator for WebSockets: each connection sends a message and waits for its echo.

It masks with zeros, so that a message is the same bytes each time, and compares the echo byte for
byte. The program prints a `Shot` as JSON:
``python -m bench.websocket_load --port 8000 --path / --size 16 --seconds 2``.
"""

import argparse
import select
import socket
import time
from array import array
from collections.abc import Sequence
from contextlib import ExitStack

from bench import stats
from bench.shot import Shot

_HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_TEXT, _MASKED = 0x81, 0x80


def open_websocket(port: int, path: str) -> socket.socket:
    """Return a socket after the handshake, without extensions.

    Raises:
        ValueError: If the handshake was refused.
    """
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(_HANDSHAKE.format(path=path, port=port).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = client.recv(4096)
        if not piece:
            break
        head += piece
    if not head.startswith(b"HTTP/1.1 101"):
        raise ValueError(f"The handshake was refused: {head[:60]!r}")
    return client


def frames(size: int) -> tuple[bytes, bytes]:
    """Return a text message of a client, and the server's frame with the same text."""
    text = b"a" * size
    if size < 126:
        code, length = size, b""
    else:
        code, count = (126, 2) if size <= 0xFFFF else (127, 8)
        length = size.to_bytes(count)
    sent = bytes([_TEXT, _MASKED | code]) + length + bytes(4) + text
    return sent, bytes([_TEXT, code]) + length + text


def fire(port: int, path: str, connections: int, size: int, seconds: float) -> Shot:
    """Load one server and return the measured figures.

    Args:
        port: The port of the server on the loopback address.
        path: The path of a view that sends each message back.
        connections: How many connections there are.
        size: The bytes of a message.
        seconds: How long to send.

    Raises:
        OSError: If the server cannot be reached, or closes a connection.
        ValueError: If it refuses a handshake, or sends something else.
    """
    with ExitStack() as stack:
        clients = [stack.enter_context(open_websocket(port, path)) for _ in range(connections)]
        return _load(clients, *frames(size), seconds)


def _load(clients: Sequence[socket.socket], sent: bytes, expected: bytes, seconds: float) -> Shot:
    latencies, clock = array("d"), time.perf_counter
    by_descriptor = {client.fileno(): client for client in clients}
    epoll = select.epoll()
    began, cpu = clock(), time.process_time()
    started = dict.fromkeys(by_descriptor, began)
    parts = dict.fromkeys(by_descriptor, b"")
    for descriptor, client in by_descriptor.items():
        epoll.register(descriptor, select.EPOLLIN)
        client.sendall(sent)
    while clock() < began + seconds:
        for descriptor, _ in epoll.poll(0.05):
            echo = parts[descriptor] + by_descriptor[descriptor].recv(1 << 20)
            parts[descriptor] = echo if len(echo) < len(expected) else b""
            if parts[descriptor]:
                continue
            if echo != expected:
                raise ValueError(f"The server sent {echo[:20]!r} instead of {expected[:20]!r}.")
            now = clock()
            latencies.append(now - started[descriptor])
            started[descriptor] = now
            by_descriptor[descriptor].sendall(sent)
    took = clock() - began
    epoll.close()
    p99_ms = stats.percentile(latencies, 99) * 1000
    busy = (time.process_time() - cpu) / took
    return Shot(rate=len(latencies) / took, p99_ms=p99_ms, busy=busy)


def main() -> None:
    """Read the command line, send the load, and print the shot."""
    parser = argparse.ArgumentParser(prog="python -m bench.websocket_load", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    shot = fire(options.port, options.path, options.connections, options.size, options.seconds)
    print(shot.to_json())


if __name__ == "__main__":
    main()
