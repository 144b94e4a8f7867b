"""The sending side of a connection: what the client takes is sent at once, the rest is kept."""

import os
import selectors
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from dewar.server.connection.readiness import wait_ready, wait_writable
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.state import ConnectionState
from dewar.server.errors import ClientGoneError

# Up to this size it is cheaper to copy a body behind its head than to have the kernel gather both.
_COPY = 16384
# SO_LINGER with a timeout of zero: closing resets the connection.
_RESET = struct.pack("ii", 1, 0)
# Bytes sent in one call, and in one system call. Without the first limit, a client that takes a
# large response as fast as it is sent would keep the leader from all others until its end.
_TURN = 1024 * 1024
_PIECE = 256 * 1024


class TransferRate:
    """The speed of one transfer: of a request's body, or of a response.

    A client that stops is overdue after the timeout. A client that is slow is overdue when it falls
    below the minimum rate. So neither can hold a connection for as long as it likes.
    """

    __slots__ = ("_began", "_last", "_moved")

    def __init__(self, now: float) -> None:
        self._began = self._last = now
        self._moved = 0

    def __repr__(self) -> str:
        return f"<TransferRate {self._moved} bytes since {self._began:.1f}>"

    def advance(self, count: int, now: float) -> None:
        """Count *count* more bytes."""
        if count:
            self._moved += count
            self._last = now

    def is_overdue(self, now: float, timeout: float, min_rate: int) -> bool:
        """Return whether the transfer has stopped for *timeout* seconds or is below *min_rate*."""
        if now - self._last > timeout:
            return True
        late = now - self._began - timeout
        return late > 0 and self._moved < late * min_rate


class FilePiece:
    """A part of a file that the kernel sends.

    Args:
        fd: A descriptor of the file; it is duplicated.
        offset: Where the piece begins, in bytes.
        count: Its length in bytes.
    """

    __slots__ = ("_fd", "_offset", "left")

    def __init__(self, fd: int, offset: int, count: int) -> None:
        self._fd = os.dup(fd)
        self._offset = offset
        self.left = count

    def __repr__(self) -> str:
        return f"<FilePiece {self.left} bytes from {self._offset}>"

    def send(self, sock: socket.socket) -> int:
        """Send what *sock* takes without blocking; return the number of bytes.

        Raises:
            OSError: The client has disconnected, or the file was truncated.
        """
        sent = os.sendfile(sock.fileno(), self._fd, self._offset, min(self.left, _TURN))
        if sent == 0:
            raise OSError("The file became shorter while it was being sent.")
        self._offset += sent
        self.left -= sent
        return sent

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)


class WriteBuffer:
    """The unsent bytes and file pieces of one connection, in order.

    It holds views, never copies, so a large response is in memory once.
    """

    __slots__ = ("_parts", "size")

    def __init__(self) -> None:
        # Made when it is needed: an empty deque takes more memory than the connection itself.
        self._parts: deque[memoryview | FilePiece] | None = None
        self.size = 0

    def __repr__(self) -> str:
        return f"<WriteBuffer {self.size} bytes>"

    def add(self, data: bytes, start: int = 0) -> None:
        """Append *data* from *start* on."""
        if start < len(data):
            self._append(memoryview(data)[start:], len(data) - start)

    def add_file(self, piece: FilePiece) -> None:
        """Append *piece*, which is closed when it has been sent."""
        if piece.left:
            self._append(piece, piece.left)
        else:
            piece.close()

    def flush_nowait(self, sock: socket.socket) -> int:
        """Send what *sock* takes without blocking; return the number of bytes.

        Raises:
            OSError: The client has disconnected.
        """
        before, parts = self.size, self._parts
        while parts and before - self.size < _TURN:
            try:
                is_done = self._send_first(parts, sock)
            except BlockingIOError:
                break
            if not is_done:
                break
        return before - self.size

    def clear(self) -> None:
        """Drop everything."""
        for part in self._parts or ():
            if isinstance(part, FilePiece):
                part.close()
        self._parts = None
        self.size = 0

    def _append(self, part: memoryview | FilePiece, size: int) -> None:
        if self._parts is None:
            self._parts = deque()
        self._parts.append(part)
        self.size += size

    def _send_first(self, parts: deque[memoryview | FilePiece], sock: socket.socket) -> bool:
        """Send what *sock* takes of the first part; return whether it may take more."""
        part = parts[0]
        if isinstance(part, FilePiece):
            self.size -= part.send(sock)
            if part.left:
                return False
            part.close()
        else:
            sent = sock.send(part[:_PIECE])
            self.size -= sent
            if sent < len(part):
                parts[0] = part[sent:]
                return sent == _PIECE
        parts.popleft()
        return True


