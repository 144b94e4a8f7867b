"""A non-blocking TLS connection that replaces its socket.

TLS runs in memory (`ssl.MemoryBIO`), and the socket transfers its bytes. So one read takes all
received bytes, no readable data is left inside where a poller does not see it, and bytes that were
read before the handshake can be fed.

One thread owns it at a time, as its connection; only ``shutdown(SHUT_RDWR)`` and `fileno` may be
called from any thread.
"""

import socket
import ssl
from contextlib import suppress
from enum import Enum

from dewar.server.errors import ServerStateError

# Plain bytes encrypted at a time: eight full records (RFC 8446 §5.1), one system call.
_PIECE = 8 * 16384
# Plain bytes sent in one call, so that a fast client with a large response does not delay others.
_TURN = 1024 * 1024
# Bytes that may wait for a client that makes the server answer (KeyUpdate, RFC 8446 §4.6.3) and
# does not read.
_MOST_BACKLOG = 65536


class ChannelState(Enum):
    """The state of a channel."""

    HANDSHAKE = "in its handshake"
    ESTABLISHED = "established"
    HALF_CLOSED = "ended by the client"
    SHUT = "ended by the server"
    BROKEN = "broken"


_HANDSHAKE, _ESTABLISHED = ChannelState.HANDSHAKE, ChannelState.ESTABLISHED
_HALF_CLOSED, _SHUT, _BROKEN = ChannelState.HALF_CLOSED, ChannelState.SHUT, ChannelState.BROKEN

# HALF_CLOSED: nothing more can be read, and the server may still send. SHUT: the server has sent
# close_notify, and ignores what it still receives. BROKEN: TLS failed, or the connection will be
# reset. The client must not take its data for complete, so no close_notify follows (RFC 8446 §6.1).
TRANSITIONS: dict[ChannelState, frozenset[ChannelState]] = {
    _HANDSHAKE: frozenset({_ESTABLISHED, _BROKEN}),
    _ESTABLISHED: frozenset({_HALF_CLOSED, _SHUT, _BROKEN}),
    _HALF_CLOSED: frozenset({_SHUT, _BROKEN}),
    _SHUT: frozenset({_BROKEN}),
    _BROKEN: frozenset(),
}


