"""What every leader does besides running requests: accepting, reading, deadlines, the stop.

Only the leader calls these, on whichever thread it is; any thread may call what ends with
``_soon``. Any thread may write `pool_state`, which only moves forward.
"""

import threading
import time
from enum import Enum

from dewar.server.connection.connection import Connection
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.state import ConnectionState
from dewar.server.threads.acceptor import Acceptor, AcceptState
from dewar.server.threads.connections import ConnectionTable
from dewar.server.threads.crowd import CROWDED, Crowd, CrowdTurns
from dewar.server.threads.poller import READ, Poller
from dewar.server.threads.runner import RequestRunner, fail_connection
from dewar.support.waker import Waker

_IDLE, _READY = ConnectionState.IDLE, ConnectionState.READY
_FLUSHING, _UPGRADING = ConnectionState.FLUSHING, ConnectionState.UPGRADING
_YIELDING = AcceptState.YIELDING

# Seconds between two looks at the deadlines, and the same while the pool ends.
_SWEEP = 1.0
_DRAIN_SWEEP = 0.05
# Seconds for a connection that was accepted just before the end and has sent nothing yet.
_DRAIN_GRACE = 0.5
# Seconds for which an idle connection may still carry a request when the server stops. A client
# that asks without pause learns from a response that the connection ends, not from its close.
_LAST_CALL = 0.2

Events = list[tuple[int, int]]


class PoolState(Enum):
    """The life of a pool."""

    SERVING = "the normal state"
    RETIRING = "no connection persists, other processes accept, idle connections have some time"
    DRAINING = "requests in flight are finished, no connection persists"
    ENDED = "threads end as they come back"


# PERF: a member of an enum is slower to reach than a name of this module.
_SERVING = PoolState.SERVING


