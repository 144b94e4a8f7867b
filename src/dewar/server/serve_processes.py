"""`serve_processes`: supervise workers in the process that was started, until a signal comes."""

from dewar.server.processes.app_source import AppSource
from dewar.server.processes.hooks import ServerHooks
from dewar.server.processes.scoreboard import make_scoreboard
from dewar.server.processes.supervisor import Supervisor
from dewar.server.processes.supervisor_links import StatusListener, SupervisorLinks
from dewar.server.server import maybe_metrics_server
from dewar.server.settings.settings import Settings
from dewar.server.startup_lines import banner, say
from dewar.server.system.listeners import bind_listeners, url_of
from dewar.server.system.systemd import Notifier


class ConsoleStatus(Notifier, StatusListener):
    """Tells the terminal and, if there is one, the service manager how the server is.

    Args:
        line: What to print once when all workers serve.
    """

    def __init__(self, line: str) -> None:
        super().__init__()
        self._line: str | None = line

    def ready(self, status: str) -> None:
        """Print the line, the first time, and tell the service manager."""
        line, self._line = self._line, None
        if line is not None:
            say(line)
        super().ready(status)

    def failed(self, reason: str) -> None:
        """Print why the server does not start."""
        say(f"Dewar could not start. {reason}")


def serve_processes(source: AppSource, settings: Settings, hooks: ServerHooks) -> int:
    """Supervise workers until a signal stops them; return the exit status."""
    listeners = bind_listeners(settings.bind, settings.unix_mode, ipv6_only=settings.ipv6_only)
    addresses = tuple(url_of(listener, settings.scheme) for listener in listeners)
    scoreboard = make_scoreboard(settings.processes, has_metrics=settings.metrics is not None)
    links = SupervisorLinks(
        status_listener=ConsoleStatus(banner(source.name, addresses, settings)),
        endpoint=maybe_metrics_server(settings),
        hooks=hooks,
    )
    try:
        return Supervisor(settings, source, listeners, scoreboard, links).run()
    finally:
        scoreboard.close()
