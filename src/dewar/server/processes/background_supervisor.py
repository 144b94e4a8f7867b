"""Worker processes beside a program that goes on: their supervisor is a child of the program.

A pair of sockets connects the two. The supervisor sends that it is ready, or why it is not; the
program sends when to stop. If the program ends in any way, the supervisor finds the other end
closed, and stops.
"""

import os
import signal
import socket
import threading
import time
from contextlib import suppress

from dewar.server.errors import ServerStateError, StartError
from dewar.server.metrics.statistics import ServerStatistics
from dewar.server.processes.app_source import AppSource
from dewar.server.processes.fork import fork
from dewar.server.processes.scoreboard import Scoreboard, make_scoreboard
from dewar.server.processes.supervisor import Supervisor
from dewar.server.processes.supervisor_links import (
    MAX_MESSAGE,
    READY,
    MakeEndpoint,
    ParentLink,
    SupervisorLinks,
)
from dewar.server.settings.settings import Settings
from dewar.server.system.listeners import ListeningSocket, bind_listeners, close_listeners, url_of

# What the supervisor gets beyond the timeout, in seconds: it kills what does not end, which takes
# some time.
_MARGIN = 8.0
_LOOK = 0.01


class BackgroundSupervisor:
    """A supervisor with its workers, as a child of this process.

    Args:
        settings: How to serve.
        source: Where the application comes from.
        endpoint: Makes what serves the statistics of the workers; None for no metrics.

    Attributes:
        addresses: The URLs it listens on.
    """

    def __init__(
        self,
        settings: Settings,
        source: AppSource,
        endpoint: MakeEndpoint | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._source = source
        self._scoreboard: Scoreboard = make_scoreboard(
            settings.processes, has_metrics=endpoint is not None
        )
        self._sock: socket.socket | None = None
        self._pid = 0
        self._status: int | None = None
        self._reaping = threading.Lock()
        self.addresses: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<BackgroundSupervisor {self._pid} with {self._scoreboard!r}>"

    def start(self) -> None:
        """Listen, fork the supervisor, and wait until its workers serve.

        Raises:
            BindError: The server cannot listen on an address; nothing has been started.
            StartError: The workers could not begin to serve; all have ended.
        """
        listeners = bind_listeners(
            self._settings.bind, self._settings.unix_mode, ipv6_only=self._settings.ipv6_only
        )
        self.addresses = tuple(url_of(listener, self._settings.scheme) for listener in listeners)
        ours, theirs = socket.socketpair()
        self._sock = ours
        try:
            self._pid = fork(lambda: self._run_supervisor(ours, theirs, listeners))
        except BaseException:
            close_listeners(listeners)
            ours.close()
            raise
        finally:
            theirs.close()
        for listener in listeners:
            listener.close()  # the file of a UNIX socket is left to the child
        answer = ours.recv(MAX_MESSAGE)
        if answer != READY:
            self._wait_ended(time.monotonic() + _MARGIN)
            ours.close()
            reason = answer[1:].decode() or f"The supervisor ended with status {self._status}."
            raise StartError(reason)

    def stop(self, timeout: float) -> bool:
        """Let the workers finish and wait for all; return whether they ended as they should."""
        if self._sock is None:
            raise ServerStateError(f"{self!r} has not been started. Call start() before stop().")
        with suppress(OSError):  # it has ended by itself, or by an earlier call
            self._sock.send(b"%f\n" % timeout)
        if not self._wait_ended(time.monotonic() + timeout + _MARGIN):
            with self._reaping:
                if self._status is None:
                    os.kill(self._pid, signal.SIGKILL)
            self._wait_ended(time.monotonic() + _MARGIN)
        self._sock.close()
        return self._status == 0

    def statistics(self) -> ServerStatistics:
        """Return what the workers do."""
        return ServerStatistics(
            addresses=self.addresses,
            pool=self._scoreboard.total(),
            workers=self._scoreboard.workers(),
            worker_failures=self._scoreboard.worker_failures,
        )

    def reopen_logs(self) -> None:
        """Let all processes continue in new log files."""
        with self._reaping:
            if self._pid and self._status is None:
                os.kill(self._pid, signal.SIGUSR1)

    def _run_supervisor(
        self, ours: socket.socket, theirs: socket.socket, listeners: list[socket.socket]
    ) -> int:
        ours.close()
        for listener in listeners:
            if isinstance(listener, ListeningSocket):
                listener.take_ownership()
        parent_link = ParentLink(theirs, self._settings.graceful_timeout)
        try:
            links = SupervisorLinks(
                status_listener=parent_link, parent_link=parent_link, endpoint=self._endpoint
            )
            return Supervisor(
                self._settings, self._source, listeners, self._scoreboard, links
            ).run()
        except BaseException as error:
            parent_link.failed(f"The application cannot be loaded: {error!r}")
            raise

    def _wait_ended(self, deadline: float) -> bool:
        """Wait for the supervisor's end, on any thread; return whether it came in time."""
        while not self._reap():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK)
        return True

    def _reap(self) -> bool:
        """Ask the system for the supervisor's end; return whether it has ended."""
        with self._reaping:
            if self._status is not None:
                return True
            try:
                pid, status = os.waitpid(self._pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = self._pid, 0  # the program has waited for all its children
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
            return self._status is not None
