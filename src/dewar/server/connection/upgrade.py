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
from dewar.server.connection.upgrade_socket import UpgradeSocket
from dewar.server.connection.upgraded_transport import UpgradedTransport
from dewar.server.errors import ApplicationError


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

    Attributes:
        state: Who has the connection.
        socket: The blocking socket for the application.
    """

    __slots__ = (
        "_changing", "_connection", "_going_away", "_leave_http", "_note_taken", "_relay",
        "_transport", "socket", "state",
    )  # fmt: skip

    def __init__(
        self,
        connection: Transport,
        leave_http: Callable[[], bytes],
        note_taken: Callable[[], object],
    ) -> None:
        self._connection: Transport | None = connection
        self._leave_http: Callable[[], bytes] | None = leave_http
        self._note_taken: Callable[[], object] | None = note_taken
        self._changing = threading.Lock()
        self._going_away: Callable[[], object] | None = None
        self._transport: UpgradedTransport | None = None
        self._relay: SocketRelay | None = None
        self.state = _OFFERED
        sock: Any = connection.sock
        self.socket = UpgradeSocket(self._open_socket, sock if connection.is_plain else sock.sock)

    def __repr__(self) -> str:
        return f"<Upgrade {self.state.name} of {self._connection!r}>"

    def is_taken(self) -> bool:
        """Return whether the application has taken the connection; else it never can any more."""
        return not self._move(_DECLINED) and self.state is not _DECLINED

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
        if not self._move(_TAKEN):
            raise ApplicationError(f"The connection cannot leave HTTP: {self._reason()}.")
        self._going_away = going_away
        return self._make_transport(protocol, self._leave())

    def _open_socket(self) -> socket.socket:
        """Take the connection as a blocking socket.

        Raises:
            OSError: The connection was taken before, the request was answered, or the system has
                no descriptors left.
        """
        ours, theirs = socket.socketpair()
        if not self._move(_TAKEN):
            ours.close()
            theirs.close()
            raise OSError(errno.EBADF, f"The socket cannot be used: {self._reason()}")
        ours.setblocking(False)
        process_loop.call_soon(self._begin_relay, ours, self._leave())
        return theirs

    def _begin_relay(self, sock: socket.socket, rest: bytes) -> None:
        self._relay = SocketRelay(process_loop.get(), sock)
        self._make_transport(self._relay, rest)

    def _make_transport(self, protocol: asyncio.Protocol, rest: bytes) -> UpgradedTransport:
        connection: Any = self._connection  # until the end
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
        elif self._relay is not None:
            self.socket.say_going_away()

    def end(self) -> None:
        """End what the application has: its work on the request has ended.

        What waits is the connection's again, and nothing watches it. Waits for the event loop.
        """
        was_taken = self.state is _TAKEN
        self._move(_OVER)
        if was_taken:
            self.socket.shut_down()
            with suppress(RuntimeError):  # the loop is closed, so it watches nothing
                _call_on_loop(self._release)
            self.socket.end()
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
        """Go to *state* if that is possible; return whether it was."""
        with self._changing:
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
