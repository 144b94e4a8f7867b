"""New connections: taken from the listeners, counted, and rejected if there is no place for them.

Only the leader uses this.
"""

import errno
import socket
from collections.abc import Callable
from enum import Enum
from typing import Any

from dewar.server.connection.admission import Admission
from dewar.server.connection.connection import Connection
from dewar.server.connection.server_context import ServerContext
from dewar.server.errors import Refusal, ServerStateError
from dewar.server.threads.listener_set import ListenerSet
from dewar.server.threads.poller import Poller
from dewar.server.threads.yield_policy import YIELD_TIME, YieldPolicy
from dewar.server.wire.errors import UNAVAILABLE

# Connections accepted per event; the open connections wait meanwhile.
_ACCEPTS = 128
# The process or the system has run out of something. To try again at once would only spin.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE = 1.0
# Seconds for which a new connection is left to other processes that may have a free thread.
UNCLAIMED_AFTER = 0.02
# Connections above the limit that are kept until their clients have read why they are rejected.
_MAX_EXCESS = 256


class AcceptState(Enum):
    """The state of an acceptor. The poller reports new connections only in LISTENING.

    Two reasons keep a process from accepting, each for its own time: the system is exhausted, or
    another process should have the next clients. Both can hold at once. So the transitions depend
    on what happens, and not on the state that follows.
    """

    LISTENING = "accepts new connections"
    YIELDING = "leaves the next client to another process for a moment"
    PAUSED = "waits until the system has resources again"
    STANDBY = "no thread is free: accepts only clients that no other process accepts"
    STANDBY_PAUSED = "STANDBY and PAUSED"
    CLOSED = "has closed the listeners"


class AcceptEvent(Enum):
    """What moves an acceptor from one state to another."""

    YIELD = "another process should have the next client"
    RETURN = "the moment for the other process is over"
    EXHAUST = "the system has no descriptor or no memory left"
    RESUME = "the pause after that is over"
    STEP_BACK = "all threads of this process are busy"
    STEP_FORWARD = "a thread is free again"
    CLOSE = "the listeners are closed"


_LISTENING, _YIELDING = AcceptState.LISTENING, AcceptState.YIELDING
_PAUSED, _CLOSED = AcceptState.PAUSED, AcceptState.CLOSED
_STANDBY, _STANDBY_PAUSED = AcceptState.STANDBY, AcceptState.STANDBY_PAUSED
_YIELD, _RETURN = AcceptEvent.YIELD, AcceptEvent.RETURN
_EXHAUST, _RESUME, _CLOSE = AcceptEvent.EXHAUST, AcceptEvent.RESUME, AcceptEvent.CLOSE
_STEP_BACK, _STEP_FORWARD = AcceptEvent.STEP_BACK, AcceptEvent.STEP_FORWARD

# An event that changes nothing is one that can come late or twice: each of several ready listeners
# may yield or find the system exhausted; a leader that failed halfway begins again; and a pool
# that ends has a leader until its end.
TRANSITIONS: dict[AcceptState, dict[AcceptEvent, AcceptState]] = {
    _LISTENING: {_YIELD: _YIELDING, _EXHAUST: _PAUSED, _STEP_BACK: _STANDBY, _CLOSE: _CLOSED},
    _YIELDING: {
        _YIELD: _YIELDING,
        _RETURN: _LISTENING,
        _EXHAUST: _PAUSED,
        _STEP_BACK: _STANDBY,
        _CLOSE: _CLOSED,
    },
    _PAUSED: {_EXHAUST: _PAUSED, _RESUME: _LISTENING, _STEP_BACK: _STANDBY_PAUSED, _CLOSE: _CLOSED},
    _STANDBY: {
        _EXHAUST: _STANDBY_PAUSED,
        _STEP_BACK: _STANDBY,
        _STEP_FORWARD: _LISTENING,
        _CLOSE: _CLOSED,
    },
    _STANDBY_PAUSED: {
        _EXHAUST: _STANDBY_PAUSED,
        _RESUME: _STANDBY,
        _STEP_BACK: _STANDBY_PAUSED,
        _STEP_FORWARD: _PAUSED,
        _CLOSE: _CLOSED,
    },
    _CLOSED: {_STEP_BACK: _CLOSED, _STEP_FORWARD: _CLOSED, _CLOSE: _CLOSED},
}