class LeaderDuties:
    """The duties of the leader towards all clients whose requests are not running.

    Args:
        server_context: The server.
        poller: What reports the connections.
        waker: Wakes the leader.
        acceptor: Accepts new connections.
        connections: The connections of the pool.
        runner: Closes the connections at the end.

    Attributes:
        pool_state: How far the pool's life has come.
        next_sweep: When to look at the deadlines again.
        linger_until: When a pool that retires or drains closes the connections that are still idle.
        ended: Set once no thread leads any more.
    """

    def __init__(
        self,
        server_context: ServerContext,
        poller: Poller,
        waker: Waker,
        acceptor: Acceptor,
        connections: ConnectionTable,
        runner: RequestRunner,
    ) -> None:
        self._server_context = server_context
        self._poller = poller
        self._waker = waker
        self._acceptor = acceptor
        self._connections = connections
        self._runner = runner
        self._crowd = Crowd(connections)
        self.pool_state = PoolState.SERVING
        self.next_sweep = 0.0
        self.linger_until = 0.0
        self.ended = threading.Event()

    def __repr__(self) -> str:
        return f"<LeaderDuties {self.pool_state.name}>"

    def drain_soon(self) -> None:
        """Stop listening and finish requests in flight; `ended` is set when that is done."""
        if self.pool_state in (PoolState.SERVING, PoolState.RETIRING):
            self._end_soon(PoolState.DRAINING, _LAST_CALL)

    def retire_soon(self, linger: float) -> None:
        """Leave the listeners to other processes and finish; `ended` is set when that is done.

        An idle connection may be about to carry a request. So its next response says that the
        connection ends; only after *linger* seconds it is closed without one.
        """
        if self.pool_state is PoolState.SERVING:
            self._end_soon(PoolState.RETIRING, linger)

    def cut_soon(self) -> None:
        """Cut all connections; `ended` is set when that is done."""
        self._end_soon(PoolState.ENDED, 0.0)

    def poll_timeout(self) -> float:
        """Return how long to wait for events, in seconds; negative without a limit."""
        if self.pool_state is not _SERVING:
            return _DRAIN_SWEEP
        if self._acceptor.state is _YIELDING:
            return self._acceptor.listen_again(self._server_context.clock(), _SWEEP)
        if self._connections.open:
            return _SWEEP  # PERF: `count` takes a lock
        server_context = self._server_context
        is_idle = not self._connections.count and not self._acceptor.is_paused()
        if is_idle and server_context.heartbeat is None:
            return _SWEEP if server_context.bounded_log.has_more() else -1
        return _SWEEP

    def poll(self, poll_timeout: float) -> Events | CrowdTurns:
        """Wait for events; do what else is due; return the events to handle now.

        Args:
            poll_timeout: How long to wait, in seconds; negative without a limit.
        """
        server_context = self._server_context
        if server_context.logs_access:
            server_context.access_log.flush()
        events = self._poller.poll(poll_timeout, self._crowd.limit)
        now = server_context.now = server_context.clock()
        if now >= self.next_sweep or self.pool_state is not _SERVING:
            # A crowd's poll does not report all that is ready.
            is_all = len(events) < self._crowd.limit
            self.sweep(now, events if is_all else self._poller.poll(0))
        return self._crowd.turns(events, now) if len(events) >= CROWDED else events

    def maybe_ready(self, fd: int, mask: int) -> Connection | None:
        """Handle an event; return the connection if a request is complete on it."""
        connection = self._connections.open.get(fd)
        if connection is None:
            self.handle_other_fd(fd)
            return None
        try:
            is_ready = connection.receive() if mask == READ else self.receive_or_flush(connection)
        except Exception as error:  # noqa: BLE001  # an internal error costs one connection
            is_ready = fail_connection(connection, error)
        if is_ready:
            return connection
        self._connections.apply_state(connection)
        return None

    def receive_or_flush(self, connection: Connection) -> bool:
        """Read from *connection*, or send to it; return whether it can be run.

        If so, apply its state after the run, because the poller may report the wrong interest.
        """
        if connection.state is _READY:
            return True
        if connection.state is not _FLUSHING:
            return connection.state is not _UPGRADING and connection.receive()
        ready = connection.flush()
        if connection.state is _IDLE:
            self._connections.set_interest(connection, READ)
        return ready

    def handle_other_fd(self, fd: int) -> None:
        """Handle an event of a descriptor that is not an open connection."""
        if fd == self._waker.fd:
            self._waker.clear()
        elif not self._connections.handle_suspended(fd) and self.pool_state is PoolState.SERVING:
            self._connections.add(self._acceptor.accept(fd, self._room()))

    def accept_unclaimed(self) -> None:
        """Accept clients that no other process has accepted; see `Acceptor.leave_to_others`."""
        if self.pool_state is PoolState.SERVING:
            self._connections.add(self._acceptor.accept_unclaimed(self._room()))

    def sweep(self, now: float, events: Events) -> None:
        """Check all deadlines, and go on with a stop.

        A connection among *events* is not idle: a request has arrived on it.
        """
        self.next_sweep = now + _SWEEP
        self._server_context.writer.refresh(time.time())
        self._acceptor.tick(now)
        self._server_context.bounded_log.flush()
        if self._server_context.heartbeat is not None:
            self._server_context.heartbeat()
        if self.pool_state is PoolState.RETIRING:
            self._acceptor.leave()
            if now >= self.linger_until or not self._connections.count:
                self.pool_state = PoolState.DRAINING
        draining = self.pool_state is PoolState.DRAINING
        if draining:
            self._connections.add(self._acceptor.close(self._room()))
        self._check_deadlines(now, {fd for fd, _ in events})
        if self.pool_state is not PoolState.SERVING:
            self._connections.say_going_away()
        if draining and not self._connections.count:
            self.pool_state = PoolState.ENDED

    def _check_deadlines(self, now: float, ready: set[int]) -> None:
        closes_idle = self.pool_state is PoolState.DRAINING and now >= self.linger_until
        with self._connections.ownership_lock:
            for connection in self._connections.leader_owned():
                if connection.state is _IDLE and connection.fd in ready:
                    continue
                connection.expire(now)
                if closes_idle:
                    connection.close_if_idle(now, _DRAIN_GRACE)
                if connection.state is not _UPGRADING:  # it waits for its turn
                    self._connections.apply_state(connection)

    def finish(self) -> None:
        """End the pool. The caller leads, or no thread does."""
        self.pool_state = PoolState.ENDED
        self._acceptor.leave()
        self._runner.close()
        self.ended.set()

    def _end_soon(self, pool_state: PoolState, linger: float) -> None:
        self.linger_until = self._server_context.clock() + linger
        self.pool_state = pool_state
        self._server_context.begin_draining()
        self._waker.wake()

    def _room(self) -> int:
        return self._server_context.settings.max_connections - self._connections.count
