"""Serving on threads of this process."""

import threading
import time
from contextlib import ExitStack
from socket import socket
from typing import TYPE_CHECKING

from dewar.server.connection.server_context import ServerContext
from dewar.server.errors import ServerStateError
from dewar.server.system.descriptor_limit import raise_descriptor_limit
from dewar.server.system.listeners import close_listeners, open_listeners, stop_listening, url_of
from dewar.server.threads.pool import Pool

if TYPE_CHECKING:
    from dewar.server.metrics.statistics import PoolStatistics, ServerStatistics

# Seconds for a thread to end after its connection was cut. A handler that hangs delays the stop by
# as much. It does not hang the process: threads are daemons.
_LEAVE = 1.0


class ThreadBackend:
    """Serves on threads of this process.

    Args:
        server_context: What to serve.
    """

    def __init__(self, server_context: ServerContext) -> None:
        self._server_context = server_context
        self._joining = threading.Lock()
        self._pool: Pool | None = None
        self._listeners: tuple[socket, ...] = ()
        self.addresses: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return repr(self._pool or self._server_context)

    def start(self) -> None:
        """See `dewar.server.server.ServerBackend`."""
        settings = self._server_context.settings
        raise_descriptor_limit(settings.max_connections, 2 * settings.websocket_threads)
        with ExitStack() as opened:
            self._server_context.open_logs()
            opened.callback(self._server_context.close_logs)
            listeners = open_listeners(
                settings.bind, settings.backlog, settings.unix_mode, ipv6_only=settings.ipv6_only
            )
            opened.callback(close_listeners, listeners)
            self._server_context.begin()
            opened.callback(self._server_context.end, 0.0)
            self.addresses = tuple(url_of(listener, settings.scheme) for listener in listeners)
            self._listeners = tuple(listeners)  # a copy: the pool clears its list
            self._pool = Pool(self._server_context, listeners)
            self._pool.start()
            opened.pop_all()

    def stop(self, timeout: float) -> bool:
        """See `dewar.server.server.ServerBackend`."""
        pool = self._started()
        deadline = time.monotonic() + timeout
        for listener in self._listeners:
            stop_listening(listener)
        pool.drain_soon()
        if not pool.ended.wait(timeout):
            pool.end()
        with self._joining:
            left = pool.join(_LEAVE)
        self._server_context.end(deadline - time.monotonic())
        if left:
            self._server_context.close_logs()
        return left

    def pools(self) -> "dict[str, PoolStatistics]":
        """Return the statistics of the one pool, under the number of its process."""
        return {} if self._pool is None else {"1": self._pool.statistics()}

    def statistics(self) -> "ServerStatistics":
        """See `dewar.server.server.ServerBackend`."""
        from dewar.server.metrics.statistics import ServerStatistics  # PERF: seldom asked for

        return ServerStatistics(addresses=self.addresses, pool=self._started().statistics())

    def reopen_logs(self) -> None:
        """See `dewar.server.server.ServerBackend`."""
        self._server_context.reopen_logs()

    def _started(self) -> Pool:
        if self._pool is None:
            raise ServerStateError(f"{self!r} has not been started. Call start() first.")
        return self._pool
