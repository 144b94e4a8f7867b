"""A worker process: it loads the application, serves it, and obeys its supervisor.

Its main thread waits for the supervisor and for signals; the threads of the pool do the rest. Only
the leader of the pool writes heartbeats, so that a hung pool is noticed although the main thread
works.
"""

import logging
import os
import random
import selectors
import signal
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
from dewar.server.processes.hooks import ServerHooks, call_logged
from dewar.server.processes.metrics_publisher import MetricsPublisher
from dewar.server.processes.scoreboard import WorkerSlot
from dewar.server.settings.settings import Settings
from dewar.server.system.arrived_signals import ArrivedSignals
from dewar.server.system.crash_report import report_crashes_soon
from dewar.server.system.descriptor_limit import raise_descriptor_limit
from dewar.server.system.last_threads import finish_threads
from dewar.server.system.listeners import listen
from dewar.server.system.memory import freeze_heap
from dewar.server.system.process_exit import exit_status
from dewar.server.system.process_title import set_title
from dewar.server.system.signals import HANDLED_SIGNALS, SignalInbox
from dewar.server.threads.pool import Pool

_logger = logging.getLogger("dewar.server")

# How often it checks whether the pool has ended, or has answered enough requests, in seconds.
_LOOK = 0.05
# How long threads may take to end after their connections were cut, in seconds.
_LEAVE = 1.0
# How long an idle connection of a retiring worker stays open for one more request, at most.
_LINGER = 10.0
# The program is told of a stop once.
_STOPS = frozenset({"SIGINT", "SIGTERM", "SIGQUIT"})
_STOP_NUMBERS = frozenset(int(getattr(signal, name)) for name in _STOPS if hasattr(signal, name))
_EXITS = (SystemExit, KeyboardInterrupt)


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """What a worker gets from its supervisor."""

    settings: Settings
    source: AppSource
    listeners: list[socket]
    slot: WorkerSlot
    channel: ControlChannel
    hooks: ServerHooks


