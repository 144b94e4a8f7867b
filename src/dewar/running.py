"""`app.run()` and `run_simple()`: from a script to a server."""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from typing import Any, Protocol
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.debug import DebuggedApplication
from werkzeug.middleware.shared_data import SharedDataMiddleware

from dewar.environment import RUN_FROM_CLI, debug_flag, load_dotenv, skips_dotenv
from dewar.errors import DewarError
from dewar.server import run

__all__ = ["RunnableApp", "is_loopback", "run_app", "run_simple"]

logger = logging.getLogger("dewar")


class ExposedDebuggerError(DewarError, ValueError):
    """Raised where the debugger, which runs any code sent to it, would be open to others."""


class UnavailableError(DewarError, NotImplementedError):
    """Raised for an argument of `run_simple` that the server can't act on yet."""

    def __init__(self, argument: str) -> None:
        super().__init__(
            f"run_simple({argument}=...) is not available on Dewar's server yet. Leave it out, or"
            " put a server in front that does it."
        )


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
    host, port = _address(app, host, port)
    replaced = _replaced_run_simple()
    if replaced is not None:
        for name, value in (
            ("use_reloader", app.debug),
            ("use_debugger", app.debug),
            ("threaded", True),
        ):
            options.setdefault(name, value)
        replaced(host, port, app, **options)
        return
    _warn_of_reloader(options.pop("use_reloader", False))
    bind = _bind(host, port)
    served = _with_debugger(app, bind, options.pop("use_debugger", None), debug=app.debug)
    if not options.pop("threaded", True):
        options["threads"] = 1
    run(served, bind=bind, name=app.name, **options)


def run_simple(
    hostname: str,
    port: int,
    application: WSGIApplication,
    use_reloader: bool = False,
    use_debugger: bool = False,
    use_evalex: bool = True,
    extra_files: Iterable[str] | None = None,  # noqa: ARG001  # of the reloader
    exclude_patterns: Iterable[str] | None = None,  # noqa: ARG001  # of the reloader
    reloader_interval: float = 1,  # noqa: ARG001  # of the reloader
    reloader_type: str = "auto",  # noqa: ARG001  # of the reloader
    threaded: bool = False,
    processes: int = 1,
    request_handler: type | None = None,
    static_files: Mapping[str, str | tuple[str, str]] | None = None,
    passthrough_errors: bool = False,  # noqa: ARG001  # the server logs what an app raises
    ssl_context: Any = None,
) -> None:
    """Serve a WSGI app until told to stop, with the arguments of Werkzeug's function.

    Args:
        hostname: the address to listen on, or ``unix:///path``.
        port: the port; 0 takes a free one.
        application: any WSGI callable.
        use_reloader: not available yet; a warning says so.
        use_debugger: answer errors with an interactive traceback, on a loopback address.
        use_evalex: let the traceback run code.
        extra_files: for the reloader.
        exclude_patterns: for the reloader.
        reloader_interval: for the reloader.
        reloader_type: for the reloader.
        threaded: handle many requests at a time; one after the other otherwise.
        processes: not more than 1 yet.
        request_handler: nothing else than None; the server is another one.
        static_files: folders to serve by URL path.
        passthrough_errors: no effect.
        ssl_context: nothing else than None yet.

    Raises:
        UnavailableError: for what can't be had yet.
    """
    unavailable = {
        "processes": processes != 1,
        "request_handler": request_handler is not None,
        "ssl_context": ssl_context is not None,
    }
    for argument, asked in unavailable.items():
        if asked:
            raise UnavailableError(argument)
    _warn_of_reloader(use_reloader)
    if static_files:
        application = SharedDataMiddleware(application, static_files)
    bind = _bind(hostname, port)
    served = _with_debugger(application, bind, use_debugger, evalex=use_evalex)
    settings: dict[str, Any] = {} if threaded else {"threads": 1}
    name: object = getattr(application, "name", None)
    run(served, bind=bind, name=name if isinstance(name, str) else None, **settings)


def _replaced_run_simple() -> Callable[..., None] | None:
    """Return what somebody has put in the place of ``werkzeug.serving.run_simple``, or None.

    A test or a tracing tool that does so means to hear of `app.run()`.
    """
    serving = sys.modules.get("werkzeug.serving")
    found: Callable[..., None] | None = getattr(serving, "run_simple", None)
    ours = found is run_simple or getattr(found, "__module__", None) == "werkzeug.serving"
    return None if ours else found


def _warn_of_reloader(wanted: bool) -> None:
    if wanted:
        logger.warning(
            "There is no reloader yet: changes to the code take effect at the next start. Restart"
            " on changes from outside: watchfiles 'python app.py'."
        )


def _address(app: RunnableApp, host: str | None, port: int | None) -> tuple[str, int]:
    server_name, _, server_port = (app.config["SERVER_NAME"] or "").partition(":")
    return host or server_name or "127.0.0.1", int(server_port or 5000) if port is None else port


def _bind(host: str, port: int) -> str:
    if host.startswith("unix://"):
        return f"unix:{host.removeprefix('unix://')}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _with_debugger(
    app: WSGIApplication, bind: str, wanted: bool | None, debug: bool = False, evalex: bool = True
) -> WSGIApplication:
    # SECURITY: the debugger runs any code that is sent to it.
    if is_loopback(bind):
        wanted = debug if wanted is None else wanted
        return DebuggedApplication(app, evalex=evalex) if wanted else app
    if wanted:
        raise ExposedDebuggerError(
            f"use_debugger=True on {bind} would let other machines run code here. Leave it out, or"
            " listen on 127.0.0.1."
        )
    if debug and wanted is None:
        logger.warning("The debugger is off, because %s is not a loopback address.", bind)
    return app


def is_loopback(bind: str) -> bool:
    """Whether none of the addresses can be reached from another machine."""
    return all(_is_loopback(address.strip()) for address in bind.split(","))


def _is_loopback(address: str) -> bool:
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
