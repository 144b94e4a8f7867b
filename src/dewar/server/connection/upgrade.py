"""Taking a connection out of HTTP (RFC 9110 §7.8): on the event loop, or as a blocking socket."""

import asyncio
import errno
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Any

from dewar.loop.process_loop import process_loop
from dewar.server.connection.socket_relay import SocketRelay
from dewar.server.connection.transport import Transport
from dewar.server.connection.upgrade_socket import TakenSocket, UpgradeSocket
from dewar.server.connection.upgraded_transport import UpgradedTransport
from dewar.server.errors import ApplicationError

# Seconds for another thread that receives, after the call of the application is over.
_CLOSE_PATIENCE = 1.0


class UpgradeState(Enum):
    """Who has the connection."""

    OFFERED = "nobody has taken it yet"
    DECLINED = "the request was answered in HTTP"
    TAKEN = "the application"
    OVER = "the server: the call of the application is over"


_OFFERED, _DECLINED = UpgradeState.OFFERED, UpgradeState.DECLINED
_TAKEN, _OVER = UpgradeState.TAKEN, UpgradeState.OVER
TRANSITIONS: dict[UpgradeState, frozenset[UpgradeState]] = {
    _OFFERED: frozenset({_DECLINED, _TAKEN, _OVER}),
    _DECLINED: frozenset({_OVER}),
    _TAKEN: frozenset({_OVER}),
    _OVER: frozenset(),
}


