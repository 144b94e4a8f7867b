"""`app.run()` and `run_simple()`: from a script to a server."""

import logging
import os
import ssl
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from dewar.environment import debug_flag, load_dotenv, runs_from_command, skips_dotenv
from dewar.errors import DewarError
from dewar.server import run
from dewar.server.errors import SettingsError
from dewar.server.reload import (
    ReloadUnavailableError,
    can_reload,
    is_reloaded,
    run_with_reload,
)
from dewar.server.serve import make_settings
from dewar.server.system.adhoc_certificate import maybe_adhoc_context
from dewar.server.system.inet_address import is_loopback

if TYPE_CHECKING:
    from dewar.run_options import RunOptions

logger = logging.getLogger("dewar")


class ExposedDebuggerError(DewarError, ValueError):
    """Raised when other machines could reach the debugger, which runs any code sent to it."""


class RunnableApp(Protocol):
    """The part of the app that running needs."""

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
    """Serve an app until a signal stops it; `dewar.Dewar.run` says what the arguments mean."""
    if runs_from_command():
        # ``dewar run`` imports a script that may call app.run() at its end.
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
        defaults = {"use_reloader": app.debug, "use_debugger": app.debug, "threaded": True}
        replaced(host, port, app, **{**defaults, **options})
        return
    from dewar.run_options import take_options

    run_options, settings = take_options(options, "app.run()", stacklevel=3)
    _serve(app, _bind(host, port), run_options, debug=app.debug, name=app.name, **settings)


def run_simple(
    hostname: str,
    port: int,
    application: WSGIApplication,
    use_reloader: bool = False,
    use_debugger: bool = False,
    use_evalex: bool = True,
    extra_files: Iterable[str] | None = None,
    exclude_patterns: Iterable[str] | None = None,
    reloader_interval: float = 1,
    reloader_type: str = "auto",
    threaded: bool = False,
    processes: int = 1,
    request_handler: type | None = None,
    static_files: Mapping[str, str | tuple[str, str]] | None = None,
    passthrough_errors: bool = False,
    ssl_context: Any = None,
    **unknown: Any,
) -> None:
    """Serve a WSGI app until a signal stops it, with the arguments of Werkzeug's function.

    Args:
        hostname: The address to listen on, or ``unix:///path``.
        port: The port; 0 takes a free one.
        application: Any WSGI callable.
        use_reloader: Restart on changes to the code; needs watchfiles.
        use_debugger: Answer errors with an interactive traceback; on a loopback address only.
        use_evalex: Let the traceback run code.
        extra_files: More files to restart for.
        exclude_patterns: Shell patterns of files not to restart for.
        reloader_interval: No effect: the system reports changes, without polling.
        reloader_type: No effect.
        threaded: Handle many requests at a time; else one after the other.
        processes: How many processes share the address.
        request_handler: No effect: Dewar's server has no request handlers.
        static_files: Folders to serve by URL path.
        passthrough_errors: No effect: the server logs what an app raises.
        ssl_context: Serve HTTPS: with an `ssl.SSLContext`, with the files ``(cert, key)``, or with
            a new self-signed certificate, ``"adhoc"``, which needs cryptography.
        unknown: The server's settings, and any other argument, which has no effect.

    An argument that has no effect is named in a `RuntimeWarning`.

    Raises:
        SettingsError: A file cannot be used.
    """
    given = dict(
        use_reloader=use_reloader,
        use_debugger=use_debugger,
        use_evalex=use_evalex,
        extra_files=extra_files,
        exclude_patterns=exclude_patterns,
        reloader_interval=reloader_interval,
        reloader_type=reloader_type,
        threaded=threaded,
        processes=processes,
        request_handler=request_handler,
        static_files=static_files,
        passthrough_errors=passthrough_errors,
        ssl_context=ssl_context,
        **unknown,
    )
    from dewar.run_options import take_options

    run_options, settings = take_options(given, "run_simple()", stacklevel=2)
    named: object = getattr(application, "name", None)
    name = named if isinstance(named, str) else None
    bind = _bind(hostname, port)
    _serve(application, bind, run_options, debug=False, name=name, **settings)


