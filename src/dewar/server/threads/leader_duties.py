"""What the leader does besides running requests: accepting, deadlines, flushing, the stop.

Only the leader calls these, whichever thread that is, but for what ends with ``_soon``.
`pool_state` is written by any thread, and only ever moves on.
"""

import logging
import threading
import time
from enum import Enum

from dewar.server.connection.connection import Connection
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.state import ConnectionState
from dewar.server.threads.accept_state import AcceptState
from dewar.server.threads.acceptor import Acceptor
from dewar.server.threads.connections import ConnectionTable
from dewar.server.threads.fairness import FAIRNESS_THRESHOLD, select_fairly
from dewar.server.threads.poller import READ, Poller, Waker

_logger = logging.getLogger("dewar.server")

_IDLE, _FLUSHING = ConnectionState.IDLE, ConnectionState.FLUSHING
_YIELDING = AcceptState.YIELDING

_SWEEP = 1.0
_DRAIN_SWEEP = 0.05
# For a connection that has come just before the end and has sent nothing yet, in seconds.
_DRAIN_GRACE = 0.5
# How long an idle connection may still carry a request when the server stops, in seconds. A client
# that asks without pause is told by an answer that the connection ends, and not by a closed one.
_LAST_CALL = 0.2


class PoolState(Enum):
    """The life of a pool."""

    SERVING = "all is normal"
    RETIRING = "no connection persists, others take the new ones, and idle ones have some time"
    DRAINING = "requests in flight are finished, no connection persists"
    ENDED = "threads leave as they come back"


# PERF: a member of an enum is slower to reach than a name of this module.
_SERVING = PoolState.SERVING


class LeaderDuties:
    """The leader's duties to everybody who is not being answered right now.

    Attributes:
        pool_state: How far the pool's life has come.
        next_sweep: When deadlines are looked at again.
        linger_until: When a pool that retires or drains closes connections that are idle still.
        ended: Set once nobody leads any more.
    """

    def __init__(
        self,
        server_context: ServerContext,
        poller: Poller,
        waker: Waker,
        acceptor: Acceptor,
        connections: ConnectionTable,
    ) -> None:
        self._server_context = server_context
        self._poller = poller
        self._waker = waker
        self._acceptor = acceptor
        self._connections = connections
        self.pool_state = PoolState.SERVING
        self.next_sweep = 0.0
        self.linger_until = 0.0
        self.ended = threading.Event()

    def __repr__(self) -> str:
        return f"<LeaderDuties {self.pool_state.name}>"

    def drain_soon(self) -> None:
        """Stop listening and finish what is in flight; `ended` is set when that is done."""
        if self.pool_state in (PoolState.SERVING, PoolState.RETIRING):
            self._end_soon(PoolState.DRAINING, _LAST_CALL)

    def retire_soon(self, linger: float) -> None:
        """Leave the listeners to other processes and finish; `ended` is set when that is done.

        An idle connection may be about to carry a request, so it is told with its next answer
        that it ends, and closed without one only after *linger* seconds.
        """
        if self.pool_state is PoolState.SERVING:
            self._end_soon(PoolState.RETIRING, linger)

    def poll_timeout(self) -> float:
        """Return how long to wait for events, in seconds; negative for ever."""
        if self.pool_state is not _SERVING:
            return _DRAIN_SWEEP
        if self._acceptor.state is _YIELDING:
            return self._acceptor.listen_again(self._server_context.clock(), _SWEEP)
        is_idle = not self._connections.count and not self._acceptor.is_paused()
        return -1 if is_idle and self._server_context.heartbeat is None else _SWEEP

    def poll(self, poll_timeout: float) -> list[tuple[int, int]]:
        """Wait for events; return those that have their turn, after a look at what else is due.

        Args:
            poll_timeout: How long to wait, in seconds; negative for ever.
        """
        events = self._poller.poll(poll_timeout)
        now = self._server_context.now = self._server_context.clock()
        if now >= self.next_sweep or self.pool_state is not _SERVING:
            self.sweep(now, events)
        return (
            select_fairly(events, self._connections.open)
            if len(events) > FAIRNESS_THRESHOLD
            else events
        )

    def receive_or_flush(self, connection: Connection) -> bool:
        """Go on with *connection*, about which there is news; tell whether it can be run."""
        if connection.state is not _FLUSHING:
            return connection.receive()
        ready = connection.flush()
        if ready or connection.state is _IDLE:
            self._connections.set_interest(connection, READ)
        return ready

    def handle_other_fd(self, fd: int) -> None:
        """Take an event of a descriptor that is no connection (any more)."""
        if fd == self._waker.fd:
            self._waker.clear()
        elif not self._connections.handle_suspended(fd) and self.pool_state is PoolState.SERVING:
            self._connections.add(self._acceptor.accept(fd, self._room()))

    def accept_unclaimed(self) -> None:
        """Accept whom no other process has taken on; see `Acceptor.leave_to_others`."""
        if self.pool_state is PoolState.SERVING:
            self._connections.add(self._acceptor.accept_unclaimed(self._room()))

    def fail_connection(self, connection: Connection, error: Exception) -> bool:
        """Log a fault of the server's own; have *connection* closed where its state is applied.

        Whoever runs or leads calls it. False, for there is nothing to run.
        """
        _logger.critical("Internal error in the server", exc_info=error)
        connection.mark_broken()
        return False

    def sweep(self, now: float, events: list[tuple[int, int]]) -> None:
        """Look at all deadlines, and at what a stop asks for.

        A connection among *events* is not idle: a request has come on it.
        """
        self.next_sweep = now + _SWEEP
        self._server_context.writer.refresh(time.time())
        self._acceptor.tick(now)
        if self._server_context.heartbeat is not None:
            self._server_context.heartbeat()
        if self.pool_state is PoolState.RETIRING:
            self._acceptor.leave()
            if now >= self.linger_until or not self._connections.count:
                self.pool_state = PoolState.DRAINING
        draining = self.pool_state is PoolState.DRAINING
        if draining:
            self._connections.add(self._acceptor.close(self._room()))
        ready = {fd for fd, _ in events}
        with self._connections.ownership_lock:
            for connection in self._connections.leader_owned():
                if connection.state is _IDLE and connection.fd in ready:
                    continue
                connection.expire(now)
                if draining and now >= self.linger_until:
                    connection.close_if_idle(now, _DRAIN_GRACE)
                self._connections.apply_state(connection)
        if draining and not self._connections.count:
            self.pool_state = PoolState.ENDED

    def finish(self, abandoned: list[Connection]) -> None:
        """Close what is left. Those *abandoned* wait for a thread that will not come."""
        self.pool_state = PoolState.ENDED
        self._acceptor.leave()
        self._connections.close(abandoned)
        self.ended.set()

    def _end_soon(self, pool_state: PoolState, linger: float) -> None:
        self.linger_until = self._server_context.clock() + linger
        self.pool_state = pool_state
        self._server_context.begin_draining()
        self._waker.wake()

    def _room(self) -> int:
        return self._server_context.settings.max_connections - self._connections.count