class TlsChannel:
    """The server's end of one TLS connection.

    Args:
        sock: The socket, connected and non-blocking; it is closed with the channel.
        context: How to do TLS.

    Attributes:
        sock: The socket.
        tls: The TLS state: the certificate of the client, the cipher and so on.
        state: The state of the connection.
    """

    __slots__ = ("_backlog", "_incoming", "_outgoing", "_promised", "sock", "state", "tls")

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self.sock = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.state = _HANDSHAKE
        self._backlog = memoryview(b"")  # encrypted, not yet taken by the socket
        self._promised = 0  # the plain bytes in it that `send` has not yet counted

    def __repr__(self) -> str:
        state = self.state.value
        return f"<TlsChannel {self.fileno()} {state}, {len(self._backlog)} bytes wait>"

    def fileno(self) -> int:
        """Return the number of the socket."""
        return self.sock.fileno()

    def feed(self, data: bytes) -> None:
        """Take encrypted bytes that were read from the socket elsewhere."""
        self._incoming.write(data)

    def handshake(self) -> bool:
        """Continue the handshake without waiting; return whether it is complete.

        Look at `has_backlog` afterwards: the client may wait for bytes that the socket did not
        take.

        Raises:
            OSError: It has failed. The alert for the client was sent if possible.
        """
        if self.state is _HANDSHAKE:
            try:
                self.tls.do_handshake()
                self._move(_ESTABLISHED)
            except ssl.SSLWantReadError:
                pass
            except OSError:
                self._move(_BROKEN)
                with suppress(OSError):  # the first error counts
                    self.push()
                raise
            self.push()
        return self.state is not _HANDSHAKE and self.state is not _BROKEN

    def has_backlog(self) -> bool:
        """Return whether bytes wait that the socket has not taken."""
        return bool(self._backlog) or bool(self._outgoing.pending)

    def push(self) -> bool:
        """Send what waits; return whether all of it was sent.

        Raises:
            OSError: The client has disconnected.
        """
        if self._outgoing.pending:
            fresh = self._outgoing.read()
            self._backlog = memoryview(bytes(self._backlog) + fresh if self._backlog else fresh)
        try:
            while self._backlog:
                self._backlog = self._backlog[self.sock.send(self._backlog) :]
        except BlockingIOError:
            return False
        return True

    def recv(self, size: int) -> bytes:
        """Return received data as `socket.socket.recv` does, ``b""`` at the end.

        For use after the handshake.

        Args:
            size: The maximum of encrypted bytes to read from the socket; fewer are plain.

        Raises:
            BlockingIOError: Nothing can be read now.
            OSError: The connection is broken.
        """
        data = self.sock.recv(size)
        if self.state is not _ESTABLISHED:
            # After close_notify it is ignored.
            return data if self.state is _SHUT else b""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return self.take(size)

    def take(self, size: int) -> bytes:
        """Return the data of the bytes read so far; raises as `recv` does."""
        parts: list[bytes] = []
        try:
            while True:
                part = self.tls.read(size)
                if not part:
                    self._end_input()
                    break
                parts.append(part)
                if not self._incoming.pending and not self.tls.pending():
                    break
        except ssl.SSLWantReadError:
            if not parts:
                self._answer()
                raise BlockingIOError from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            self._end_input()
        except OSError:
            self._move(_BROKEN)
            with suppress(OSError):  # sends the alert; the first error counts
                self.push()
            if not parts:
                raise
            self._report_once_more()
        self._answer()
        return b"".join(parts)

    def send(self, data: bytes | memoryview) -> int:
        """Send some of *data*; return the number of bytes, as `socket.socket.send` does.

        Pass the bytes that were not counted again before any others, because a part of them may be
        encrypted already.

        Raises:
            BlockingIOError: The socket takes nothing now.
            OSError: The client has disconnected.
        """
        size = len(data)
        taken = 0
        while taken < min(size, _TURN):
            if not self._promised:
                part = data if size <= _PIECE else memoryview(data)[taken : taken + _PIECE]
                self._promised = self.tls.write(part)
            if not self.push():
                break
            taken += self._promised
            self._promised = 0
        if not taken and size:
            raise BlockingIOError
        return taken

    def shutdown(self, how: int) -> None:
        """Shut the connection down, as `socket.socket.shutdown` does.

        ``SHUT_WR`` also sends close_notify, if that is possible at once.
        """
        if how == socket.SHUT_WR:
            self._send_close_notify()
        self.sock.shutdown(how)

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """Set an option of the socket; see `socket.socket.setsockopt`."""
        if option == socket.SO_LINGER:
            self._move(_BROKEN)  # it will be reset: after close_notify the data would look complete
        self.sock.setsockopt(level, option, value)

    def close(self) -> None:
        """Close the socket; send close_notify if that is possible at once."""
        self._send_close_notify()
        self.sock.close()

    def _send_close_notify(self) -> None:
        # After an incomplete response the client must not take it for complete (RFC 8446 §6.1).
        if _SHUT not in TRANSITIONS[self.state] or self._promised:
            return
        self._move(_SHUT)
        with suppress(OSError):  # the client has sent no close_notify, or has disconnected
            self.tls.unwrap()
        with suppress(OSError):
            self.push()

    def _end_input(self) -> None:
        self._move(_HALF_CLOSED)
        self._report_once_more()

    def _report_once_more(self) -> None:
        """Have the poller report the connection again, which may be open and idle."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RD)

    def _answer(self) -> None:
        """Send what TLS itself answers, and limit what may wait."""
        if self.state is _BROKEN or not self.has_backlog() or self.push():
            return
        if not self._promised and len(self._backlog) > _MOST_BACKLOG:
            self._move(_BROKEN)
            raise ConnectionAbortedError("The client requests answers and does not read them.")

    def _move(self, state: ChannelState) -> None:
        if state is self.state:
            return
        if state not in TRANSITIONS[self.state]:
            raise ServerStateError(f"{self!r} cannot become {state.name}.")
        self.state = state
