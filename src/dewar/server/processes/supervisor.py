"""The process that takes signals and looks after the workers.

It has one thread and no part in serving: it forks workers that share the listening sockets, and
goes round a loop. What has happened since the last round is told to the `Plan`, which says what
to do, and the `Crew` does it. It forks while no other thread is there, so that no lock is held in
a worker by a thread that the worker does not have.
"""

import gc
import logging
import selectors
import time
from dataclasses import replace
from socket import socket

from dewar.server.listeners import close_listeners, stop_listening
from dewar.server.processes.channel import Command
from dewar.server.processes.crew import Crew, Job
from dewar.server.processes.fork import EXIT_LOAD
from dewar.server.processes.herald import Outside
from dewar.server.processes.plan import Phase, Plan
from dewar.server.processes.scoreboard import Scoreboard
from dewar.server.processes.sidecar import Sidecar
from dewar.server.processes.source import Source
from dewar.server.processes.title import set_title
from dewar.server.settings import Settings
from dewar.server.signals import TOLD, SignalInbox
from dewar.server.terminal import Terminal

_logger = logging.getLogger("dewar.server")

# Slots for workers beyond those asked for: for TTIN, and for those that leave while their
# successors serve.
_SPARE = 64
# Where no signal can be heard, nothing tells of a worker's end but a look.
_LOOK = 0.2
# A handful of descriptors and rare rounds: poll needs no descriptor of its own.
_Selector: type[selectors.BaseSelector] = getattr(
    selectors, "PollSelector", selectors.SelectSelector
)


def make_board(settings: Settings) -> Scoreboard:
    """Return a scoreboard with room for all workers that *settings* can lead to."""
    return Scoreboard(settings.processes * 4 + _SPARE)


