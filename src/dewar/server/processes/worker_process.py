"""A worker process: it loads the application, serves it, and obeys its supervisor.

Its main thread waits for the supervisor and for signals; the threads of the pool do the rest. Only
the leader of the pool writes heartbeats, so that a hung pool is noticed although the main thread
works.
"""

import faulthandler
import io
import logging
import os
import random
import selectors
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from socket import socket

from dewar.server.connection.server_context import ServerContext
from dewar.server.errors import ServerError, StartError
from dewar.server.processes.app_source import AppSource
from dewar.server.processes.balancing import LeastConnections
from dewar.server.processes.control_channel import Command, ControlChannel, Report
from dewar.server.processes.fork import EXIT_LOAD
from dewar.server.processes.scoreboard import WorkerSlot
from dewar.server.settings.settings import Settings
from dewar.server.system.descriptor_limit import raise_descriptor_limit
from dewar.server.system.last_threads import finish_threads
from dewar.server.system.listeners import listen
from dewar.server.system.memory import freeze_heap
from dewar.server.system.process_title import set_title
from dewar.server.system.signals import HANDLED_SIGNALS, SignalInbox
from dewar.server.threads.pool import Pool
from dewar.support.background_thread import BackgroundThread

_logger = logging.getLogger("dewar.server")

# How often it checks whether the pool has ended, or has answered enough requests, in seconds.
_LOOK = 0.05
# How long threads may take to end after their connections were cut, in seconds.
_LEAVE = 1.0
# How long an idle connection of a retiring worker stays open for one more request, at most.
_LINGER = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """What a worker gets from its supervisor."""

    settings: Settings
    source: AppSource
    listeners: list[socket]
    slot: WorkerSlot
    channel: ControlChannel


