"""Bytes that wait for the client."""

import selectors
import socket
from collections import deque

# One descriptor at a time: poll has no bound on its number, as select has, and costs no set-up.
_Selector: type[selectors.BaseSelector] = getattr(
    selectors, "PollSelector", selectors.SelectSelector
)


class Outbox:
    """The unsent rest of what was written to one connection, in order.

    Holds views, never copies, so that a large response is in memory once.
    """

    __slots__ = ("_parts", "size")

    def __init__(self) -> None:
        self._parts: deque[memoryview] = deque()
        self.size = 0

    def __repr__(self) -> str:
        return f"<Outbox {self.size} bytes>"

    def add(self, data: bytes, start: int = 0) -> None:
        """Append *data* from *start* on."""
        if start < len(data):
            self._parts.append(memoryview(data)[start:])
            self.size += len(data) - start

    def flush_nowait(self, sock: socket.socket) -> int:
        """Send what *sock* takes without blocking and return how many bytes it took.

        Raises:
            OSError: The client has gone.
        """
        before = self.size
        parts = self._parts
        while parts:
            part = parts[0]
            try:
                sent = sock.send(part)
            except BlockingIOError:
                break
            self.size -= sent
            if sent < len(part):
                parts[0] = part[sent:]
                break
            parts.popleft()
        return before - self.size

    def clear(self) -> None:
        """Forget everything."""
        self._parts.clear()
        self.size = 0


def wait_writable(sock: socket.socket, timeout: float) -> None:
    """Block the calling thread until *sock* takes bytes, or *timeout* seconds have gone by."""
    with _Selector() as selector:
        selector.register(sock, selectors.EVENT_WRITE)
        selector.select(timeout)


def is_readable(sock: socket.socket) -> bool:
    """Tell whether anything has come on *sock*, its end included."""
    with _Selector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))
