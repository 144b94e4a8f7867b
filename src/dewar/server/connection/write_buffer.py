"""What waits for the client: bytes, and pieces of files that the kernel sends by itself."""

import os
import selectors
import socket
from collections import deque

# One descriptor at a time: poll has no bound on its number, as select has, and costs no set-up.
_Selector: type[selectors.BaseSelector] = getattr(
    selectors, "PollSelector", selectors.SelectSelector
)

# How often a thread that is held back by a slow client looks at the clock, in seconds.
CLOCK_INTERVAL = 1.0

# What goes out at one go, in bytes, and in one system call. A client that takes a large response
# as quickly as we send it would otherwise keep the leader from all others until its end.
_TURN = 1024 * 1024
_PIECE = 256 * 1024


class FilePiece:
    """A part of a file that is open under a descriptor of this object's own.

    Args:
        fd: A descriptor of the file; it is duplicated.
        offset: Where the piece begins, in bytes.
        count: How long it is, in bytes.
    """

    __slots__ = ("_fd", "_offset", "left")

    def __init__(self, fd: int, offset: int, count: int) -> None:
        self._fd = os.dup(fd)
        self._offset = offset
        self.left = count

    def __repr__(self) -> str:
        return f"<FilePiece {self.left} bytes from {self._offset}>"

    def send(self, sock: socket.socket) -> int:
        """Send what *sock* takes without blocking and return how many bytes it took.

        Raises:
            OSError: The client has gone, or the file has been cut short.
        """
        sent = os.sendfile(sock.fileno(), self._fd, self._offset, min(self.left, _TURN))
        if sent == 0:
            raise OSError("The file has become shorter while it was being sent.")
        self._offset += sent
        self.left -= sent
        return sent

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)


class WriteBuffer:
    """The unsent rest of what was written to one connection, in order.

    Holds views, never copies, so that a large response is in memory once.
    """

    __slots__ = ("_parts", "size")

    def __init__(self) -> None:
        self._parts: deque[memoryview | FilePiece] = deque()
        self.size = 0

    def __repr__(self) -> str:
        return f"<WriteBuffer {self.size} bytes>"

    def add(self, data: bytes, start: int = 0) -> None:
        """Append *data* from *start* on."""
        if start < len(data):
            self._parts.append(memoryview(data)[start:])
            self.size += len(data) - start

    def add_file(self, piece: FilePiece) -> None:
        """Append *piece*, which is closed when it has been sent."""
        if piece.left:
            self._parts.append(piece)
            self.size += piece.left
        else:
            piece.close()

    def flush_nowait(self, sock: socket.socket) -> int:
        """Send what *sock* takes without blocking and return how many bytes it took.

        Raises:
            OSError: The client has gone.
        """
        before = self.size
        while self._parts and before - self.size < _TURN:
            try:
                is_done = self._send_first(sock)
            except BlockingIOError:
                break
            if not is_done:
                break
        return before - self.size

    def clear(self) -> None:
        """Forget everything."""
        for part in self._parts:
            if isinstance(part, FilePiece):
                part.close()
        self._parts.clear()
        self.size = 0

    def _send_first(self, sock: socket.socket) -> bool:
        """Send of the first part what *sock* takes; tell whether it may take more."""
        part = self._parts[0]
        if isinstance(part, FilePiece):
            self.size -= part.send(sock)
            if part.left:
                return False
            part.close()
        else:
            sent = sock.send(part[:_PIECE])
            self.size -= sent
            if sent < len(part):
                self._parts[0] = part[sent:]
                return sent == _PIECE
        self._parts.popleft()
        return True


def wait_ready(sock: socket.socket, event: int, timeout: float) -> None:
    """Block the calling thread until *sock* is ready, or *timeout* seconds have gone by.

    Args:
        sock: The socket.
        event: ``selectors.EVENT_READ`` or ``EVENT_WRITE``.
        timeout: In seconds.
    """
    with _Selector() as selector:
        selector.register(sock, event)
        selector.select(timeout)


def has_peer_closed(sock: socket.socket) -> bool:
    """Return whether the peer of *sock*, which does not block, has closed its side."""
    try:
        return not sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def is_readable(sock: socket.socket) -> bool:
    """Return whether anything has come on *sock*, its end included."""
    with _Selector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))
