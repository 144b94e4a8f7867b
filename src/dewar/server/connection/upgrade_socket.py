"""The socket in the environ of a request that may leave HTTP, as Flask's extensions look for it."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Any, Self

from dewar.server.connection.readiness import is_writable

# A WebSocket close frame with the code 1001, "going away" (RFC 6455 §5.5.1 and §7.4.1).
_GOING_AWAY = b"\x88\x02\x03\xe9"
_CLOSE_FRAME = _GOING_AWAY[0]
_SWITCHING = b"HTTP/1.1 101"
# What tells about the connection, or sets an option of it, without using it.
_FACTS = frozenset(
    {"family", "getpeername", "getsockname", "getsockopt", "proto", "setsockopt", "type"}
)


class Spoken(Enum):
    """What the application has sent last."""

    NOTHING = "nothing yet, or nothing that switches to WebSocket"
    FRAMES = "frames, or the response that switches to WebSocket"
    CLOSE = "a close frame"


class TakenSocket:
    """A blocking socket that the application uses, from any thread.

    Args:
        sock: The socket.

    Attributes:
        sock: The socket.
        is_left: Set when the application has closed it or shut it down.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        # Held while the application sends, so that no frame gets into another one.
        self._sending = threading.Lock()
        self._spoken = Spoken.NOTHING
        self._reader: int | None = None  # the thread that receives
        # Held while it is closed, or its descriptor is asked for, which is then used for a moment.
        self._closing = threading.Lock()
        self.is_left = threading.Event()

    def recv(self, bufsize: int, flags: int) -> bytes:
        """See `UpgradeSocket.recv`."""
        self._reader = threading.get_ident()
        return self.sock.recv(bufsize, flags)

    def fileno(self) -> int:
        """See `UpgradeSocket.fileno`."""
        with self._closing:
            self._reader = threading.get_ident()
            return self.sock.fileno()

    def send(self, data: Any, flags: int) -> int:
        """See `UpgradeSocket.send`."""
        sock = self.sock
        with self._sending:
            self._note(data)
            if sock.gettimeout() is not None:
                return sock.send(data, flags)
            sock.sendall(data, flags)
            return memoryview(data).nbytes

    def sendall(self, data: Any, flags: int) -> None:
        """See `UpgradeSocket.sendall`."""
        with self._sending:
            self._note(data)
            self.sock.sendall(data, flags)

    def say_going_away(self) -> None:
        """Send the close frame 1001, unless the application is in the middle of a frame.

        It does not block.
        """
        if not self._sending.acquire(blocking=False):
            return
        try:
            # Python waits for as long as the application's timeout, whatever the flags of `send`.
            if self._spoken is Spoken.FRAMES and is_writable(self.sock):
                self.sock.send(_GOING_AWAY, socket.MSG_DONTWAIT)
                self._spoken = Spoken.CLOSE
        except BlockingIOError:
            return
        except (OSError, ValueError):
            self._spoken = Spoken.CLOSE  # the application has closed it
        finally:
            self._sending.release()

    def end(self, patience: float) -> None:
        """Close the socket: the call of the application is over.

        Args:
            patience: Seconds for another thread that receives. That of simple-websocket has woken
                the application, and is about to answer the client's close frame.
        """
        with self._closing:
            if self._reader in (None, threading.get_ident()):
                self.sock.close()
                return
        if not self.is_left.wait(patience):
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)  # it wakes that thread
        self.sock.close()

    def _note(self, data: Any) -> None:
        head = bytes(memoryview(data).cast("B")[: len(_SWITCHING)])
        if self._spoken is Spoken.NOTHING:
            self._spoken = Spoken.FRAMES if head == _SWITCHING else Spoken.NOTHING
        elif head:
            self._spoken = Spoken.CLOSE if head[0] == _CLOSE_FRAME else Spoken.FRAMES


class UpgradeSocket:
    """A blocking socket that takes the connection over when it is used.

    Looking at it, or asking for the addresses, takes nothing. The first use for I/O, such as
    ``recv``, ``send`` or ``fileno``, takes the connection out of HTTP. From then on it is like any
    socket, from any thread: what the application returns or raises is not sent, and the connection
    ends with the call of the application.

    Args:
        take: Takes the connection over, and returns its socket; the same one each time.
        sock: The socket of the connection.
    """

    __slots__ = ("_facts", "_take", "_taken")

    def __init__(self, take: Callable[[], TakenSocket], sock: socket.socket) -> None:
        self._take = take
        self._facts = sock
        self._taken: TakenSocket | None = None

    def __repr__(self) -> str:
        return f"<UpgradeSocket {'not used' if self._taken is None else repr(self._taken.sock)}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(socket.socket, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self._facts if name in _FACTS else self._open().sock, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Return received bytes; see `socket.socket.recv`."""
        return (self._taken or self._open()).recv(bufsize, flags)

    def send(self, data: Any, flags: int = 0, /) -> int:
        """Send *data*; return the number of bytes.

        It sends all if the socket has no timeout: a part of a frame is of no use, and few programs
        look at the number.
        """
        return (self._taken or self._open()).send(data, flags)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send all of *data*; see `socket.socket.sendall`."""
        (self._taken or self._open()).sendall(data, flags)

    def fileno(self) -> int:
        """Return the descriptor, for a selector; -1 once the socket is closed."""
        return self._open().fileno()

    def shutdown(self, how: int, /) -> None:
        """Shut the connection down; see `socket.socket.shutdown`."""
        taken = self._open()
        try:
            taken.sock.shutdown(how)
        finally:
            taken.is_left.set()

    def close(self) -> None:
        """Close the socket. It may be called again."""
        taken = self._open()
        taken.sock.close()
        taken.is_left.set()

    def _open(self) -> TakenSocket:
        if self._taken is None:
            self._taken = self._take()
        return self._taken
