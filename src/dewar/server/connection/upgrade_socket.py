"""The socket in the environ of a request that may leave HTTP, as Flask's extensions look for it."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Any, Self

# A WebSocket close frame with the code 1001, "going away" (RFC 6455 §5.5.1 and §7.4.1).
_GOING_AWAY = b"\x88\x02\x03\xe9"
_CLOSE_FRAME = _GOING_AWAY[0]
_SWITCHING = b"HTTP/1.1 101"
# What tells about the connection without using it.
_FACTS = frozenset(
    {"family", "getpeername", "getsockname", "getsockopt", "proto", "setsockopt", "type"}
)


class Spoken(Enum):
    """What the application has sent last."""

    NOTHING = "nothing yet, or nothing that switches to WebSocket"
    FRAMES = "frames, or the response that switches to WebSocket"
    CLOSE = "a close frame"


class UpgradeSocket:
    """A blocking socket that takes the connection over when it is used.

    Looking at it, or asking for the addresses, takes nothing. The first use for I/O, such as
    ``recv``, ``send`` or ``fileno``, takes the connection out of HTTP. From then on it is like any
    socket, from any thread: what the application returns or raises is not sent, and the connection
    ends with the call of the application.

    Args:
        take: Takes the connection over; returns the blocking socket.
        sock: The socket of the connection.
    """

    def __init__(self, take: Callable[[], socket.socket], sock: socket.socket) -> None:
        self._take = take
        self._facts = sock
        # Held while the application sends, so that no frame gets into another one.
        self._sending = threading.Lock()
        self._taking = threading.Lock()
        self._taken: socket.socket | None = None
        self._spoken = Spoken.NOTHING

    def __repr__(self) -> str:
        return f"<UpgradeSocket {'not used' if self._taken is None else self._taken!r}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(socket.socket, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self._facts if name in _FACTS else self._open(), name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Return received bytes; see `socket.socket.recv`."""
        return self._open().recv(bufsize, flags)

    def send(self, data: Any, flags: int = 0, /) -> int:
        """Send *data*; return the number of bytes: all of them if the socket has no timeout."""
        sock = self._open()
        with self._sending:
            self._note(data)
            if sock.gettimeout() is not None:
                return sock.send(data, flags)
            # A part of a frame is no use to anybody, and few programs look at the number.
            sock.sendall(data, flags)
            return memoryview(data).nbytes

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send all of *data*; see `socket.socket.sendall`."""
        sock = self._open()
        with self._sending:
            self._note(data)
            sock.sendall(data, flags)

    def fileno(self) -> int:
        """Return the descriptor, for a selector for instance."""
        return self._open().fileno()

    def close(self) -> None:
        """End the connection. It may be called again."""
        self._open().close()

    # The server calls these.

    def say_going_away(self) -> None:
        """Send the close frame 1001, unless the application is in the middle of a frame.

        It does not block.
        """
        if not self._sending.acquire(blocking=False):
            return
        try:
            if self._taken is not None and self._spoken is Spoken.FRAMES:
                self._taken.send(_GOING_AWAY, socket.MSG_DONTWAIT)
                self._spoken = Spoken.CLOSE
        except BlockingIOError:
            return
        except OSError:
            self._spoken = Spoken.CLOSE  # the application has closed it
        finally:
            self._sending.release()

    def shut_down(self) -> None:
        """Wake the threads that still use it: the call of the application is over."""
        if self._taken is not None:
            with suppress(OSError):
                self._taken.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Close it; a program that has kept it gets errors from now on."""
        if self._taken is not None:
            self._taken.close()

    def _open(self) -> socket.socket:
        if self._taken is None:
            with self._taking:
                if self._taken is None:
                    self._taken = self._take()
        return self._taken

    def _note(self, data: Any) -> None:
        head = bytes(memoryview(data).cast("B")[: len(_SWITCHING)])
        if self._spoken is Spoken.NOTHING:
            self._spoken = Spoken.FRAMES if head == _SWITCHING else Spoken.NOTHING
        elif head:
            self._spoken = Spoken.CLOSE if head[0] == _CLOSE_FRAME else Spoken.FRAMES
