"""A non-blocking TLS connection that can be used in the place of its socket.

TLS is done in memory (`ssl.MemoryBIO`), and the socket moves its bytes. So one read takes in what
has come at once, nothing that can be read is ever left inside where a poller does not see it, and
what came before the handshake can be put in.

It belongs to one thread at a time, as its connection does; only ``shutdown(SHUT_RDWR)`` and
`fileno` may be called from any.
"""

import socket
import ssl
from contextlib import suppress
from enum import Enum

from dewar.server.errors import ServerStateError

# Plain bytes encrypted at a time: eight full records (RFC 8446 §5.1), one system call.
_PIECE = 8 * 16384
# Plain bytes sent in one call, so that a quick client with a large response leaves room for others.
_TURN = 1024 * 1024
# Bytes that may wait for a client that makes us answer (KeyUpdate, RFC 8446 §4.6.3) and does not
# read.
_MOST_BACKLOG = 65536


class ChannelState(Enum):
    """One channel's state."""

    HANDSHAKE = "in its handshake"
    ESTABLISHED = "established"
    HALF_CLOSED = "ended by the client"
    SHUT = "ended by us"
    BROKEN = "broken"


_HANDSHAKE, _ESTABLISHED = ChannelState.HANDSHAKE, ChannelState.ESTABLISHED
_HALF_CLOSED, _SHUT, _BROKEN = ChannelState.HALF_CLOSED, ChannelState.SHUT, ChannelState.BROKEN

# HALF_CLOSED: nothing more can be read, and we may still send. SHUT: we have sent close_notify, and
# what still comes is thrown away. BROKEN: the client must not take what it has for whole, so no
# close_notify follows (RFC 8446 §6.1); TLS failed, or the connection is to be reset.
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
        sock: The same.
        tls: TLS' own state: the certificate of the client, the cipher and so on.
        state: How far the connection has come.
    """

    __slots__ = ("_backlog", "_incoming", "_outgoing", "_promised", "sock", "state", "tls")

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self.sock = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.state = _HANDSHAKE
        self._backlog = memoryview(b"")  # encrypted, and not taken by the socket yet
        self._promised = 0  # the plain bytes in it that `send` has not counted yet

    def __repr__(self) -> str:
        state = self.state.value
        return f"<TlsChannel {self.fileno()} {state}, {len(self._backlog)} bytes wait>"

    def fileno(self) -> int:
        """Return the number of the socket."""
        return self.sock.fileno()

    def feed(self, data: bytes) -> None:
        """Take in encrypted bytes that were read from the socket elsewhere."""
        self._incoming.write(data)

    def handshake(self) -> bool:
        """Go on with the handshake as far as it goes without waiting; return whether it has ended.

        Look at `has_backlog` then: the client may wait for what the socket did not take.

        Raises:
            OSError: It has failed. What tells the client why has been sent if possible.
        """
        if self.state is _HANDSHAKE:
            try:
                self.tls.do_handshake()
                self._move(_ESTABLISHED)
            except ssl.SSLWantReadError:
                pass
            except OSError:
                self._move(_BROKEN)
                with suppress(OSError):  # the fault that counts is the first one
                    self.push()
                raise
            self.push()
        return self.state is not _HANDSHAKE and self.state is not _BROKEN

    def has_backlog(self) -> bool:
        """Return whether bytes wait that the socket has not taken."""
        return bool(self._backlog) or bool(self._outgoing.pending)

    def push(self) -> bool:
        """Send what waits; return whether all of it went out.

        Raises:
            OSError: The client has gone.
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
        """Return what has come, as `socket.socket.recv` would; ``b""`` at the end.

        For the time after the handshake.

        Args:
            size: Encrypted bytes taken from the socket at most; there are fewer plain ones.

        Raises:
            BlockingIOError: Nothing can be read now.
            OSError: The connection is broken.
        """
        data = self.sock.recv(size)
        if self.state is not _ESTABLISHED:
            # After our end it is to be thrown away unread.
            return data if self.state is _SHUT else b""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return self.take(size)

    def take(self, size: int) -> bytes:
        """Return what can be read of the bytes taken in so far; raises as `recv` does."""
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
            with suppress(OSError):  # the alert; the fault that counts is the first one
                self.push()
            if not parts:
                raise
            self._report_once_more()
        self._answer()
        return b"".join(parts)

    def send(self, data: bytes | memoryview) -> int:
        """Send some of *data*; return how many bytes, as `socket.socket.send` does.

        What was not counted must be offered again before anything else, for a part of it may be
        encrypted already.

        Raises:
            BlockingIOError: The socket takes nothing now.
            OSError: The client has gone.
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

        ``SHUT_WR`` tells the client so in TLS too (close_notify), if that can be done at once.
        """
        if how == socket.SHUT_WR:
            self._send_close_notify()
        self.sock.shutdown(how)

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """Set an option of the socket; see `socket.socket.setsockopt`."""
        if option == socket.SO_LINGER:
            self._move(_BROKEN)  # it will be reset: a goodbye would make what was sent whole
        self.sock.setsockopt(level, option, value)

    def close(self) -> None:
        """Close the socket; tell the client so if that can be done at once."""
        self._send_close_notify()
        self.sock.close()

    def _send_close_notify(self) -> None:
        # Where a response is cut off, the client must not take it for whole (RFC 8446 §6.1).
        if _SHUT not in TRANSITIONS[self.state] or self._promised:
            return
        self._move(_SHUT)
        with suppress(OSError):  # that the client has not said goodbye as well, or has gone
            self.tls.unwrap()
        with suppress(OSError):
            self.push()

    def _end_input(self) -> None:
        self._move(_HALF_CLOSED)
        self._report_once_more()

    def _report_once_more(self) -> None:
        """Have the poller report the connection, which may be open still and quiet."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RD)

    def _answer(self) -> None:
        """Send what TLS itself has to answer, and bound what may wait."""
        if self.state is _BROKEN or not self.has_backlog() or self.push():
            return
        if not self._promised and len(self._backlog) > _MOST_BACKLOG:
            self._move(_BROKEN)
            raise ConnectionAbortedError("The client makes us write and does not read.")

    def _move(self, state: ChannelState) -> None:
        if state is self.state:
            return
        if state not in TRANSITIONS[self.state]:
            raise ServerStateError(f"{self!r} cannot become {state.name}.")
        self.state = state
