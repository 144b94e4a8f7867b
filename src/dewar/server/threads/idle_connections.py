"""The idle connections that are closed when new clients need their place.

Only the leader uses this.
"""

from collections import deque

from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.state import ConnectionState
from dewar.server.threads.connections import ConnectionTable

_IDLE, _CLOSED = ConnectionState.IDLE, ConnectionState.CLOSED

# Seconds between two looks at all connections, for each of them: about ten times what it costs to
# look at one. So a flood of clients cannot keep the leader busy with looking.
_PAUSE = 0.000002


class IdleConnections:
    """The idle connections of a pool, the longest idle first.

    Those that were served before go first, because their clients can try again. They are put in
    order by one look at all connections. The next look is due when all of them are used up, so each
    costs a newcomer little, however many connections there are.

    Args:
        server_context: The server.
        connections: The connections of the pool.
    """

    def __init__(self, server_context: ServerContext, connections: ConnectionTable) -> None:
        self._server_context = server_context
        self._connections = connections
        # When each was last used, and its descriptor: a reference would keep closed ones alive.
        self._queue: deque[tuple[float, int]] = deque()
        self._next_look = server_context.now

    def __repr__(self) -> str:
        return f"<IdleConnections, {len(self._queue)} in order>"

    def close_longest(self) -> bool:
        """Close the connection that has been idle for longest; return whether there was one."""
        while self._queue or self._look():
            if self._try_close(*self._queue.popleft()):
                self._server_context.bounded_log.warn(
                    "All places for connections are taken: the longest idle ones are closed for new"
                    " ones. Raise max_connections=%d or the limit of open files, or lower"
                    " keep_alive.",
                    self._server_context.settings.max_connections,
                )
                return True
        return False

    def _look(self) -> bool:
        """Put all idle connections in order, if it is time; return whether there are any."""
        now = self._server_context.now
        if now < self._next_look:
            return False
        connections = self._connections.leader_owned()
        self._next_look = now + len(self._connections.open) * _PAUSE
        idle = sorted((not c.served, c.idle_since, c.fd) for c in connections if c.state is _IDLE)
        self._queue.extend((since, fd) for _, since, fd in idle)
        return bool(idle)

    def _try_close(self, since: float, fd: int) -> bool:
        """Close a connection if it was not used meanwhile; return whether it was closed."""
        with self._connections.ownership_lock:
            connection = self._connections.open.get(fd)
            if connection is None or connection.idle_since != since:
                return False
            if connection.state is not _IDLE or connection in self._connections.handed_off:
                return False
            connection.close_if_idle(self._server_context.now, 0.0)
            self._connections.apply_state(connection)
        return connection.state is _CLOSED
