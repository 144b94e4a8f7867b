"""What all connections of one server share."""

import time
from collections.abc import Callable
from typing import Any, Protocol
from wsgiref.types import WSGIApplication

from dewar.environ_keys import IS_DRAINING, STOP
from dewar.loop.from_thread import is_gevent_patched
from dewar.loop.suspended import SUSPENDS, Suspended
from dewar.server.access_log.log import AccessLog
from dewar.server.connection.environ import server_environ
from dewar.server.lifespan import begin_serving, end_serving
from dewar.server.proxies.middleware import with_proxy_middleware
from dewar.server.settings.settings import Settings
from dewar.server.system.tls import maybe_context
from dewar.server.wire.head import FieldNames
from dewar.server.wire.writer import HeadWriter


class Balancer(Protocol):
    """One process's share of the connections that several accept."""

    def note_open(self, count: int) -> None:
        """Tell how many connections are open."""

    def should_defer(self, count: int) -> bool:
        """Return whether another process should rather have the next client; *count* are here."""


class ServerContext:
    """An application with everything that is needed to serve it.

    Attributes:
        app: The WSGI callable.
        access_log: Where what was answered is written, if `logs_access`.
        continue_bodies: Bodies whose requests run before they have come; each may hold a thread.
        max_continue_bodies: How many there may be.
        draining: Set once, when the server is told to stop: no connection persists from then on.
        heartbeat: Called by the leader about once a second; a process that is watched tells so that
            its threads still come back.
        maybe_on_loop: The application's own, if it has one: returns the work on an answer that
            can be done on the event loop alone, given the environ and ``start_response``.
        stop_soon: Has the whole server stop, for the application; returns at once.
        balancer: What this process has of the connections, where several listen.
        suspends: Whether the application may return a `Suspended`.
        now: When the leader last looked at the clock. Only the leader writes it.
        tls: How to do TLS, or ``None`` for plain HTTP.

    Raises:
        SettingsError: A file for TLS cannot be used.
    """

    __slots__ = (
        "_app", "access_log", "app", "balancer", "base_environ", "clock", "continue_bodies",
        "draining", "heartbeat", "logs_access", "max_continue_bodies", "maybe_on_loop", "names",
        "now", "settings", "stop_soon", "suspends", "tls", "writer",
    )  # fmt: skip

    def __init__(
        self, app: WSGIApplication, settings: Settings, clock: Callable[[], float]
    ) -> None:
        self._app = app
        self.app: Callable[[dict[str, Any], Any], Any] = with_proxy_middleware(app, settings)
        self.settings = settings
        self.clock = clock
        self.names = FieldNames()
        self.writer = HeadWriter(settings.server_name, time.time())
        self.base_environ = server_environ(settings.threads > 1, settings.processes > 1)
        self.tls = maybe_context(
            settings.ssl_context, settings.certfile, settings.keyfile, settings.client_ca
        )
        self.logs_access = settings.access_log
        self.access_log = AccessLog(settings, clock)
        self.continue_bodies: set[object] = set()
        # Clients that never send the body they announce must not get at all threads.
        self.max_continue_bodies = max(1, settings.threads // 4)
        self.draining = False
        # For what streams without end: it ends by itself where it asks now and then.
        self.base_environ[IS_DRAINING] = lambda: self.draining
        self.stop_soon: Callable[[], None] | None = None
        self.base_environ[STOP] = self._stop_soon
        self.heartbeat: Callable[[], None] | None = None
        self.balancer: Balancer | None = None
        # Under gevent's patches a thread is a greenlet: the loop would not be on one of its own.
        self.suspends = not is_gevent_patched()
        if self.suspends:
            self.base_environ[SUSPENDS] = True
        # Behind the proxy middleware the application sees another environ than we do here.
        begin_on_loop = (
            getattr(app, "begin_on_loop", None) if self.app is app and self.suspends else None
        )
        self.maybe_on_loop: Callable[[dict[str, Any], Any], Suspended | None] | None = begin_on_loop
        self.now = clock()

    def begin(self) -> None:
        """Tell the application that this process begins to serve it; what it raises is raised."""
        begin_serving(self._app)

    def end(self, timeout: float) -> None:
        """Tell the application that this process has answered its last request.

        Args:
            timeout: The seconds that it gets.
        """
        end_serving(self._app, timeout)

    def _stop_soon(self) -> None:
        if self.stop_soon is not None:
            self.stop_soon()

    def open_logs(self) -> None:
        """Open the log files, in the process that writes them.

        Raises:
            LogFileError: One cannot be opened.
        """
        self.access_log.open()

    def reopen_logs(self) -> None:
        """Go on in new files, after a rotation has renamed those that are open."""
        self.access_log.reopen()

    def close_logs(self) -> None:
        """Close the log files; only when no thread writes any more."""
        self.access_log.close()

    def __repr__(self) -> str:
        return f"<ServerContext for {self.app!r}{', draining' if self.draining else ''}>"
