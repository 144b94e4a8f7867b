"""A socket of straw, and a TLS client in memory at its other end."""

import ssl
from contextlib import suppress
from typing import Any

SIZE = 65536


class Straw:
    """A socket that gives what it is told to, and takes as much as it may."""

    def __init__(self) -> None:
        self.incoming = bytearray()
        self.sent = bytearray()
        self.takes: int | None = None
        self.gives = SIZE
        self.shut: list[int] = []
        self.options: list[tuple[int, int]] = []
        self.has_ended = self.is_closed = False

    def fileno(self) -> int:
        """Return a number that no real descriptor has."""
        return 9999

    def recv(self, size: int) -> bytes:
        """Give some of what is there."""
        if not self.incoming:
            if self.has_ended:
                return b""
            raise BlockingIOError
        count = min(size, self.gives)
        data = bytes(self.incoming[:count])
        del self.incoming[:count]
        return data

    def send(self, data: Any) -> int:
        """Take what may be taken."""
        count = len(data) if self.takes is None else min(self.takes, len(data))
        if not count:
            raise BlockingIOError
        if self.takes is not None:
            self.takes -= count
        self.sent += data[:count]
        return count

    def shutdown(self, how: int) -> None:
        """Note it."""
        self.shut.append(how)

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """Note it."""
        self.options.append((level, option))

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


class FarEnd:
    """The client's end of TLS over a `Straw`.

    Attributes:
        tls: The client's side of TLS.
    """

    def __init__(self, straw: Straw, context: ssl.SSLContext) -> None:
        self._straw = straw
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_hostname="localhost")

    def exchange(self) -> None:
        """Move what the two ends have for one another."""
        self._in.write(bytes(self._straw.sent))
        self._straw.sent.clear()
        self._straw.incoming += self._out.read()

    def shake_hands(self) -> bool:
        """Go on with the handshake; tell whether it has ended for the client."""
        done = False
        self.exchange()
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
            done = True
        self.exchange()
        return done

    def say(self, data: bytes) -> None:
        """Send *data*."""
        self.tls.write(data)
        self.exchange()

    def hear(self) -> bytes:
        """Return what has come; what is there of a record counts for nothing."""
        self.exchange()
        data = b""
        with suppress(ssl.SSLWantReadError):
            while piece := self.tls.read(SIZE):
                data += piece
        return data
