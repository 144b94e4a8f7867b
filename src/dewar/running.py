"""`app.run()`: from a script to a server."""

import logging
import os
from collections.abc import Iterable
from typing import Any, Protocol
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.debug import DebuggedApplication

from dewar.cli.environment import RUN_FROM_CLI, debug_flag, load_dotenv, skips_dotenv
from dewar.cli.run import is_loopback
from dewar.errors import DewarError
from dewar.server import run

__all__ = ["RunnableApp", "run_app"]

logger = logging.getLogger("dewar")


class ReloaderUnavailableError(DewarError, RuntimeError):
    """Raised where `app.run` is asked to restart on changes, which it can't yet."""


class ExposedDebuggerError(DewarError, ValueError):
    """Raised where the debugger, which runs any code sent to it, would be open to others."""


class RunnableApp(Protocol):
    """What running takes of the app."""

    debug: bool

    @property
    def name(self) -> str:
        """The name for the banner."""

    @property
    def config(self) -> Any:
        """The configuration, for ``SERVER_NAME``."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""


def run_app(
    app: RunnableApp,
    host: str | None,
    port: int | None,
    debug: bool | None,
    reads_dotenv: bool,
    options: dict[str, Any],
) -> None:
    """Serve an app until it is told to stop; `dewar.Dewar.run` says what the arguments mean."""
    if os.environ.get(RUN_FROM_CLI) == "true":
        # ``dewar run`` imports the module of a script that calls app.run() at its end.
        return
    if reads_dotenv and not skips_dotenv():
        load_dotenv()
        if debug is None and {"DEWAR_DEBUG", "FLASK_DEBUG"} & os.environ.keys():
            app.debug = debug_flag()
    if debug is not None:
        app.debug = debug
    if options.pop("use_reloader", False):
        raise ReloaderUnavailableError(
            "app.run(use_reloader=True) is not available yet. Restart on changes from outside:"
            " watchfiles 'python app.py'."
        )
    bind = _address(app, host, port)
    served = _with_debugger(app, bind, options.pop("use_debugger", None))
    if not options.pop("threaded", True):
        options["threads"] = 1
    run(served, bind=bind, name=app.name, **options)


def _address(app: RunnableApp, host: str | None, port: int | None) -> str:
    server_name, _, server_port = (app.config["SERVER_NAME"] or "").partition(":")
    host = host or server_name or "127.0.0.1"
    if port is None:
        port = int(server_port or 5000)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _with_debugger(app: RunnableApp, bind: str, wanted: bool | None) -> WSGIApplication:
    # SECURITY: the debugger runs any code that is sent to it.
    if not is_loopback(bind):
        if wanted:
            raise ExposedDebuggerError(
                f"use_debugger=True on {bind} would let other machines run code here. Leave it"
                " out, or listen on 127.0.0.1."
            )
        if app.debug and wanted is None:
            logger.warning("The debugger is off, because %s is not a loopback address.", bind)
        return app
    return (
        DebuggedApplication(app, evalex=True) if (app.debug if wanted is None else wanted) else app
    )
