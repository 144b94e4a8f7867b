"""`Server`: can be started and stopped from any thread."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from enum import Enum
from typing import TYPE_CHECKING, Protocol
from wsgiref.types import WSGIApplication

from dewar.server.connection.server_context import ServerContext
from dewar.server.errors import ServerStateError
from dewar.server.processes.app_source import preloaded
from dewar.server.settings.settings import Settings
from dewar.server.threads.backend import ThreadBackend
from dewar.support.background_thread import BackgroundThread
from dewar.support.metric_sources import metric_sources

if TYPE_CHECKING:
    from dewar.server.metrics.statistics import ReadStatistics, ServerStatistics
    from dewar.support.metric_sources import ReadFamilies


class ServerPhase(Enum):
    """The life of a server."""

    NEW = "not started"
    STARTED = "listening"
    STOPPED = "stopped for good"


class ServerBackend(Protocol):
    """Serves the application: on threads of this process, or in processes."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The URLs it listens on."""

    def start(self) -> None:
        """Start to serve."""

    def stop(self, timeout: float) -> bool:
        """Finish the requests in flight and end; return whether everything has ended."""

    def statistics(self) -> "ServerStatistics":
        """Return the statistics."""

    def reopen_logs(self) -> None:
        """Open new log files."""


class Server:
    """Serves one WSGI application.

    With ``processes`` or ``max_requests`` in its settings it serves in worker processes: `start`
    forks a supervisor for them, which is a child of this process. A program with threads should
    start such a server before its threads: a lock that another thread holds at the fork is never
    released in the child.

    Args:
        app: Any WSGI callable.
        settings: How to serve it; the defaults if left out.
        clock: A monotonic clock in seconds, for all deadlines; not used with processes.
        stop_soon: Called when the application asks to stop the server; if left out, `stop` is
            called on another thread.
        heartbeat: Called about once a second, on a thread of the server, while its threads work.
            Not used with processes, which have a heartbeat to their supervisor.

    Raises:
        SettingsError: A file for TLS cannot be used.
    """

    def __init__(
        self,
        app: WSGIApplication,
        settings: Settings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        heartbeat: Callable[[], None] | None = None,
        stop_soon: Callable[[], None] | None = None,
    ) -> None:
        self.settings = settings if settings is not None else Settings()
        self._changing = threading.Lock()
        self._phase = ServerPhase.NEW
        self._has_run = False
        self._stopped = threading.Event()
        self._backend: ServerBackend
        self._metrics: Server | None = None
        make_metrics = maybe_metrics_server(self.settings)
        if self.settings.needs_supervisor:
            # Here, because a server without processes needs none of their modules.
            from dewar.server.processes.background_supervisor import BackgroundSupervisor

            source = preloaded(app, describe(app))
            self._backend = BackgroundSupervisor(self.settings, source, make_metrics)
        else:
            server_context = ServerContext(
                app,
                self.settings,
                clock,
                heartbeat=heartbeat,
                stop_soon=self._stop_soon if stop_soon is None else stop_soon,
            )
            self._backend = backend = ThreadBackend(server_context)
            if make_metrics is not None:
                self._metrics = make_metrics(backend.pools, metric_sources.families)

    def __repr__(self) -> str:
        where = ", ".join(self.addresses) or self.settings.bind
        return f"<Server {self._phase.name} on {where}: {self._backend!r}>"

    @property
    def addresses(self) -> tuple[str, ...]:
        """The URLs it listens on, with their real ports. Empty before `start`."""
        return self._backend.addresses

    @property
    def metrics_addresses(self) -> tuple[str, ...]:
        """The URLs of the metrics; empty without ``metrics`` and before `start`.

        With processes it is empty too: the process for the metrics chooses the port.
        """
        return () if self._metrics is None else self._metrics.addresses

    def start(self) -> None:
        """Listen and start to serve on other threads; return at once.

        With processes it returns when all of them serve.

        Raises:
            BindError: The server cannot listen on an address; nothing has been started.
            LogFileError: The access log cannot be written; nothing has been started.
            ServerStateError: It was started before.
            StartError: The processes could not start to serve; all have ended.
        """
        with self._changing:
            if self._phase is not ServerPhase.NEW:
                raise ServerStateError(f"{self!r} can be started once. Make a new Server.")
            with ExitStack() as started:
                if self._metrics is not None:
                    self._metrics.start()
                    started.callback(self._metrics.stop)
                self._backend.start()
                started.pop_all()
            self._phase, self._has_run = ServerPhase.STARTED, True

    def stop(self, timeout: float | None = None) -> bool:
        """Stop listening, finish the requests in flight, and end all threads and processes.

        Safe to call from any thread and more than once. A second call with a shorter timeout
        cuts the first one short.

        Args:
            timeout: Seconds for requests in flight, before their connections are cut;
                ``settings.graceful_timeout`` if left out.

        Returns:
            Whether everything has ended. ``False`` means that the application has not returned on
            some thread, which ends when it does, or that a process was killed.
        """
        with self._changing:
            if self._phase is ServerPhase.NEW:
                self._phase = ServerPhase.STOPPED
                self._stopped.set()
            if not self._has_run:
                return True
        ended = self._backend.stop(self.settings.graceful_timeout if timeout is None else timeout)
        if self._metrics is not None:
            self._metrics.stop()  # last: the stop can be watched
        with self._changing:
            self._phase = ServerPhase.STOPPED
        self._stopped.set()
        return ended

    def _stop_soon(self) -> None:
        BackgroundThread("dewar-stop", self.stop).start()

    def wait_stopped(self, timeout: float | None = None) -> bool:
        """Block until the server has stopped; return whether it has within *timeout* seconds."""
        return self._stopped.wait(timeout)

    def statistics(self) -> "ServerStatistics":
        """Return the statistics; those of processes are about a second old.

        Raises:
            ServerStateError: It was not started yet.
        """
        if self._phase is ServerPhase.NEW:
            raise ServerStateError(f"{self!r} has nothing to count before start().")
        return self._backend.statistics()

    def reopen_logs(self) -> None:
        """Open new log files of the same names, after a rotation has renamed the current ones.

        Safe in a signal handler. If a file cannot be opened, the error is logged and the current
        file stays in use.
        """
        if self._phase is ServerPhase.STARTED:
            self._backend.reopen_logs()


def maybe_metrics_server(
    settings: Settings,
) -> "Callable[[ReadStatistics, ReadFamilies], Server] | None":
    """Return a function that makes the server for the metrics; None if they have no address."""
    address = settings.metrics
    if address is None:
        return None
    from dewar.server.metrics.endpoint import MetricsApp, metrics_settings

    def make(statistics: "ReadStatistics", families: "ReadFamilies") -> Server:
        return Server(MetricsApp(address, statistics, families), metrics_settings(address))

    return make


def describe(app: object) -> str:
    """Return ``module:name`` for *app*, or that of its type if it has no name."""
    named = app if hasattr(app, "__qualname__") else type(app)
    return f"{named.__module__}:{named.__qualname__}"
