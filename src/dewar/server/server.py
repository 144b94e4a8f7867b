"""A server that can be started and stopped from any thread."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from enum import Enum
from socket import socket
from wsgiref.types import WSGIApplication

from dewar.server.connection.service import Service
from dewar.server.descriptors import allow_descriptors
from dewar.server.errors import ServerStateError
from dewar.server.listeners import close_listeners, display, open_listeners
from dewar.server.metrics_endpoint import MetricsEndpoint
from dewar.server.settings import Settings
from dewar.server.threads.pool import Pool
from dewar.server.threads.statistics import PoolStatistics

# What a thread gets to leave after its connection was cut. Longer, and a handler that hangs
# would hang the stop; threads are daemons, so that it does not hang the process.
_LEAVE = 1.0


class Phase(Enum):
    """The life of a server."""

    NEW = "not started"
    STARTED = "listening"
    STOPPED = "stopped for good"


class Server:
    """Serves one WSGI application.

    Args:
        app: Any WSGI callable.
        settings: How to serve it; the defaults if left out.
        clock: A monotonic clock in seconds; all deadlines go by it.

    Raises:
        SettingsError: A file for TLS can not be used.
    """

    def __init__(
        self,
        app: WSGIApplication,
        settings: Settings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings if settings is not None else Settings()
        self._service = Service(app, self.settings, clock)
        self._changing = threading.Lock()
        self._phase = Phase.NEW
        self._addresses: tuple[str, ...] = ()
        self._pool: Pool | None = None
        self._metrics: MetricsEndpoint | None = None
        self._stopped = threading.Event()

    def __repr__(self) -> str:
        where = ", ".join(self._addresses) or self.settings.bind
        return f"<Server {self._phase.name} on {where}: {self._pool or self._service!r}>"

    @property
    def metrics_addresses(self) -> tuple[str, ...]:
        """The URLs that statistics are served on; empty without ``metrics`` and before `start`."""
        return self._metrics.addresses if self._metrics is not None else ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """The URLs it listens on, with their real ports. Empty before `start`."""
        return self._addresses

    def start(self) -> None:
        """Listen and begin to serve, on threads of the server's own; return at once.

        Raises:
            BindError: An address can not be listened on; nothing has been started.
            LogFileError: The access log can not be written; nothing has been started.
            ServerStateError: It was started before.
        """
        with self._changing:
            if self._phase is not Phase.NEW:
                raise ServerStateError(f"{self!r} can be started once. Make a new Server.")
            allow_descriptors(self.settings.max_connections)
            listeners = self._open()
            scheme = self.settings.scheme
            self._addresses = tuple(display(listener, scheme) for listener in listeners)
            self._pool = Pool(self._service, listeners)
            self._phase = Phase.STARTED
            self._pool.start()

    def _open(self) -> list[socket]:
        """Return the listeners; open the access log and the metrics' address as well, or nothing.

        Raises:
            BindError: An address can not be listened on.
            LogFileError: The access log can not be written.
        """
        settings = self.settings
        with ExitStack() as opened:
            self._service.open_logs()
            opened.callback(self._service.close_logs)
            listeners = open_listeners(settings.bind, settings.backlog)
            opened.callback(close_listeners, listeners)
            if settings.metrics is not None:
                metrics = MetricsEndpoint(settings.metrics, self._worker_statistics, Server)
                metrics.start()
                self._metrics = metrics
            opened.pop_all()
        return listeners

    def _worker_statistics(self) -> dict[str, PoolStatistics]:
        return {"1": self._pool.statistics()} if self._pool is not None else {}

    def stop(self, timeout: float | None = None) -> bool:
        """Stop listening, finish what is in flight, and end all threads.

        Safe to call from any thread and more than once. A second call with a shorter timeout
        cuts the first one short.

        Args:
            timeout: Seconds for requests in flight, before their connections are cut;
                ``settings.graceful_timeout`` if left out.

        Returns:
            Whether all threads have ended. ``False`` means that the application did not come
            back; such a thread ends with it, or with the process.
        """
        pool = self._pool
        if pool is None:
            self._phase = Phase.STOPPED
            self._stopped.set()
            return True
        pool.drain_soon()
        if not pool.ended.wait(self.settings.graceful_timeout if timeout is None else timeout):
            pool.end()
        if self._metrics is not None:
            self._metrics.stop()  # last, so that a drain can be watched
        with self._changing:
            self._phase = Phase.STOPPED
            left = pool.join(_LEAVE)
            if left:
                self._service.close_logs()
        self._stopped.set()
        return left

    def reopen_logs(self) -> None:
        """Go on in new log files of the same names, after a rotation has renamed them.

        Safe in a signal handler. A file that can not be opened is logged, and its lines go on
        into the one so far.
        """
        self._service.reopen_logs()

    def wait_stopped(self, timeout: float | None = None) -> bool:
        """Block until the server has stopped; tell whether it did within *timeout* seconds."""
        return self._stopped.wait(timeout)

    def statistics(self) -> "ServerStatistics":
        """Return what the server is doing.

        Raises:
            ServerStateError: It was not started yet.
        """
        if self._pool is None:
            raise ServerStateError(f"{self!r} has nothing to count before start().")
        return ServerStatistics(addresses=self._addresses, pool=self._pool.statistics())


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerStatistics:
    """What a server was doing at one moment.

    Attributes:
        addresses: The URLs it listens on.
        pool: Its threads and connections.
    """

    addresses: tuple[str, ...]
    pool: PoolStatistics

    def as_dict(self) -> dict[str, object]:
        """Return the same as plain data."""
        return asdict(self)
