"""What all connections of one server share."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol
from wsgiref.types import WSGIApplication

from dewar.environ_keys import IS_DRAINING, STOP
from dewar.layers import maybe_own_method
from dewar.loop.from_thread import is_gevent_patched
from dewar.loop.suspended import SUSPENDS, Suspended
from dewar.server.access_log.log import AccessLog
from dewar.server.connection.body_limit import maybe_body_limit
from dewar.server.connection.environ import sealed, server_environ
from dewar.server.connection.question_warning import warn_of_question
from dewar.server.connection.shared_values import SharedValues
from dewar.server.lifespan import begin_serving, end_serving
from dewar.server.proxies.middleware import with_proxy_middleware
from dewar.server.settings.settings import Settings
from dewar.server.system.tls import maybe_context
from dewar.server.wire.head import FieldNames
from dewar.server.wire.limits import Limits
from dewar.server.wire.reader import RequestReader
from dewar.server.wire.request import Environ, WireRequest
from dewar.server.wire.storage import BodyStorage
from dewar.server.wire.writer import HeadWriter
from dewar.support.bounded_log import BoundedLog

BeginOnLoop = Callable[[Environ, Any], Suspended | None]

_logger = logging.getLogger("dewar.server")


class Balancer(Protocol):
    """Shares new connections between the processes that accept them."""

    def note_open(self, count: int) -> None:
        """Note that this process has *count* open connections."""

    def should_defer(self, count: int) -> bool:
        """Return whether another process should accept next; *count* are open in this one."""


class ServerContext:
    """An application, and everything that is needed to serve it.

    Args:
        app: The WSGI callable.
        settings: How to serve it.
        clock: A monotonic clock in seconds.
        heartbeat: Called by the leader about once a second. A supervised process shows with it that
            its threads still come back.
        stop_soon: Stops the whole server when the application asks for it; returns at once.
        balancer: Shares new connections with other processes, if there are any.

    Attributes:
        app: The WSGI callable, inside the proxy middleware.
        access_log: Where responses are logged, if `logs_access`.
        continue_bodies: The bodies of requests that run before their body is received. Each may
            hold a thread.
        max_continue_bodies: The limit of their number.
        draining: Whether the server stops; no connection persists then. `begin_draining` sets it.
        body_limit: Asks the application how much of a body it takes, if it can be asked.
        body_storage: The room for the bodies of all connections.
        bounded_log: For warnings that clients can cause.
        begin_on_loop: The method of the application with this name, if it has one. Given the
            environ and ``start_response``, it returns a response that the event loop alone can
            make, or None.
        shared_values: Those of the requests that may leave HTTP.
        suspends: Whether the application may return a `Suspended`.
        ended_reader: The reader of connections that have left HTTP; it reads nothing.
        now: When the leader last looked at the clock. Only the leader writes it.
        tls: The TLS context, or ``None`` for plain HTTP.

    Raises:
        SettingsError: A file for TLS cannot be used.
    """

    __slots__ = (
        "_app",
        "_drain",
        "access_log",
        "app",
        "balancer",
        "base_environ",
        "begin_on_loop",
        "body_limit",
        "body_storage",
        "bounded_log",
        "clock",
        "continue_bodies",
        "draining",
        "ended_reader",
        "heartbeat",
        "logs_access",
        "max_continue_bodies",
        "names",
        "now",
        "settings",
        "shared_values",
        "suspends",
        "tls",
        "writer",
    )  # fmt: skip

    def __init__(
        self,
        app: WSGIApplication,
        settings: Settings,
        clock: Callable[[], float],
        *,
        heartbeat: Callable[[], None] | None = None,
        stop_soon: Callable[[], None] | None = None,
        balancer: Balancer | None = None,
    ) -> None:
        self._app = app
        self.app: Callable[[Environ, Any], Any] = with_proxy_middleware(app, settings)
        self.settings = settings
        self.clock = clock
        self.names = FieldNames()
        self.writer = HeadWriter(settings.server_name, time.time())
        self.tls = maybe_context(
            settings.ssl_context, settings.certfile, settings.keyfile, settings.client_ca
        )
        self.logs_access = settings.access_log
        self.access_log = AccessLog(settings, clock)
        self.continue_bodies: set[object] = set()
        # Clients that never send the body they announced must not hold all threads.
        self.max_continue_bodies = max(1, settings.threads // 4)
        # PERF: twice, because each response reads the flag, and the environ must not refer back to
        # this object. An endless stream asks for it now and then, and ends.
        self.draining = False
        self._drain = threading.Event()
        self.heartbeat = heartbeat
        self.balancer = balancer
        # Under gevent's patches a thread is a greenlet, and the loop would not have its own thread.
        self.suspends = not is_gevent_patched()
        self.base_environ = self._base_environ(stop_soon or (lambda: None))
        self.begin_on_loop = self._maybe_begin_on_loop()
        self.bounded_log = BoundedLog(_logger, clock)
        self.body_limit = maybe_body_limit(app, settings, self.bounded_log)
        self.body_storage = BodyStorage(settings.limits, threading.Lock())
        self.ended_reader = _ended_reader(self.names, settings.limits)
        self.shared_values = SharedValues()
        self.now = clock()

    def warn_of_question(self, method: str, error: BaseException) -> None:
        """Log that a method of the application has failed to say what a call would do."""
        warn_of_question(self.bounded_log, self._app, method, error)

    def begin(self) -> None:
        """Tell the application that this process begins to serve it; its errors are raised."""
        begin_serving(self._app)

    def end(self, timeout: float) -> None:
        """Tell the application that this process has answered its last request.

        Args:
            timeout: The seconds that the application may take.
        """
        end_serving(self._app, timeout)

    def begin_draining(self) -> None:
        """Let no connection persist after its current response: the server stops."""
        self.draining = True
        self._drain.set()

    def open_logs(self) -> None:
        """Open the log files, in the process that writes them.

        Raises:
            LogFileError: One cannot be opened.
        """
        self.access_log.open()

    def reopen_logs(self) -> None:
        """Continue in new files, after a rotation has renamed the open ones."""
        self.access_log.reopen()

    def close_logs(self) -> None:
        """Close the log files. Call it when no thread writes any more."""
        self.access_log.close()

    def __repr__(self) -> str:
        return f"<ServerContext for {self.app!r}{', draining' if self.draining else ''}>"

    def _base_environ(self, stop_soon: Callable[[], None]) -> Environ:
        environ = server_environ(self.settings.threads > 1, self.settings.processes > 1)
        environ[IS_DRAINING] = self._drain.is_set
        environ[STOP] = sealed(stop_soon)
        if self.suspends:
            environ[SUSPENDS] = True
        return environ

    def _maybe_begin_on_loop(self) -> BeginOnLoop | None:
        # Behind the proxy middleware the application gets another environ.
        if self.app is not self._app or not self.suspends:
            return None
        begin: BeginOnLoop | None = maybe_own_method(self._app, "begin_on_loop")
        return begin


def _ended_reader(names: FieldNames, limits: Limits) -> RequestReader[Any]:
    reader: RequestReader[Any] = RequestReader({}, names, limits, WireRequest)
    reader.discard()
    return reader
