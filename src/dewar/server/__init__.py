"""The WSGI server: ``run(app)`` serves until a signal comes; a `Server` is started and stopped.

The names are imported on first use: importing one module of the server, such as its errors, does
not load the rest.
"""

from typing import TYPE_CHECKING

from dewar.support.lazy_names import lazy_names

if TYPE_CHECKING:
    from dewar.server.serve import run
    from dewar.server.server import Server
    from dewar.server.settings.settings import Settings
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "Server": "dewar.server.server",
            "Settings": "dewar.server.settings.settings",
            "run": "dewar.server.serve",
        },
    )

__all__ = ["Server", "Settings", "run"]
