"""The process that takes signals and looks after the workers.

It has one thread and no part in serving: it opens the listening sockets, forks workers that share
them, and goes round a loop. What has happened since the last round is told to the `Plan`, which
says what to do, and the `Crew` does it.
"""

import gc
import logging
import selectors
import time
from collections.abc import Callable
from socket import socket
from typing import Protocol
from wsgiref.types import WSGIApplication

from dewar.server.listeners import close_listeners
from dewar.server.processes.channel import Command
from dewar.server.processes.crew import Crew, Job
from dewar.server.processes.fork import EXIT_LOAD
from dewar.server.processes.herald import Herald
from dewar.server.processes.plan import Phase, Plan
from dewar.server.processes.scoreboard import Scoreboard
from dewar.server.settings import Settings
from dewar.server.signals import TOLD, SignalInbox

_logger = logging.getLogger("dewar.server")

# Slots for workers beyond those asked for: for TTIN, and for those that leave while their
# successors serve.
_SPARE = 64


class Told(Protocol):
    """A second way to be told to stop, besides signals."""

    @property
    def sock(self) -> socket:
        """What becomes readable when there is something to take."""

    def take(self) -> float | None:
        """Return the seconds for what is in flight, where the supervisor is to stop."""

    def forget(self) -> None:
        """Close it in a worker."""


def make_board(settings: Settings) -> Scoreboard:
    """Return a scoreboard with room for all workers that *settings* can lead to."""
    return Scoreboard(settings.processes * 4 + _SPARE)


class Supervisor:
    """Keeps as many workers as are wanted.

    Args:
        settings: How to serve.
        load: Gives the application.
        name: What titles and lines in the log call the application.
        listeners: Where clients come from, bound and not necessarily listening.
        board: Where the workers show what they do.

    Attributes:
        failure: Why the first start failed, if it did.
    """

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], WSGIApplication],
        name: str,
        listeners: list[socket],
        board: Scoreboard,
    ) -> None:
        self._settings = settings
        self._board = board
        self._listeners = listeners
        self._load = load
        self._inbox = SignalInbox((*TOLD, "SIGCHLD"))
        self._selector = selectors.DefaultSelector()
        self._plan = Plan(settings.processes, settings.worker_timeout, settings.graceful_timeout)
        job = Job(
            settings=settings,
            name=name,
            load=lambda: self._load(),
            listeners=listeners,
            forget=self._forget,
            reopen_logs=reopen_logs,
        )
        self._crew = Crew(job, self._plan, board)
        self._herald: Herald
        self._told: Told | None = None
        self._was_ready = False
        self._was_reloading = False
        self._next_beat = 0.0

    def __repr__(self) -> str:
        return f"<Supervisor {self._plan!r}>"

    @property
    def failure(self) -> str:
        """Why the first start failed, if it did."""
        return self._crew.failure

    def run(self, herald: Herald, told: Told | None = None) -> int:
        """Serve until told to stop; return the status to end the process with.

        Args:
            herald: Who is told how it goes.
            told: Who says, besides signals, when to stop; SIGINT is none of ours then.
        """
        self._herald, self._told = herald, told
        if self._settings.preload:
            self._preload()
        try:
            with self._inbox:
                return self._loop()
        finally:
            self._crew.kill_all()
            close_listeners(self._listeners)
            self._selector.close()

    def _preload(self) -> None:
        app = self._load()
        self._load = lambda: app
        # What is there now stays as it is: a collection in a worker would write into every page
        # that it shares with the others.
        gc.collect()
        gc.freeze()

    def _loop(self) -> int:
        plan, crew = self._plan, self._crew
        if self._inbox.sock is not None:
            self._selector.register(self._inbox.sock, selectors.EVENT_READ)
        if self._told is not None:
            self._selector.register(self._told.sock, selectors.EVENT_READ)
        while not plan.is_done():
            now = time.monotonic()
            for order in plan.decide(now, self._board.signs()):
                crew.carry_out(order)
            self._tell(now)
            self._wait(now)
            self._take_in()
        if plan.failed:
            self._herald.failed(self.failure)
            return EXIT_LOAD
        return 0

    def _wait(self, now: float) -> None:
        rest = self._plan.rest(now)
        if self._herald.interval is not None:
            rest = min(rest, max(0.0, self._next_beat - now))
        watched = self._selector.get_map()
        for number, channel in self._crew.channels.items():
            if channel.sock not in watched and not channel.is_over:
                self._selector.register(channel.sock, selectors.EVENT_READ, number)
        ready = self._selector.select(rest)
        back = time.monotonic()
        self._plan.note_late(back - now - rest, back)
        channels = self._crew.channels
        for key, _ in ready:
            if key.data is not None:
                self._crew.listen_to(key.data, back)
                if channels[key.data].is_over:
                    self._selector.unregister(key.fileobj)

    def _take_in(self) -> None:
        """Take in what has happened: signals, ends, and what the program says."""
        for name in self._inbox.take():
            self._hear(name)
        if self._told is not None:
            timeout = self._told.take()
            if timeout is not None:
                self._stop(timeout)
        open_before = dict(self._crew.channels)
        deaths = self._plan.deaths
        for number in self._crew.reap():
            channel = open_before[number]
            if not channel.is_over:
                pass
        for _ in range(self._plan.deaths - deaths):
            self._board.note_death()

    def _hear(self, name: str) -> None:
        """Answer a signal."""
        if name in ("SIGTERM", "SIGINT", "SIGBREAK"):
            if name == "SIGINT" and self._told is not None:
                return  # the terminal means the program, and that tells us
            again = self._plan.phase is Phase.STOPPING
            self._stop(0.0 if again else self._settings.graceful_timeout)
        elif name == "SIGQUIT":
            self._stop(0.0)
        elif name == "SIGHUP":
            self._reload()
        elif name in ("SIGTTIN", "SIGTTOU"):
            self._scale(name)
        elif name == "SIGUSR1":
            reopen_logs()
            self._crew.tell_all(Command.REOPEN_LOGS)
