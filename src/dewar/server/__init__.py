"""A WSGI server of its own: ``run(app)`` until a signal comes, or a `Server` to start and stop."""

from dewar.server.runner import run
from dewar.server.server import Server
from dewar.server.settings import Settings

__all__ = ["Server", "Settings", "run"]
