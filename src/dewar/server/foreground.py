"""Serving in the process that was started: what its signals mean, and what it says."""

import logging
import sys
import threading
from contextlib import suppress

from dewar.server.processes.app_source import AppSource
from dewar.server.processes.supervisor import Supervisor, make_scoreboard
from dewar.server.processes.supervisor_links import SupervisorLinks
from dewar.server.server import Server, metrics_of
from dewar.server.settings.settings import Settings
from dewar.server.system.listeners import bind_listeners, url_of
from dewar.server.system.memory import freeze_heap
from dewar.server.system.process_title import set_title
from dewar.server.system.signals import HANDLED_SIGNALS, SignalInbox
from dewar.server.system.systemd import Notifier
from dewar.server.system.terminal import Terminal

_logger = logging.getLogger("dewar.server")

_STOPS = frozenset({"SIGINT", "SIGTERM", "SIGBREAK"})
_NEEDS_PROCESSES = {
    "SIGHUP": "restarts workers one after the other, and this server has none. Start it again, or"
    " with processes=2 or more.",
    "SIGTTIN": "adds a worker process, and this server has none. Start it with processes=2.",
    "SIGTTOU": "takes a worker process away, and this server has none. Stop it with SIGTERM.",
}
_LOOK = 0.05


class ConsoleStatus:
    """Tells the terminal, and the service manager where there is one; see `StatusListener`.

    Args:
        line: What to print once when all is ready.
    """

    def __init__(self, line: str) -> None:
        self._line: str | None = line
        self._notifier = Notifier()

    def __repr__(self) -> str:
        return f"<ConsoleStatus by {self._notifier!r}>"

    @property
    def interval(self) -> float | None:
        """See `StatusListener`."""
        return self._notifier.interval

    def ready(self, status: str) -> None:
        """See `StatusListener`."""
        line, self._line = self._line, None
        if line is not None:
            say(line)
        self._notifier.ready(status)

    def reloading(self) -> None:
        """See `StatusListener`."""
        self._notifier.reloading()

    def stopping(self) -> None:
        """See `StatusListener`."""
        self._notifier.stopping()

    def status(self, text: str) -> None:
        """See `StatusListener`."""
        self._notifier.status(text)

    def beat(self) -> None:
        """See `StatusListener`."""
        self._notifier.beat()

    def failed(self, reason: str) -> None:
        """See `StatusListener`."""
        say(f"Dewar could not start. {reason}")


def serve_processes(source: AppSource, settings: Settings) -> int:
    """Look after workers until told to stop; return the status to end with."""
    listeners = bind_listeners(settings.bind, settings.unix_mode)
    addresses = tuple(url_of(listener, settings.scheme) for listener in listeners)
    scoreboard = make_scoreboard(settings)
    console = ConsoleStatus(banner(source.name, addresses, settings))
    links = SupervisorLinks(status_listener=console, endpoint=metrics_of(settings))
    try:
        return Supervisor(settings, source, listeners, scoreboard, links).run()
    finally:
        scoreboard.close()


def serve_threads(source: AppSource, settings: Settings) -> int:
    """Serve on threads of this process until told to stop; return the status to end with."""
    notifier = Notifier()
    inbox = SignalInbox(HANDLED_SIGNALS)
    server = Server(
        source.load(),
        settings,
        heartbeat=notifier.beat if notifier.interval else None,
        stop_soon=lambda: inbox.deliver("SIGTERM"),
    )
    set_title(f"dewar: {source.name}")
    terminal = Terminal()
    with inbox:
        freeze_heap()
        server.start()
        say(banner(source.name, server.addresses, settings))
        notifier.ready(f"{settings.threads} threads serve {source.name}")
        quick = _wait_stop_signal(server, inbox, terminal)
        notifier.stopping()
        _stop(server, inbox, quick)
    return 0


def banner(name: str, addresses: tuple[str, ...], settings: Settings) -> str:
    """Return the one line that tells where a server is and how it works."""
    threads, processes = settings.threads, settings.processes
    mode = "1 thread" if threads == 1 else f"{threads} threads"
    if processes > 1:
        mode = f"{processes} processes x {mode}"
    return f"Dewar serving {name} on {', '.join(addresses)} ({mode}) - Ctrl+C stops"


def say(line: str) -> None:
    """Print *line* for whoever watches the terminal."""
    with suppress(OSError, ValueError):  # the terminal has gone, and the server has not
        print(line, file=sys.stderr, flush=True)  # noqa: T201


def _wait_stop_signal(server: Server, inbox: SignalInbox, terminal: Terminal) -> bool:
    """Wait for a signal that ends the server; tell whether it is to be quick."""
    while True:
        for name in inbox.wait():
            if name == "SIGQUIT":
                return True
            if name in _STOPS or (name == "SIGHUP" and terminal.has_gone()):
                return False
            if name == "SIGUSR1":
                server.reopen_logs()
            else:
                _logger.warning("%s %s", name, _NEEDS_PROCESSES[name])


def _stop(server: Server, inbox: SignalInbox, quick: bool) -> None:
    """Stop *server* gracefully, and at once where a second signal comes."""
    if quick:
        server.stop(0)
        return
    stopper = threading.Thread(target=server.stop, name="dewar-stop", daemon=True)
    stopper.start()
    while stopper.is_alive():
        if set(inbox.wait(_LOOK)) & (_STOPS | {"SIGQUIT"}):
            server.stop(0)
            return
