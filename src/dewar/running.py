"""`app.run()`: from a script to a server."""

import os
from collections.abc import Iterable
from typing import Any, Protocol
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.debug import DebuggedApplication

from dewar.errors import DewarError
from dewar.server import run

__all__ = ["RunnableApp", "debug_flag", "run_app"]

_OFF = {"0", "false", "no", "off", ""}


class ReloaderUnavailableError(DewarError, RuntimeError):
    """Raised where `app.run` is asked to restart on changes, which it can't yet."""


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


def debug_flag() -> bool:
    """Whether the environment asks for debug mode: ``DEWAR_DEBUG``, or ``FLASK_DEBUG``."""
    value = os.environ.get("DEWAR_DEBUG", os.environ.get("FLASK_DEBUG", ""))
    return value.lower() not in _OFF


def run_app(
    app: RunnableApp,
    host: str | None,
    port: int | None,
    debug: bool | None,
    load_dotenv: bool,
    options: dict[str, Any],
) -> None:
    """Serve an app until it is told to stop; `dewar.Dewar.run` says what the arguments mean."""
    if os.environ.get("DEWAR_RUN_FROM_CLI") == "true":
        # ``dewar run`` imports the module of a script that calls app.run() at its end.
        return
    if load_dotenv:
        _load_dotenv()
    if debug is not None:
        app.debug = debug
    served: Any = app
    if options.pop("use_debugger", app.debug):
        served = DebuggedApplication(app, evalex=True)
    if options.pop("use_reloader", False):
        raise ReloaderUnavailableError(
            "app.run(use_reloader=True) is not available yet. Restart on changes from outside:"
            " watchfiles 'python app.py'."
        )
    if not options.pop("threaded", True):
        options["threads"] = 1
    run(served, bind=_address(app, host, port), name=app.name, **options)


def _address(app: RunnableApp, host: str | None, port: int | None) -> str:
    server_name, _, server_port = (app.config["SERVER_NAME"] or "").partition(":")
    host = host or server_name or "127.0.0.1"
    if port is None:
        port = int(server_port or 5000)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _load_dotenv() -> None:
    if os.environ.get("FLASK_SKIP_DOTENV", "").lower() not in _OFF:
        return
    try:
        import dotenv
    except ImportError:
        return  # the extra is not installed, and nobody asked for a file
    for name in (".env", ".flaskenv"):
        path = dotenv.find_dotenv(name, usecwd=True)
        if path:
            dotenv.load_dotenv(path)
