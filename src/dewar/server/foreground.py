"""Serving in the process that was started: what its signals mean, and what it says."""

import logging
import sys
import threading
from contextlib import suppress

from dewar.server.listeners import bind_listeners, display
from dewar.server.memory import settle_heap
from dewar.server.processes.herald import Outside
from dewar.server.processes.source import Source
from dewar.server.processes.supervisor import Supervisor, make_board
from dewar.server.processes.title import set_title
from dewar.server.server import Server, metrics_of
from dewar.server.settings import Settings
from dewar.server.signals import TOLD, SignalInbox
from dewar.server.systemd import Notifier
from dewar.server.terminal import Terminal

_logger = logging.getLogger("dewar.server")

_STOPS = frozenset({"SIGINT", "SIGTERM", "SIGBREAK"})
_NEEDS_PROCESSES = {
    "SIGHUP": "restarts workers one after the other, and this server has none. Start it again, or"
    " with processes=2 or more.",
    "SIGTTIN": "adds a worker process, and this server has none. Start it with processes=2.",
    "SIGTTOU": "takes a worker process away, and this server has none. Stop it with SIGTERM.",
}
_LOOK = 0.05


class Crier:
    """Tells the terminal, and the service manager where there is one; see `Herald`.

    Args:
        line: What to print once when all is ready.
    """

    def __init__(self, line: str) -> None:
        self._line: str | None = line
        self._notifier = Notifier()

    def __repr__(self) -> str:
        return f"<Crier by {self._notifier!r}>"

    @property
    def interval(self) -> float | None:
        """See `Herald`."""
        return self._notifier.interval

    def ready(self, status: str) -> None:
        """See `Herald`."""
        line, self._line = self._line, None
        if line is not None:
            say(line)
        self._notifier.ready(status)

    def reloading(self) -> None:
        """See `Herald`."""
        self._notifier.reloading()

    def stopping(self) -> None:
        """See `Herald`."""
        self._notifier.stopping()

    def status(self, text: str) -> None:
        """See `Herald`."""
        self._notifier.status(text)

    def beat(self) -> None:
        """See `Herald`."""
        self._notifier.beat()

    def failed(self, reason: str) -> None:
        """See `Herald`."""
        say(f"Dewar could not start. {reason}")


def serve_processes(source: Source, settings: Settings) -> int:
    """Look after workers until told to stop; return the status to end with."""
    listeners = bind_listeners(settings.bind, settings.unix_mode)
    addresses = tuple(display(listener, settings.scheme) for listener in listeners)
    board = make_board(settings)
    crier = Crier(banner(source.name, addresses, settings))
    outside = Outside(herald=crier, endpoint=metrics_of(settings))
    try:
        return Supervisor(settings, source, listeners, board, outside).run()
    finally:
        board.close()


def serve_threads(source: Source, settings: Settings) -> int:
    """Serve on threads of this process until told to stop; return the status to end with."""
    notifier = Notifier()
    inbox = SignalInbox(TOLD)
    server = Server(
        source.load(),
        settings,
        pulse=notifier.beat if notifier.interval else None,
        stop_soon=lambda: inbox.tell("SIGTERM"),
    )
    set_title(f"dewar: {source.name}")
    terminal = Terminal()
    with inbox:
        settle_heap()
        server.start()
        say(banner(source.name, server.addresses, settings))
        notifier.ready(f"{settings.threads} threads serve {source.name}")
        quick = _wait_told(server, inbox, terminal)
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


def _wait_told(server: Server, inbox: SignalInbox, terminal: Terminal) -> bool:
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
