"""What is sent to one client: at once as far as it takes it, and the rest when it does."""

import asyncio
import selectors
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.state import ConnectionState
from dewar.server.connection.transfer_rate import TransferRate
from dewar.server.connection.write_buffer import CLOCK_INTERVAL, FilePiece, WriteBuffer, wait_ready
from dewar.server.errors import ClientGoneError

# Up to here it is cheaper to copy a body behind its head than to have the kernel gather the two.
_COPY = 16384
# SO_LINGER with no time at all: closing resets the connection.
_RESET = struct.pack("ii", 1, 0)


class Transport:
    """The sending side of a connection, for the exchange that has it.

    Attributes:
        sock: The socket, non-blocking.
        fd: Its number, which outlives its closing.
    """

    __slots__ = ("_end", "_send", "_server_context", "_write_buffer", "fd", "sock")

    def __init__(self, server_context: ServerContext, sock: socket.socket) -> None:
        self._server_context = server_context
        self.sock = sock
        self.fd = sock.fileno()
        self._send: Callable[[bytes], int] = sock.send
        self._write_buffer = WriteBuffer()
        self._end: ConnectionState | None = (
            None  # where to go when all is answered; None to read on
        )

    def send(self, data: bytes) -> None:
        """Send *data*, or keep for later what does not go out at once."""
        start = 0
        if not self._write_buffer.size:
            try:
                start = self._send(data)
            except BlockingIOError:
                pass
            except OSError as error:
                raise ClientGoneError(f"The client has gone: {error}") from error
        if start != len(data):
            self._write_buffer.add(data, start)

    def send_pair(self, head: bytes, body: bytes) -> None:
        """Send *head* and *body* in one system call."""
        if len(body) <= _COPY:
            self.send(head + body)
            return
        self._write_buffer.add(head)
        self._write_buffer.add(body)
        self._flush_now()

    @property
    def sends_files(self) -> bool:
        """Whether the kernel can send files by itself: not where what is sent is encrypted."""
        return type(self.sock) is socket.socket

    def send_file(self, head: bytes, piece: FilePiece) -> None:
        """Send *head* and a piece of a file, or keep for later what does not go out at once."""
        self._write_buffer.add(head)
        self._write_buffer.add_file(piece)
        self._flush_now()

    def abort(self) -> None:
        """Have the connection end at once: nobody is there to take what waits."""
        self._end = ConnectionState.CLOSED
        self._write_buffer.clear()

    def reset(self) -> None:
        """Have the connection end with a reset.

        For a body whose only mark is the end of the connection: a normal end would make it whole.
        """
        self._end = ConnectionState.CLOSED
        with suppress(OSError):  # the client was quicker
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def send_waiting(self, data: bytes) -> None:
        """Send *data*; block while more than the high-water mark waits."""
        self.send(data)
        high_water = self._server_context.settings.high_water
        if self._write_buffer.size <= high_water:
            return
        clock = self._server_context.clock
        transfer_rate = TransferRate(clock())
        while self._write_buffer.size > high_water:
            wait_ready(self.sock, selectors.EVENT_WRITE, CLOCK_INTERVAL)
            now = clock()
            transfer_rate.advance(self._flush_now(), now)
            if self._write_buffer.size and self._is_overdue(transfer_rate, now):
                raise ClientGoneError("The client does not read what it asked for.")

    async def drain(self) -> None:
        """Wait, on the event loop, until the client has taken all that was sent.

        Raises:
            ClientGoneError: It has gone, or does not read within the deadline.
        """
        if not self._write_buffer.size:
            return
        clock = self._server_context.clock
        transfer_rate = TransferRate(clock())
        while self._write_buffer.size:
            await _wait_writable(self.fd)
            now = clock()
            transfer_rate.advance(self._flush_now(), now)
            if self._write_buffer.size and self._is_overdue(transfer_rate, now):
                raise ClientGoneError("The client does not read what it asked for.")

    def _flush_now(self) -> int:
        try:
            return self._write_buffer.flush_nowait(self.sock)
        except OSError as error:
            raise ClientGoneError(f"The client has gone: {error}") from error

    def _is_overdue(self, transfer_rate: TransferRate, now: float) -> bool:
        settings = self._server_context.settings
        return transfer_rate.is_overdue(now, settings.write_timeout, settings.min_rate)


async def _wait_writable(fd: int) -> None:
    """Wait, on the event loop, until *fd* takes something, or a while has gone by."""
    loop = asyncio.get_running_loop()
    is_ready = asyncio.Event()
    loop.add_writer(fd, is_ready.set)
    try:
        async with asyncio.timeout(CLOCK_INTERVAL):
            await is_ready.wait()
    except TimeoutError:
        return
    finally:
        loop.remove_writer(fd)
