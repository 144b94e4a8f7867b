"""`Waker`: wakes a thread that waits for descriptors."""

import socket
from contextlib import suppress


class Waker:
    """A descriptor that becomes readable when any thread calls `wake`.

    Attributes:
        fd: The descriptor to wait for.
        signal_fd: The descriptor to give to `signal.set_wakeup_fd`.
    """

    __slots__ = ("_reader", "_writer", "fd", "signal_fd")

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self.fd = self._reader.fileno()
        self.signal_fd = self._writer.fileno()

    def __repr__(self) -> str:
        return f"<Waker {self.fd}>"

    @property
    def sock(self) -> socket.socket:
        """The socket of `fd`, for a selector that takes sockets."""
        return self._reader

    def wake(self) -> None:
        """Make the descriptor readable. A closed one stays as it is."""
        # BlockingIOError: it is full of wake-ups, and one more says nothing new. Any other OSError:
        # it was closed meanwhile.
        with suppress(OSError):
            self._writer.send(b"\0")

    def clear(self) -> bytes:
        """Make the descriptor unreadable again.

        Returns:
            A zero for each `wake`, and the number of each signal.
        """
        try:
            return self._reader.recv(4096)
        except BlockingIOError:
            return b""  # an earlier event of the same batch has cleared it

    def wait(self, timeout: float | None = None) -> bytes:
        """Wait for a wake-up, and clear it; return after *timeout* seconds without one.

        Returns:
            As `clear`.
        """
        self._reader.settimeout(timeout)
        try:
            return self._reader.recv(4096)
        except (TimeoutError, BlockingIOError):
            return b""
        finally:
            self._reader.settimeout(0.0)

    def close(self) -> None:
        """Close both ends."""
        self._reader.close()
        self._writer.close()