class Acceptor:
    """Accepts on the listeners, unless the system or the other processes are a reason not to.

    Args:
        server_context: The server.
        listeners: The sockets that clients connect to.
        poller: What reports them.
        make_room: Closes a connection that can be spared; returns whether there was one.

    Attributes:
        state: What it is doing.
        until: When it listens again (YIELDING), tries again (PAUSED) or looks again (STANDBY).
        accepted: Connections accepted since the start.
        rejected: Those of them that were rejected with 503.
        displaced: Idle connections that were closed for them.
    """

    def __init__(
        self,
        server_context: ServerContext,
        listeners: list[socket.socket],
        poller: Poller,
        make_room: Callable[[], bool],
    ) -> None:
        self._server_context = server_context
        self._admission = Admission(server_context)
        self._listeners = ListenerSet(listeners, poller)
        self._policy = YieldPolicy()
        self.state = _LISTENING
        self.until = 0.0
        self.accepted = 0
        self.rejected = 0
        self.displaced = 0
        self._make_room = make_room
        self._listeners.register()

    def __repr__(self) -> str:
        state = self.state.name
        return f"<Acceptor {state}, {len(self._listeners)} listeners, {self.accepted} accepted>"

    def accept(self, fd: int, room: int) -> list[Connection]:
        """Accept on the listener *fd*; return the new connections, which are not watched yet.

        Those above *room* take the place of idle connections, or are answered with 503.
        """
        listener = self._listeners.by_fd.get(fd)
        made: list[Connection] = []
        if listener is None:
            return made  # a stale event
        server_context, policy = self._server_context, self._policy
        listens = self.state is _LISTENING or self.state is _YIELDING
        balancer = server_context.balancer if listens and not server_context.draining else None
        held = server_context.settings.max_connections - room
        for _ in range(_ACCEPTS):
            if balancer is not None and policy.decide(
                balancer, held + len(made), server_context.now
            ):
                self._handle(_YIELD)
                self.until = server_context.now + YIELD_TIME
                break
            try:
                sock, peer = listener.accept()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in _EXHAUSTED and not self._displace():
                    self._pause(error)
                    break
                continue  # there is room now; or only this client has left, as in ECONNABORTED
            self.accepted += 1
            if policy.returned_at is not None:
                policy.note_in_vain()
            if len(made) >= room and self._displace():
                room += 1
            excess = len(made) - room
            made += self._admit(sock, peer) if excess < 0 else self._reject(sock, peer, excess)
        return made

    def accept_unclaimed(self, room: int) -> list[Connection]:
        """Accept clients that no process has accepted for a while, after `leave_to_others`."""
        now = self._server_context.now
        made: list[Connection] = []
        if self.state is not _STANDBY or now < self.until:
            return made
        self.until = now + UNCLAIMED_AFTER
        for fd in self._listeners.look():
            made += self.accept(fd, room - len(made))
            if self.state is not _STANDBY:
                break
        return made

    def leave_to_others(self) -> None:
        """Stop the reports of new connections: other processes may have free threads."""
        self._handle(_STEP_BACK)
        if self.state is _STANDBY:
            self.until = 0.0
            self._listeners.begin_looks()

    def accept_again(self) -> None:
        """Start the reports of new connections again."""
        self._handle(_STEP_FORWARD)

    def listen_again(self, now: float, longest: float) -> float:
        """Listen again if it is time, else return how long to wait; at most *longest*.

        Only in the state YIELDING.
        """
        if now < self.until:
            return self.until - now
        self.until = 0.0
        self._policy.note_return(now)
        self._handle(_RETURN)
        return longest

    def is_paused(self) -> bool:
        """Return whether accepting waits until the system has resources again."""
        return self.state is _PAUSED or self.state is _STANDBY_PAUSED

    def tick(self, now: float) -> None:
        """End a pause or a yield that is over; called about once a second."""
        if now < self.until:
            return
        if self.is_paused():
            self._handle(_RESUME)
        elif self.state is _YIELDING:
            # If the event loop's thread leads, it waits without `listen_again`.
            self.listen_again(now, 0.0)

    def close(self, room: int) -> list[Connection]:
        """Stop listening; return the connections that the kernel had ready."""
        last: list[Connection] = []
        for fd in self._listeners.by_fd:
            # At most as many as the kernel's queue holds: clients that keep connecting must not
            # keep the server from stopping.
            for _ in range(self._server_context.settings.backlog // _ACCEPTS + 1):
                before = self.accepted
                last += self.accept(fd, room - len(last))
                if self.accepted == before:
                    break
        self.leave()
        return last

    def leave(self) -> None:
        """Stop listening; clients in the kernel's queue are left to the other processes."""
        self._handle(_CLOSE)
        self._listeners.close()

    def _handle(self, event: AcceptEvent) -> None:
        before = self.state
        after = TRANSITIONS[before].get(event)
        if after is None:
            raise ServerStateError(f"{self!r} cannot take {event.name}.")
        self.state = after
        if after is before:
            return
        if before is _LISTENING:
            self._listeners.unregister()
        elif after is _LISTENING:
            self._listeners.register()

    def _displace(self) -> bool:
        """Have an idle connection closed for a new one; return whether there was any."""
        has_room = self._make_room()
        self.displaced += has_room
        return has_room

    def _admit(self, sock: socket.socket, peer: object) -> list[Connection]:
        try:
            sock.setblocking(False)
            if sock.family != getattr(socket, "AF_UNIX", None):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return [self._admission.open(sock, peer)]
        except OSError:
            sock.close()  # reset meanwhile, or not admitted
            return []

    def _reject(self, sock: socket.socket, peer: Any, excess: int) -> list[Connection]:
        """Answer with 503, on a connection that stays until the client has read it.

        If it were closed at once, the client could see a reset instead of the response. The number
        of such connections is limited. Above the limit, and before TLS or a PROXY header, where no
        response can be sent, the connection is closed.
        """
        self.rejected += 1
        refusal = Refusal(
            UNAVAILABLE,
            "There are too many connections. Try again later.",
            f"max_connections={self._server_context.settings.max_connections} is reached, and no"
            " connection is idle. Raise it, or start more processes.",
        )
        for connection in self._admit(sock, peer):
            if excess < _MAX_EXCESS and type(connection) is Connection:
                connection.reject(refusal)
                return [connection]
            connection.log_refusal(refusal)
            connection.close()
        return []

    def _pause(self, error: OSError) -> None:
        self._server_context.bounded_log.warn("Accepting pauses for %g s: %s", _PAUSE, error)
        self.until = self._server_context.now + _PAUSE
        self._handle(_EXHAUST)
