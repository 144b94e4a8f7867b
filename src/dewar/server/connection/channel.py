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

# Plain bytes encrypted at a time: eight full records (RFC 8446 §5.1), one system call.
_PIECE = 8 * 16384
# Plain bytes sent in one call, so that a quick client with a large response leaves room for others.
_TURN = 1024 * 1024
# Bytes that may wait for a client that makes us answer (KeyUpdate, RFC 8446 §4.6.3) and does not
# read.
_MOST_BACKLOG = 65536


class TlsChannel:
    """The server's end of one TLS connection.

    Args:
        sock: The socket, connected and non-blocking; it is closed with the channel.
        context: How to do TLS.

    Attributes:
        sock: The same.
        tls: TLS' own state: the certificate of the client, the cipher and so on.
        is_established: Whether the handshake has ended well.
    """

    __slots__ = (
        "_backlog", "_has_ended", "_incoming", "_is_broken", "_is_shut", "_outgoing", "_promised",
        "is_established", "sock", "tls",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self.sock = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.is_established = False
        self._backlog = memoryview(b"")  # encrypted, and not taken by the socket yet
        self._promised = 0  # the plain bytes in it that `send` has not counted yet
        self._has_ended = False  # nothing more can be read
        self._is_shut = False  # we have
        self._is_broken = False

    def __repr__(self) -> str:
        state = "established" if self.is_established else "in its handshake"
        return f"<TlsChannel {self.fileno()} {state}, {len(self._backlog)} bytes wait>"

    def fileno(self) -> int:
        """Return the number of the socket."""
        return self.sock.fileno()

    def feed(self, data: bytes) -> None:
        """Take in encrypted bytes that were read from the socket elsewhere."""
        self._incoming.write(data)

    def handshake(self) -> bool:
        """Go on with the handshake as far as it goes without waiting; tell whether it has ended.

        Look at `has_backlog` then: the client may wait for what the socket did not take.

        Raises:
            OSError: It has failed. What tells the client why has been sent if possible.
        """
        if not self.is_established:
            try:
                self.tls.do_handshake()
                self.is_established = True
            except ssl.SSLWantReadError:
                pass
            except OSError:
                self._is_broken = True
                with suppress(OSError):  # the fault that counts is the first one
                    self.push()
                raise
            self.push()
        return self.is_established

    def has_backlog(self) -> bool:
        """Tell whether bytes wait that the socket has not taken."""
        return bool(self._backlog) or bool(self._outgoing.pending)

    def push(self) -> bool:
        """Send what waits; tell whether all of it went out.

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

        Args:
            size: Encrypted bytes taken from the socket at most; there are fewer plain ones.

        Raises:
            BlockingIOError: Nothing can be read now.
            OSError: The connection is broken.
        """
        data = self.sock.recv(size)
        if self._is_shut:
            return data  # to be thrown away unread, as all that comes after our end
        if self._has_ended:
            return b""
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
                    self._note_end()
                    break
                parts.append(part)
                if not self._incoming.pending and not self.tls.pending():
                    break
        except ssl.SSLWantReadError:
            if not parts:
                self._answer()
                raise BlockingIOError from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            self._note_end()
        except OSError:
            self._is_broken = True
            with suppress(OSError):  # the alert; the fault that counts is the first one
                self.push()
            if not parts:
                raise
            self._note_end()
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
            self._say_goodbye()
        self.sock.shutdown(how)

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """Set an option of the socket; see `socket.socket.setsockopt`."""
        if option == socket.SO_LINGER:
            self._is_broken = True  # it will be reset: a goodbye would make what was sent whole
        self.sock.setsockopt(level, option, value)

    def close(self) -> None:
        """Close the socket; tell the client so if that can be done at once."""
        self._say_goodbye()
        self.sock.close()

    def _say_goodbye(self) -> None:
        # Where a response is cut off, the client must not take it for whole (RFC 8446 §6.1).
        if self._is_shut or self._is_broken or not self.is_established or self._promised:
            return
        self._is_shut = True
        with suppress(OSError):  # that the client has not said goodbye as well, or has gone
            self.tls.unwrap()
        with suppress(OSError):
            self.push()

    def _note_end(self) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        # The connection may be open still, and quiet. The poller shall tell of it once more.
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RD)

    def _answer(self) -> None:
        """Send what TLS itself has to answer, and bound what may wait."""
        if self._is_broken or not self.has_backlog() or self.push():
            return
        if not self._promised and len(self._backlog) > _MOST_BACKLOG:
            self._is_broken = True
            raise ConnectionAbortedError("The client makes us write and does not read.")