class Transport:
    """The sending side of a connection, used by the exchange that is being answered.

    Attributes:
        sock: The socket, non-blocking.
        fd: Its descriptor; the number stays known after it is closed.
    """

    __slots__ = ("_end", "_send", "_server_context", "_write_buffer", "fd", "sock")

    def __init__(self, server_context: ServerContext, sock: socket.socket) -> None:
        self._server_context = server_context
        self.sock = sock
        self.fd = sock.fileno()
        self._send: Callable[[bytes], int] = sock.send
        self._write_buffer = WriteBuffer()
        self._end: ConnectionState | None = None  # the state after all is sent, if it is an end

    def send(self, data: bytes) -> None:
        """Send *data*; keep the part that the client does not take at once.

        Raises:
            ClientGoneError: The client has disconnected.
        """
        start = 0
        if not self._write_buffer.size:
            send = self._send  # PERF: a call of an attribute that is no method is slower
            try:
                start = send(data)
            except BlockingIOError:
                pass
            except OSError as error:
                raise ClientGoneError(f"The client has disconnected: {error}") from error
        if start != len(data):
            self._write_buffer.add(data, start)

    def send_pair(self, head: bytes, body: bytes) -> None:
        """Send *head* and *body* in one system call if possible; see `send`."""
        if len(body) <= _COPY:
            self.send(head + body)
            return
        self._write_buffer.add(head)
        self._write_buffer.add(body)
        self.flush_nowait()

    @property
    def is_plain(self) -> bool:
        """Whether what is sent is not encrypted, so that the kernel can send files by itself."""
        return type(self.sock) is socket.socket

    def send_file(self, head: bytes, piece: FilePiece) -> None:
        """Send *head* and a piece of a file; see `send`."""
        self._write_buffer.add(head)
        self._write_buffer.add_file(piece)
        self.flush_nowait()

    def abort(self) -> None:
        """Drop what waits and have the connection closed: the client has disconnected."""
        self._end = ConnectionState.CLOSED
        self._write_buffer.clear()

    def reset(self) -> None:
        """Have the connection closed with a reset.

        For an incomplete body that ends with the connection: after a normal close the client would
        take it for complete.
        """
        self._end = ConnectionState.CLOSED
        with suppress(OSError):  # the client has disconnected
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def send_waiting(self, data: bytes) -> bool:
        """Send *data*, but block first while the transport is full; return whether it is now.

        It is full while more than the high-water mark waits for the client. It does not block
        afterwards: after the last piece of a body there is nothing to wait for.

        Raises:
            ClientGoneError: The client has disconnected, or does not read before the deadline.
        """
        if self._write_buffer.size:
            self._wait_for_room()
        self.send(data)
        size = self._write_buffer.size
        return size > 0 and size > self._server_context.settings.high_water

    def check_client(self) -> None:
        """Raise an error if the client is known to have disconnected.

        Raises:
            ClientGoneError: It has; see `abort`.
        """
        if self._end is ConnectionState.CLOSED:
            raise ClientGoneError("The client has disconnected, or does not read the response.")

    async def drain(self) -> None:
        """Wait on the event loop until all is sent; raises as `send_waiting` does."""
        if not self._write_buffer.size:
            return
        transfer_rate = TransferRate(self._server_context.clock())
        while self._write_buffer.size:
            await wait_writable(self.fd)
            self._flush_in_time(transfer_rate)

    def _wait_for_room(self) -> None:
        high_water = self._server_context.settings.high_water
        if self._write_buffer.size <= high_water:
            return
        transfer_rate = TransferRate(self._server_context.clock())
        while self._write_buffer.size > high_water:
            wait_ready(self.sock, selectors.EVENT_WRITE)
            self._flush_in_time(transfer_rate)

    def _flush_in_time(self, transfer_rate: TransferRate) -> None:
        now = self._server_context.clock()
        transfer_rate.advance(self.flush_nowait(), now)
        if self._write_buffer.size and self._is_overdue(transfer_rate, now):
            raise ClientGoneError("The client does not read the response.")

    def keep(self, data: bytes, start: int) -> None:
        """Send *data* from *start* on when the client takes it."""
        self._write_buffer.add(data, start)

    @property
    def unsent(self) -> int:
        """How many bytes wait for the client."""
        return self._write_buffer.size

    def flush_nowait(self) -> int:
        """Send what the client takes; return the number of bytes.

        Raises:
            ClientGoneError: The client has disconnected.
        """
        try:
            return self._write_buffer.flush_nowait(self.sock)
        except OSError as error:
            raise ClientGoneError(f"The client has disconnected: {error}") from error

    def _is_overdue(self, transfer_rate: TransferRate, now: float) -> bool:
        settings = self._server_context.settings
        return transfer_rate.is_overdue(now, settings.write_timeout, settings.min_rate)