class WorkerProcess:
    """The inside of one worker process."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._settings = assignment.settings
        self._server_context: ServerContext | None = None
        self._pool: Pool | None = None
        self._deadline: float | None = None
        self._max_requests = _draw_max_requests(self._settings)
        self._wants_replacement = False

    def __repr__(self) -> str:
        return (
            f"<WorkerProcess {self._assignment.slot.number}, process {os.getpid()}: {self._pool!r}>"
        )

    def run(self) -> int:
        """Serve until the supervisor stops it; return the exit status."""
        assignment = self._assignment
        set_title(f"dewar: worker {assignment.slot.number} [{assignment.source.name}]")
        with suppress(RuntimeError):  # there may be no thread to be had
            _report_crashes_soon().join()
        server_context = self._server_context = self._maybe_load()
        if server_context is None:
            finish_threads(0.0, EXIT_LOAD, self._wait_quit)
            return EXIT_LOAD
        with SignalInbox(HANDLED_SIGNALS) as inbox:
            pool = self._pool = Pool(server_context, assignment.listeners)
            try:
                pool.start()
            except StartError as error:
                assignment.channel.send_nowait(Report.FAILED, str(error))
                server_context.end(0.0)
                return EXIT_LOAD
            assignment.channel.send_nowait(Report.READY)
            self._serve_until_stopped(pool, inbox)
            pool.join(_LEAVE)
            self._beat()
            server_context.end(self._time_left() - _LEAVE)
            server_context.close_logs()
            # Here, where signals to the whole group still do not end this process.
            finish_threads(self._time_left(), 0, self._wait_quit)
        return 0

    def _maybe_load(self) -> ServerContext | None:
        """Do everything that can fail before clients connect; report a failure."""
        assignment = self._assignment
        try:
            app = assignment.source.load()
            balances = self._settings.processes > 1
            server_context = ServerContext(
                app,
                self._settings,
                time.monotonic,
                heartbeat=self._beat,
                stop_soon=lambda: assignment.channel.send_nowait(Report.STOP_ALL),
                balancer=LeastConnections(assignment.slot) if balances else None,
            )
            raise_descriptor_limit(
                self._settings.max_connections, 2 * self._settings.websocket_threads
            )
            server_context.open_logs()
            server_context.begin()
            freeze_heap()
            listen(assignment.listeners, self._settings.backlog)
        except ServerError as error:
            assignment.channel.send_nowait(Report.FAILED, str(error))
        except BaseException as error:  # a module may call sys.exit()
            _logger.critical("The application cannot be loaded", exc_info=True)
            text = f"The application cannot be loaded: {type(error).__name__}: {error}"
            assignment.channel.send_nowait(Report.FAILED, text)
        else:
            return server_context
        return None

    def _reopen_logs(self) -> None:
        if self._server_context is not None:
            self._server_context.reopen_logs()

    def _beat(self) -> None:
        """Write a heartbeat on the scoreboard. The pool's leader calls it."""
        pool = self._pool
        if pool is not None:
            self._assignment.slot.beat(time.monotonic(), pool.stuck_since(), pool.statistics())

    def _serve_until_stopped(self, pool: Pool, inbox: SignalInbox) -> None:
        """Handle commands and signals until the pool has ended."""
        channel = self._assignment.channel
        with selectors.DefaultSelector() as selector:
            selector.register(channel.sock, selectors.EVENT_READ)
            if inbox.sock is not None:
                selector.register(inbox.sock, selectors.EVENT_READ)
            while not pool.ended.is_set():
                selector.select(self._wait_time())
                for name in inbox.take():
                    self._on_signal(name, pool)
                if channel.sock in selector.get_map():
                    self._read_commands(pool, selector)
                self._check_limits(pool)

    def _read_commands(self, pool: Pool, selector: selectors.BaseSelector) -> None:
        """Execute the supervisor's commands; stop if the supervisor has died."""
        channel = self._assignment.channel
        for command in channel.receive_commands():
            self._execute(command, pool)
        if channel.is_closed:
            selector.unregister(channel.sock)  # a closed one is always readable
            _logger.warning("Process %d has lost its supervisor and ends.", os.getpid())
            self._execute(Command.STOP, pool)

    def _wait_time(self) -> float | None:
        return _LOOK if self._deadline is not None or self._max_requests else None

    def _time_left(self) -> float:
        """Return the seconds until the supervisor wants this process to have ended."""
        return 0.0 if self._deadline is None else self._deadline - time.monotonic()

    def _wait_quit(self, seconds: float) -> bool:
        """Wait for *seconds*; return whether the supervisor lets this process wait no longer."""
        channel = self._assignment.channel
        if channel.is_closed:
            time.sleep(seconds)
            return False
        with selectors.DefaultSelector() as selector:
            selector.register(channel.sock, selectors.EVENT_READ)
            selector.select(seconds)
        return Command.QUIT in channel.receive_commands()

    def _check_limits(self, pool: Pool) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            pool.end()
        elif (
            self._max_requests
            and not self._wants_replacement
            and pool.statistics().requests >= self._max_requests
        ):
            self._request_replacement()

    def _on_signal(self, name: str, pool: Pool) -> None:
        """Act on a signal that was sent to this process, or to the whole group."""
        if name == "SIGTERM":
            self._request_replacement()
        elif name == "SIGQUIT":
            self._execute(Command.QUIT, pool)
        elif name == "SIGUSR1":
            self._reopen_logs()

    def _request_replacement(self) -> None:
        """Ask for a successor; the supervisor retires this process when it serves."""
        if not self._wants_replacement:
            self._wants_replacement = True
            self._assignment.channel.send_nowait(Report.WANTS_REPLACEMENT)

    def _execute(self, command: Command, pool: Pool) -> None:
        settings = self._settings
        if command is Command.REOPEN_LOGS:
            self._reopen_logs()
            return
        if self._deadline is None:
            self._deadline = time.monotonic() + settings.graceful_timeout
        if command is Command.RETIRE:
            pool.retire_soon(min(settings.keep_alive, settings.graceful_timeout / 2, _LINGER))
        elif command is Command.STOP:
            pool.drain_soon()
        else:
            self._deadline = time.monotonic()
            pool.end()


def _report_crashes_soon() -> BackgroundThread:
    """Have fatal signals write where each thread is; return the thread that sets that up.

    Not on the main thread, because `faulthandler` gives its caller a small signal stack, and the
    handlers of all signals use it (SA_ONSTACK). Several signals at once, each interrupting the
    handler of another, would overflow it into the heap.
    """
    thread = BackgroundThread("dewar-faulthandler", _report_crashes)
    thread.start()
    return thread


def _report_crashes() -> None:
    # The app may have its own file for it, and there may be no real stderr.
    if not faulthandler.is_enabled():
        with suppress(io.UnsupportedOperation, AttributeError, ValueError, RuntimeError):
            faulthandler.enable(sys.__stderr__ or sys.stderr)


def _draw_max_requests(settings: Settings) -> int:
    """Return how many requests to answer; 0 for no limit."""
    if not settings.max_requests:
        return 0
    # Not the random module's own generator: an application's seed makes it the same in all workers.
    jitter = random.SystemRandom().randint(0, settings.max_requests_jitter)
    return settings.max_requests + jitter
