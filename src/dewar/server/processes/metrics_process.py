"""The process that serves the metrics of all workers.

The supervisor has no threads to serve them, and a worker may be busy, hung or dead just when they
are wanted. The process reads the shared scoreboard.
"""

import logging
import os
import signal
import time
from contextlib import suppress
from socket import socket
from typing import Protocol

from dewar.server.processes.control_channel import ControlChannel, Report, open_control_channel
from dewar.server.processes.fork import EXIT_LOAD, ChildCleanup, fork
from dewar.server.processes.policy import NO_PROCESS_PAUSE, SETTLED, replacement_pause
from dewar.server.system.process_title import set_title
from dewar.server.system.signals import HANDLED_SIGNALS, SignalInbox
from dewar.support.backoff import Backoff
from dewar.support.bounded_log import BoundedLog

_logger = logging.getLogger("dewar.server")

# How long it may take to end before it is killed, in seconds.
_STOP_TIMEOUT = 2.0
_LOOK = 0.01


class StatisticsEndpoint(Protocol):
    """Serves the statistics: a `Server` with a `MetricsApp`."""

    def start(self) -> None:
        """Start to serve on other threads."""

    def stop(self) -> object:
        """Stop serving."""


class MetricsProcess:
    """Keeps one process that serves the metrics.

    Args:
        title: The title of the process.
        endpoint: Serves the metrics; made in the supervisor and started in the process.
        listeners: The sockets of the workers, which the process closes.
        cleanup: Closes, in the process, what belongs to the supervisor alone.

    Attributes:
        pid: The process; 0 if there is none.
        was_ready: Whether it has served at least once.
        failure: Why it cannot start; empty if it has served.
    """

    def __init__(
        self,
        title: str,
        endpoint: StatisticsEndpoint,
        listeners: list[socket],
        cleanup: ChildCleanup,
    ) -> None:
        self._title = title
        self._endpoint = endpoint
        self._listeners = listeners
        self._cleanup = cleanup
        self._backoff = Backoff(replacement_pause)
        self.pid = 0
        self._channel: ControlChannel | None = None
        self._serves_since: float | None = None
        self._log = BoundedLog(_logger, time.monotonic)
        self.was_ready = False
        self.failure = ""
        cleanup.add(self._close_channel)

    def __repr__(self) -> str:
        return f"<MetricsProcess {self._title!r}, process {self.pid}>"

    @property
    def channel(self) -> ControlChannel | None:
        """The supervisor's end of the channel to the process."""
        return self._channel

    def supervise(self, now: float) -> None:
        """Read its messages; start it if it does not run and no pause is due."""
        if self.pid:
            self._read_reports(now)
            self._maybe_reap(now)
        if not self.pid and not self.failure and now >= self._backoff.until:
            self._start(now)

    def stop(self) -> None:
        """Close the channel, so that the process ends, and wait for it; kill it after a while."""
        self._close_channel()
        deadline = time.monotonic() + _STOP_TIMEOUT
        while self.pid and time.monotonic() < deadline:
            if _reap(self.pid):
                self.pid = 0
                return
            time.sleep(_LOOK)
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
            self.pid = 0

    def _start(self, now: float) -> None:
        ours, theirs = open_control_channel()
        self._channel = ours
        try:
            self.pid = fork(lambda: self._serve(theirs))
        except OSError as error:
            ours.close()
            self._log.warn("%s cannot be forked: %s. Trying again.", self._title, error)
            self._backoff.hold(now, NO_PROCESS_PAUSE)
        theirs.close()

    def _read_reports(self, now: float) -> None:
        if self._channel is None or self._channel.is_closed:
            return
        for report, text in self._channel.receive_reports():
            if report is Report.READY:
                self._serves_since, self.was_ready = now, True
            elif self.was_ready:
                _logger.error("%s", text)
            else:
                self.failure = text

    def _maybe_reap(self, now: float) -> None:
        if not _reap(self.pid):
            return
        self._read_reports(now)
        self._close_channel()
        if not self.failure:
            _logger.error("%s (process %d) has ended and is replaced.", self._title, self.pid)
        self.pid = 0
        if self._serves_since is not None and now - self._serves_since >= SETTLED:
            self._backoff.note_success()
        else:
            self._backoff.note_failure(now)
        self._serves_since = None

    def _close_channel(self) -> None:
        if self._channel is not None:
            self._channel.close()

    def _serve(self, theirs: ControlChannel) -> int:
        """Run in the child, until the supervisor closes the channel."""
        self._cleanup.run()
        for listener in self._listeners:
            listener.close()
        set_title(self._title)
        with SignalInbox([name for name in HANDLED_SIGNALS if name != "SIGQUIT"]):
            # It ignores a TERM to the whole group, so that the stop can be watched, and ends
            # with its supervisor.
            try:
                self._endpoint.start()
            except Exception as error:  # noqa: BLE001  # whatever it is, the supervisor says it
                theirs.send_nowait(Report.FAILED, f"The metrics cannot be served: {error}")
                return EXIT_LOAD
            theirs.send_nowait(Report.READY)
            theirs.sock.setblocking(True)
            while theirs.sock.recv(1):
                pass
            self._endpoint.stop()
        return 0


def _reap(pid: int) -> bool:
    """Wait for process *pid* if it has ended; return whether it has."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True  # another part of the program has waited for it