class Upgrade:
    """The offer to one request that it may leave HTTP. It can be taken once, by either way.

    Args:
        connection: The connection.
        leave_http: Ends the reading of requests; returns what was received behind the request.
        note_taken: Called when the connection has left HTTP.
        has_loop: Whether there is an event loop on a thread of its own.

    Attributes:
        has_loop: Whether it can be taken on the event loop.
        state: Who has the connection.
    """

    __slots__ = (
        "_changing", "_connection", "_going_away", "_leave_http", "_note_taken", "_relay", "_taken",
        "_transport", "has_loop", "state",
    )  # fmt: skip

    def __init__(
        self,
        connection: Transport,
        leave_http: Callable[[], bytes],
        note_taken: Callable[[], object],
        has_loop: bool,
    ) -> None:
        self._connection: Transport | None = connection
        self._leave_http: Callable[[], bytes] | None = leave_http
        self._note_taken: Callable[[], object] | None = note_taken
        self._changing = threading.Lock()
        self._going_away: Callable[[], object] | None = None
        self._transport: UpgradedTransport | None = None
        self._relay: SocketRelay | None = None
        self._taken: TakenSocket | None = None
        self.has_loop = has_loop
        self.state = _OFFERED

    def __repr__(self) -> str:
        return f"<Upgrade {self.state.name} of {self._connection!r}>"

    def is_taken(self) -> bool:
        """Return whether the application has taken the connection; else it never can any more."""
        with self._changing:
            return not self._move(_DECLINED) and self.state is not _DECLINED

    def make_socket(self) -> UpgradeSocket:
        """Return the socket for the environ; it holds this offer, and not the other way round."""
        connection: Any = self._connection
        sock = connection.sock
        return UpgradeSocket(self._take_socket, sock if connection.is_plain else sock.sock)

    # The application calls these.

    def begin(
        self, protocol: asyncio.Protocol, going_away: Callable[[], object]
    ) -> asyncio.Transport:
        """Give the connection to *protocol*, and return its transport.

        The server sends nothing itself any more. When the application's work on the request has
        ended, the connection is closed once all is sent.

        Args:
            protocol: Gets what was received behind the request, and all that follows.
            going_away: Called once, on the event loop's thread, when the server is about to stop.

        Raises:
            ApplicationError: It is not called on the event loop's thread, the connection was
                taken before, or the request was answered.
        """
        if not process_loop.is_here():
            raise ApplicationError(
                "environ['dewar.upgrade'] was called on a thread. Call it in a coroutine on the"
                " event loop: async def view(): transport = upgrade(protocol, going_away)"
            )
        with self._changing:
            is_free = self._move(_TAKEN)
        if not is_free:
            raise ApplicationError(f"The connection cannot leave HTTP: {self._reason()}.")
        self._going_away = going_away
        return self._make_transport(protocol, self._leave())

    def _take_socket(self) -> TakenSocket:
        """Take the connection as a blocking socket, or return that which it was taken as.

        Raises:
            OSError: The connection was taken otherwise, the request was answered, or the system has
                no descriptors left.
        """
        with self._changing:
            if _TAKEN in TRANSITIONS[self.state]:
                self._taken = self._take_with(*self._open_sockets())
            if self._taken is None:
                raise OSError(errno.EBADF, f"The socket cannot be used: {self._reason()}")
            return self._taken

    def _open_sockets(self) -> tuple[socket.socket | None, socket.socket]:
        """Return the server's end of a relay, if one is needed, and the application's socket.

        This comes before the request leaves HTTP, because it may fail, and then it is answered.
        """
        connection: Any = self._connection  # until the end
        if connection.is_plain and not connection.has_early_bytes():
            return None, connection.sock.dup()
        if not self.has_loop:
            raise OSError(
                errno.ENOTSUP,
                "Under gevent's patches a connection with TLS, or with bytes behind the request,"
                " cannot be used as a socket. Let a proxy do TLS.",
            )
        return socket.socketpair()

    def _take_with(self, ours: socket.socket | None, theirs: socket.socket) -> TakenSocket:
        """Leave HTTP with the sockets; the caller holds the lock."""
        self._move(_TAKEN)
        rest = self._leave()
        theirs.setblocking(True)
        if ours is not None:
            ours.setblocking(False)
            relay = self._relay = SocketRelay(process_loop.get(), ours)
            process_loop.call_soon(self._make_transport, relay, rest)
        return TakenSocket(theirs)

    def _make_transport(self, protocol: asyncio.Protocol, rest: bytes) -> UpgradedTransport:
        connection: Any = self._connection
        loop = process_loop.get()
        self._transport = UpgradedTransport(loop, connection, protocol, rest)
        return self._transport

    # The server calls these.

    def say_going_away(self) -> None:
        """Tell the client, or the application, that the server stops, unless it knows that.

        Only the leader calls this. It does not block, and may fail: call it again later.
        """
        going_away, self._going_away = self._going_away, None
        if going_away is not None:
            process_loop.call_soon(going_away)
        elif self._taken is not None:
            self._taken.say_going_away()

    def end(self) -> None:
        """End what the application has: its work on the request has ended.

        What waits is the connection's again, and nothing watches it. Waits for the event loop.
        """
        with self._changing:
            self._move(_OVER)
        taken, connection = self._taken, self._connection
        if taken is not None:
            taken.end(0.0 if process_loop.is_here() else _CLOSE_PATIENCE)
        if self._relay is not None or self._transport is not None:
            with suppress(RuntimeError):  # the loop is closed, so it watches nothing
                _call_on_loop(self._release)
        elif taken is not None and connection is not None:
            connection.sock.setblocking(False)  # what the duplicate has changed
        # Some of these refer back to it.
        self._leave_http = self._note_taken = self._going_away = None
        self._connection = self._transport = self._relay = None

    def _release(self) -> None:
        if self._relay is not None:
            self._relay.drain()
        if self._transport is not None:
            self._transport.release()

    def _leave(self) -> bytes:
        leave_http, note_taken = self._leave_http, self._note_taken
        self._leave_http = self._note_taken = None
        if leave_http is None or note_taken is None:
            return b""
        rest = leave_http()
        note_taken()
        return rest

    def _reason(self) -> str:
        return "it was taken before" if self.state is _TAKEN else "the request was answered"

    def _move(self, state: UpgradeState) -> bool:
        """Go to *state* if that is possible; return whether it was. The caller holds the lock."""
        if state not in TRANSITIONS[self.state]:
            return False
        self.state = state
        return True


def _call_on_loop(function: Callable[[], object]) -> None:
    """Call *function* on the event loop's thread, and wait for that."""
    if process_loop.is_here():
        function()
        return
    done = threading.Event()
    process_loop.call_soon(_call, function, done)
    done.wait()


def _call(function: Callable[[], object], done: threading.Event) -> None:
    try:
        function()
    finally:
        done.set()