class WorkerProcess:
    """The inside of one worker process."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._settings = assignment.settings
        self._server_context: ServerContext | None = None
        self._pool: Pool | None = None
        self._publisher = MetricsPublisher(assignment.slot)
        self._deadline: float | None = None
        self._max_requests = _draw_max_requests(self._settings)
        self._wants_replacement = False
        self._stop_signals: set[str] = set()
        self._status, self._has_raised = 0, False

    def __repr__(self) -> str:
        return (
            f"<WorkerProcess {self._assignment.slot.number}, process {os.getpid()}: {self._pool!r}>"
        )

    def run(self) -> int:
        """Serve until the supervisor stops it; return the exit status."""
        assignment = self._assignment
        set_title(f"dewar: worker {assignment.slot.number} [{assignment.source.name}]")
        with suppress(RuntimeError):  # there may be no thread to be had
            report_crashes_soon().join()
        server_context = self._server_context = self._maybe_load()
        if server_context is None:
            return self._leave(0.0, self._status)
        with SignalInbox(HANDLED_SIGNALS, defers=True) as inbox:
            pool = self._pool = Pool(server_context, assignment.listeners)
            try:
                pool.start()
            except StartError as error:
                assignment.channel.send_nowait(Report.FAILED, str(error))
                server_context.end(0.0)
                return self._leave(0.0, EXIT_LOAD)
            assignment.channel.send_nowait(Report.READY)
            self._serve_until_stopped(pool, inbox)
            pool.join(_LEAVE)
            self._beat()
            server_context.end(self._time_left() - _LEAVE)
            self._publisher.finish()
            server_context.close_logs()
            # Here, where signals to the whole group still do not end this process.
            return self._leave(self._time_left(), self._status)

    def _leave(self, seconds: float, status: int) -> int:
        """Wait up to *seconds* for threads of the application; return *status*."""
        call_logged(self._assignment.hooks.worker_ending)
        finish_threads(seconds, status, self._wait_quit)
        return status

    def _maybe_load(self) -> ServerContext | None:
        """Do everything that can fail before clients connect; report a failure."""
        send = self._assignment.channel.send_nowait
        arrived = ArrivedSignals()
        try:
            with arrived:
                return self._load()
        except ServerError as error:
            send(Report.FAILED, str(error))
        except BaseException as error:  # a module may call sys.exit()
            if isinstance(error, _EXITS) and arrived.taken() & _STOP_NUMBERS:
                self._status = _exit_status(error)  # so does the program's handler of a stop
                return None
            _logger.critical("The application cannot be loaded", exc_info=True)
            text = f"The application cannot be loaded: {type(error).__name__}: {error}"
            send(Report.FAILED, text)
        self._status = EXIT_LOAD
        return None

    def _load(self) -> ServerContext:
        assignment = self._assignment
        assignment.hooks.worker_started(assignment.slot.number)
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
        raise_descriptor_limit(self._settings.max_connections, 2 * self._settings.websocket_threads)
        server_context.open_logs()
        server_context.begin()
        assignment.hooks.worker_ready(app)
        freeze_heap()
        listen(assignment.listeners, self._settings.backlog)
        return server_context

    def _reopen_logs(self) -> None:
        if self._server_context is not None:
            self._server_context.reopen_logs()

    def _beat(self) -> None:
        """Write a heartbeat on the scoreboard. The pool's leader calls it."""
        pool = self._pool
        if pool is not None:
            self._assignment.slot.beat(time.monotonic(), pool.stuck_since(), pool.statistics())
            self._publisher.maybe_start()

    def _serve_until_stopped(self, pool: Pool, inbox: SignalInbox) -> None:
        """Handle commands and signals until the pool has ended."""
        channel = self._assignment.channel
        with selectors.DefaultSelector() as selector:
            selector.register(channel.sock, selectors.EVENT_READ)
            if inbox.sock is not None:
                selector.register(inbox.sock, selectors.EVENT_READ)
            while not pool.ended.is_set():
                inbox.claim()
                selector.select(self._wait_time())
                for name in inbox.take():
                    self._on_signal(name, pool)
                if channel.sock in selector.get_map() and not self._read_commands(pool, inbox):
                    selector.unregister(channel.sock)  # a closed one is always readable
                self._on_raised(inbox.call_deferred(), pool)
                self._check_limits(pool)
            self._on_raised(inbox.call_deferred(all_of_them=True), pool)

    def _read_commands(self, pool: Pool, inbox: SignalInbox) -> bool:
        """Execute the supervisor's commands; stop, and return False, if it has died."""
        channel = self._assignment.channel
        commands = channel.receive_commands()
        if channel.is_closed:
            _logger.warning("Process %d has lost its supervisor and ends.", os.getpid())
            commands.append(Command.STOP)
        for command in commands:
            if isinstance(command, signal.Signals):
                self._on_passed_signal(command, pool, inbox)
                continue
            self._execute(command, pool)
            # Whatever the reason for the stop, the program may have something to save.
            if command is not Command.QUIT and not self._stop_signals:
                self._on_passed_signal(signal.SIGTERM, pool, inbox)
        return not channel.is_closed

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

    def _on_raised(self, raised: BaseException | None, pool: Pool) -> None:
        """Act on what a signal handler of the program has raised, such as by `sys.exit`.

        It ends the process: requests in flight are finished, and the supervisor replaces it. What
        is raised after that ends it at once.
        """
        if raised is None:
            return
        if self._has_raised:
            self._execute(Command.QUIT, pool)
            return
        self._has_raised, self._status = True, _exit_status(raised)
        self._request_replacement()
        self._execute(Command.STOP, pool)

    def _on_passed_signal(self, number: signal.Signals, pool: Pool, inbox: SignalInbox) -> None:
        """Act on a signal from the supervisor, with the program's handler if it has one."""
        if number.name in self._stop_signals:
            return  # it was sent to the whole group
        signal.raise_signal(number)
        names = inbox.take()
        if number.name not in names:  # nothing tells it: it has a handler in C
            names.append(number.name)
        for name in names:
            self._on_signal(name, pool)

    def _on_signal(self, name: str, pool: Pool) -> None:
        """Act on a signal that was sent to this process, or to the whole group."""
        if name in _STOPS:
            self._stop_signals.add(name)
        if name == "SIGTERM" and self._deadline is None:
            self._request_replacement()
        elif name == "SIGQUIT":
            self._execute(Command.QUIT, pool)
        elif name == "SIGUSR1":
            self._reopen_logs()
        elif name == "SIGINT":
            # The supervisor answers it for the whole group.
            call_logged(self._assignment.hooks.worker_interrupted)

    def _request_replacement(self) -> None:
        """Ask for a successor; the supervisor retires this process when it serves."""
        if not self._wants_replacement:
            self._wants_replacement = True
            self._assignment.channel.send_nowait(Report.WANTS_REPLACEMENT)

    def _execute(self, command: Command, pool: Pool) -> None:
        settings = self._settings
        if self._deadline is None:
            self._deadline = time.monotonic() + settings.graceful_timeout
        if command is Command.RETIRE:
            pool.retire_soon(min(settings.keep_alive, settings.graceful_timeout / 2, _LINGER))
        elif command is Command.STOP:
            pool.drain_soon()
        else:
            self._deadline = time.monotonic()
            call_logged(self._assignment.hooks.worker_interrupted)
            pool.end()


def _exit_status(raised: BaseException) -> int:
    """Return the exit status for what a signal handler of the program has raised."""
    if isinstance(raised, SystemExit):
        return exit_status(raised)
    if isinstance(raised, KeyboardInterrupt):
        return 0
    _logger.critical(
        "Process %d ends: a signal handler of the program has raised", os.getpid(),
        exc_info=raised,
    )  # fmt: skip
    return 1


def _draw_max_requests(settings: Settings) -> int:
    """Return how many requests to answer; 0 for no limit."""
    if not settings.max_requests:
        return 0
    # Not the random module's own generator: an application's seed makes it the same in all workers.
    return settings.max_requests + random.SystemRandom().randint(0, settings.max_requests_jitter)