def _serve(
    app: WSGIApplication,
    bind: str,
    run_options: "RunOptions",
    *,
    debug: bool,
    name: str | None,
    **settings: Any,
) -> None:
    if not run_options.threaded:
        settings["threads"] = 1
    if run_options.processes != 1:
        settings["processes"] = run_options.processes
    settings.update(_tls_settings(run_options.ssl_context, bind))
    if reloads(run_options.use_reloader, debug=debug):
        run_with_reload(
            make_settings(bind=bind, **settings),
            extra_files=run_options.extra_files,
            exclude_patterns=run_options.exclude_patterns,
        )
    if run_options.static_files:
        from werkzeug.middleware.shared_data import SharedDataMiddleware

        app = SharedDataMiddleware(app, run_options.static_files)
    if uses_debugger(run_options.use_debugger, debug=debug, bind=bind):
        from werkzeug.debug import DebuggedApplication

        app = DebuggedApplication(app, evalex=run_options.use_evalex)
    run(app, bind=bind, name=name, **settings)


def _tls_settings(ssl_option: Any, bind: str) -> dict[str, Any]:
    """Return the server's settings for what Werkzeug calls ``ssl_context``."""
    adhoc = maybe_adhoc_context(ssl_option, bind)
    if adhoc is not None:
        return {"ssl_context": adhoc}
    match ssl_option:
        case None:
            return {}
        case ssl.SSLContext():
            return {"ssl_context": ssl_option}
        case [*files] if files and all(isinstance(file, str | os.PathLike) for file in files):
            if len(files) < 3:
                return dict(zip(("certfile", "keyfile"), map(os.fspath, files), strict=False))
    raise SettingsError(
        f"ssl_context={ssl_option!r} cannot be used for HTTPS. Pass the files,"
        " ssl_context=('cert.pem', 'key.pem'), an ssl.SSLContext, or \"adhoc\"."
    )


def reloads(wanted: bool | None, *, debug: bool) -> bool:
    """Return whether this process watches the code, and a child of it serves.

    Args:
        wanted: What the user asked for; None leaves it to `debug`.
        debug: Whether debug mode is on.
    """
    if is_reloaded() or not (debug if wanted is None else wanted):
        return False
    if not can_reload():
        # A program that asks for it runs without it rather than not at all.
        logger.warning("%s Serving without.", ReloadUnavailableError())
        return False
    return True


def uses_debugger(
    wanted: bool | None, *, debug: bool, bind: str, warn: Callable[[str], object] = logger.warning
) -> bool:
    """Return whether errors are answered with the debugger.

    Args:
        wanted: What the user asked for; None leaves it to `debug`.
        debug: Whether debug mode is on.
        bind: The addresses that the server listens on.
        warn: Is told if the debugger stays off in debug mode.

    Raises:
        ExposedDebuggerError: If it was asked for, and other machines could reach it.
    """
    # SECURITY: the debugger runs any code that is sent to it.
    if is_loopback(bind):
        return debug if wanted is None else wanted
    if wanted:
        raise ExposedDebuggerError(
            f"use_debugger=True on {bind} would let other machines run code here. Leave it out, or"
            " listen on 127.0.0.1."
        )
    if debug and wanted is None:
        warn(f"The debugger is off, because {bind} is not a loopback address.")
    return False


def _replaced_run_simple() -> Callable[..., None] | None:
    """Return the replacement of ``werkzeug.serving.run_simple``, or None if it is not replaced.

    Tests and tracing tools replace it to intercept `app.run()`.
    """
    serving = sys.modules.get("werkzeug.serving")
    found: Callable[..., None] | None = getattr(serving, "run_simple", None)
    is_original = found is run_simple or getattr(found, "__module__", None) == "werkzeug.serving"
    return None if is_original else found


def _address(app: RunnableApp, host: str | None, port: int | None) -> tuple[str, int]:
    server_name, _, server_port = (app.config["SERVER_NAME"] or "").partition(":")
    return host or server_name or "127.0.0.1", int(server_port or 5000) if port is None else port


def _bind(host: str, port: int) -> str:
    if host.startswith("unix://"):
        return f"unix:{host.removeprefix('unix://')}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