class Supervisor:
    """Keeps as many workers as are wanted.

    Args:
        settings: How to serve.
        source: Where the application comes from.
        listeners: Where clients come from, bound and not necessarily listening; closed at the end.
        board: Where the workers show what they do.
        outside: Whom it has to do with.
    """

    def __init__(
        self,
        settings: Settings,
        source: Source,
        listeners: list[socket],
        board: Scoreboard,
        outside: Outside,
    ) -> None:
        self._settings = settings
        self._source = source
        self._listeners = listeners
        self._board = board
        self._herald = outside.herald
        self._told = outside.told
        self._sidecar = self._make_sidecar(outside)
        self._terminal = Terminal()
        self._inbox = SignalInbox((*TOLD, "SIGCHLD"))
        self._plan = Plan(settings.processes, settings.worker_timeout, settings.graceful_timeout)
        self._crew: Crew | None = None
        self._most = board.capacity // 4
        self._is_up = False
        self._abandoned = 0
        self._next_beat = 0.0

    def __repr__(self) -> str:
        return f"<Supervisor of {self._source.name}: {self._plan!r}>"

    def run(self) -> int:
        """Serve until told to stop; return the status to end the process with.

        Raises:
            Exception: What *source* raises, where the application is preloaded.
        """
        set_title(f"dewar: supervisor [{self._source.name}]")
        try:
            if self._settings.preload:
                self._preload()
            job = Job(
                settings=self._settings,
                source=self._source,
                listeners=self._listeners,
                forget=self._forget,
            )
            crew = self._crew = Crew(job, self._plan, self._board)
            with self._inbox:
                try:
                    return self._serve(crew)
                finally:
                    self._end(crew)
        finally:
            close_listeners(self._listeners)

    def _end(self, crew: Crew) -> None:
        crew.kill_all()
        if self._sidecar is not None:
            self._sidecar.stop()  # last, so that the end can be watched

    def _preload(self) -> None:
        app = self._source.load()
        self._source = replace(self._source, load=lambda: app, is_loaded=True)
        # What is there now stays where it is: a collection in a worker would write into every
        # page that it shares with the others.
        gc.collect()
        gc.freeze()

    def _forget(self) -> None:
        """Close, in a fresh worker, what is the supervisor's alone."""
        self._inbox.abandon()
        if self._told is not None:
            self._told.forget()
        if self._sidecar is not None:
            self._sidecar.forget()

    def _make_sidecar(self, outside: Outside) -> Sidecar | None:
        if outside.endpoint is None:
            return None
        endpoint = outside.endpoint(
            lambda: {str(worker.number): worker.pool for worker in self._board.workers()}
        )
        return Sidecar(f"dewar: metrics [{self._source.name}]", endpoint, self._forget_all)

    def _forget_all(self) -> None:
        """Close, in a process that serves no clients, what the workers need as well."""
        self._forget()
        if self._crew is not None:
            self._crew.forget()
        for listener in self._listeners:
            listener.close()

    def _serve(self, crew: Crew) -> int:
        plan = self._plan
        while True:
            now = time.monotonic()
            self._look_after_sidecar(crew, now)
            for order in plan.decide(now, self._board.signs()):
                crew.carry_out(order)
            self._tell(crew, now)
            if plan.is_done():
                break
            self._wait(crew, now)
            self._take_in(crew)
        if plan.failed:
            self._herald.failed(crew.failure)
            return EXIT_LOAD
        return 0

    def _look_after_sidecar(self, crew: Crew, now: float) -> None:
        sidecar = self._sidecar
        if sidecar is None or self._plan.phase is Phase.STOPPING:
            return
        sidecar.look_after(now)
        if sidecar.failure:
            crew.failure = sidecar.failure
            self._plan.give_up(now)

    def _wait(self, crew: Crew, now: float) -> None:
        """Wait until something happens or has to be decided, and listen to the workers."""
        rest = self._plan.rest(now)
        if self._herald.interval is not None:
            rest = min(rest, max(0.0, self._next_beat - now))
        if self._inbox.sock is None:
            rest = min(rest, _LOOK)
        with _Selector() as selector:
            if self._inbox.sock is not None:
                selector.register(self._inbox.sock, selectors.EVENT_READ)
            if self._told is not None and not self._told.is_over:
                selector.register(self._told.sock, selectors.EVENT_READ)
            for number, channel in crew.channels.items():
                if not channel.is_over:
                    selector.register(channel.sock, selectors.EVENT_READ, number)
            beside = self._sidecar.channel if self._sidecar is not None else None
            if beside is not None and not beside.is_over and beside.sock.fileno() >= 0:
                selector.register(beside.sock, selectors.EVENT_READ)
            ready = selector.select(rest)
        back = time.monotonic()
        self._plan.note_late(back - now - rest, back)
        for key, _ in ready:
            if key.data is not None:
                crew.listen_to(key.data, back)

    def _take_in(self, crew: Crew) -> None:
        """Take in what has happened besides: signals, ends, and what the program says."""
        for name in self._inbox.take():
            self._hear(name, crew)
        if self._told is not None:
            timeout = self._told.take()
            if timeout is not None:
                self._stop(timeout)
        if crew.is_told_to_stop and self._plan.phase is not Phase.STOPPING:
            self._stop(self._settings.graceful_timeout)
        crew.reap()
        self._board.set_deaths(self._plan.deaths)

    def _hear(self, name: str, crew: Crew) -> None:
        """Answer a signal."""
        if name == "SIGINT" and self._told is not None:
            return  # the terminal means the program, and that tells us
        if name in ("SIGTERM", "SIGINT"):
            again = self._plan.phase is Phase.STOPPING
            self._stop(0.0 if again else self._settings.graceful_timeout)
        elif name == "SIGQUIT":
            self._stop(0.0)
        elif name == "SIGUSR1":
            crew.tell_all(Command.REOPEN_LOGS)
        elif self._plan.phase is Phase.STOPPING:
            return
        elif name == "SIGHUP" and self._terminal.has_gone():
            if self._told is None:  # else it is the program's to decide
                self._stop(self._settings.graceful_timeout)
        elif name == "SIGHUP":
            self._reload()
        elif name in ("SIGTTIN", "SIGTTOU"):
            self._scale(name)

    def _stop(self, timeout: float) -> None:
        if self._plan.phase is not Phase.STOPPING:
            self._herald.stopping()
            # The file of a UNIX socket goes at once; those who have connected are in the queue
            # that the workers share, and are answered.
            for listener in self._listeners:
                stop_listening(listener)
            close_listeners(self._listeners)
        self._plan.stop(time.monotonic(), timeout)

    def _reload(self) -> None:
        what = "the same code, because it was loaded before" if self._source.is_loaded else "it"
        _logger.info("SIGHUP: each worker is replaced by one with %s.", what)
        if self._source.is_loaded:
            _logger.warning(
                "SIGHUP restarts the workers with the same code: it was loaded before they were"
                " forked. Start the server again for new code, or leave preload out."
            )
        self._herald.reloading()
        self._plan.reload()

    def _scale(self, name: str) -> None:
        plan = self._plan
        if name == "SIGTTOU":
            if not plan.shrink():
                _logger.warning("SIGTTOU: the last worker stays. Stop the server with SIGTERM.")
        elif plan.wanted >= self._most:
            _logger.warning("SIGTTIN: %d workers are the most there can be.", plan.wanted)
        else:
            plan.grow()
        self._herald.status(f"{plan.wanted} workers wanted")

    def _tell(self, crew: Crew, now: float) -> None:
        """Tell the outside what has changed."""
        plan, herald = self._plan, self._herald
        if plan.abandoned != self._abandoned:
            self._abandoned = plan.abandoned
            _logger.error("The reload is given up; the workers that serve stay. %s", crew.failure)
        is_up = plan.phase is Phase.SERVING and not plan.is_reloading()
        if self._sidecar is not None and not self._sidecar.was_ready:
            is_up = False
        if is_up and not self._is_up:
            herald.ready(f"{plan.wanted} workers serve {self._source.name}")
        self._is_up = is_up
        if herald.interval is not None and now >= self._next_beat:
            self._next_beat = now + herald.interval
            herald.beat()
