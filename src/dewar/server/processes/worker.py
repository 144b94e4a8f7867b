"""A worker process: it loads the application, serves it, and does what its supervisor says.

Its main thread waits for the supervisor and for signals; the threads of the pool do the rest. Only
the leader of the pool tells that the worker is alive, so that a pool that hangs cannot hide
behind a main thread that does not.
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

from dewar.server.connection.service import Service
from dewar.server.descriptors import allow_descriptors
from dewar.server.errors import ServerError
from dewar.server.listeners import listen
from dewar.server.memory import settle_heap
from dewar.server.processes.balance import Balance
from dewar.server.processes.channel import Channel, Command, Report
from dewar.server.processes.fork import EXIT_LOAD
from dewar.server.processes.scoreboard import Slot
from dewar.server.processes.source import Source
from dewar.server.processes.title import set_title
from dewar.server.settings import Settings
from dewar.server.signals import TOLD, SignalInbox
from dewar.server.threads.pool import Pool

_logger = logging.getLogger("dewar.server")

# How often it looks whether the pool has ended, or has answered enough, in seconds.
_LOOK = 0.05
# What threads get to leave after their connections were cut.
_LEAVE = 1.0
# The longest that an idle connection of a retiring worker stays open for one more request.
_LINGER = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """What a worker is to do, and with what."""

    settings: Settings
    source: Source
    listeners: list[socket]
    slot: Slot
    channel: Channel


class Worker:
    """One worker process, from inside."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._settings = assignment.settings
        self._service: Service | None = None
        self._pool: Pool | None = None
        self._deadline: float | None = None
        self._most = _draw_most(self._settings)
        self._wants_out = False

    def __repr__(self) -> str:
        return f"<Worker {self._assignment.slot.number}, process {os.getpid()}: {self._pool!r}>"

    def run(self) -> int:
        """Serve until told to stop; return the status to end with."""
        assignment = self._assignment
        set_title(f"dewar: worker {assignment.slot.number} [{assignment.source.name}]")
        if not faulthandler.is_enabled():  # the app may have its own file for it
            with suppress(io.UnsupportedOperation, AttributeError, ValueError):  # no real stderr
                faulthandler.enable(sys.__stderr__ or sys.stderr)
        service = self._service = self._maybe_load()
        if service is None:
            return EXIT_LOAD
        with SignalInbox(TOLD) as inbox:
            pool = self._pool = Pool(service, assignment.listeners)
            pool.start()
            assignment.channel.send_nowait(Report.READY)
            self._attend(pool, inbox)
            if not pool.join(_LEAVE):
                _logger.warning("Worker %d leaves threads behind.", assignment.slot.number)
            self._beat()
            service.end(self._left())
            service.close_logs()
        return 0

    def _maybe_load(self) -> Service | None:
        """Do all that can fail before clients are let in; where it does, tell the supervisor."""
        assignment = self._assignment
        try:
            app = assignment.source.load()
            service = Service(app, self._settings, time.monotonic)
            service.pulse = self._beat
            service.stop_soon = lambda: assignment.channel.send_nowait(Report.STOP_ALL)
            if self._settings.processes > 1:
                service.share = Balance(assignment.slot)
            allow_descriptors(self._settings.max_connections)
            service.open_logs()
            service.begin()
            settle_heap()
            listen(assignment.listeners, self._settings.backlog)
        except ServerError as error:
            assignment.channel.send_nowait(Report.FAILED, str(error))
        except BaseException as error:  # a module may call sys.exit()
            _logger.critical("The application cannot be loaded", exc_info=True)
            text = f"The application cannot be loaded: {type(error).__name__}: {error}"
            assignment.channel.send_nowait(Report.FAILED, text)
        else:
            return service
        return None

    def _reopen_logs(self) -> None:
        if self._service is not None:
            self._service.reopen_logs()

    def _beat(self) -> None:
        """Show on the board that the pool is alive. The leader calls it."""
        pool = self._pool
        if pool is not None:
            self._assignment.slot.beat(time.monotonic(), pool.stuck_since(), pool.statistics())

    def _attend(self, pool: Pool, inbox: SignalInbox) -> None:
        """Do what is said until the pool has ended."""
        channel = self._assignment.channel
        with selectors.DefaultSelector() as selector:
            selector.register(channel.sock, selectors.EVENT_READ)
            if inbox.sock is not None:
                selector.register(inbox.sock, selectors.EVENT_READ)
            while not pool.ended.is_set():
                selector.select(self._rest())
                for name in inbox.take():
                    self._hear(name, pool)
                if channel.sock in selector.get_map():
                    self._listen(pool, selector)
                self._look(pool)

    def _listen(self, pool: Pool, selector: selectors.BaseSelector) -> None:
        """Do what the supervisor says; where it has gone, finish without it."""
        channel = self._assignment.channel
        for command in channel.commands():
            self._obey(command, pool)
        if channel.is_over:
            selector.unregister(channel.sock)  # it would be ready for ever
            _logger.warning("Process %d has lost its supervisor and ends.", os.getpid())
            self._obey(Command.STOP, pool)

    def _rest(self) -> float | None:
        return _LOOK if self._deadline is not None or self._most else None

    def _left(self) -> float:
        """Return the seconds until the supervisor loses patience, less a margin."""
        return 0.0 if self._deadline is None else self._deadline - time.monotonic() - _LEAVE

    def _look(self, pool: Pool) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            pool.end()
        elif self._most and not self._wants_out and pool.statistics().requests >= self._most:
            self._ask_out()

    def _hear(self, name: str, pool: Pool) -> None:
        """Answer a signal that was sent to this process itself, or to the whole group."""
        if name == "SIGTERM":
            self._ask_out()
        elif name == "SIGQUIT":
            self._obey(Command.QUIT, pool)
        elif name == "SIGUSR1":
            self._reopen_logs()

    def _ask_out(self) -> None:
        """Ask for a successor; the supervisor retires this one when that is there."""
        if not self._wants_out:
            self._wants_out = True
            self._assignment.channel.send_nowait(Report.WANTS_OUT)

    def _obey(self, command: Command, pool: Pool) -> None:
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
            pool.end()


def _draw_most(settings: Settings) -> int:
    """Return how many requests to answer; 0 for any number."""
    if not settings.max_requests:
        return 0
    # A dice of its own: what the application seeds is the same in all workers.
    jitter = random.SystemRandom().randint(0, settings.max_requests_jitter)
    return settings.max_requests + jitter
