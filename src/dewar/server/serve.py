"""Serving until a signal comes: what a command or ``app.run()`` calls."""

import ssl
import sys
from collections.abc import Callable
from dataclasses import fields
from wsgiref.types import WSGIApplication

from dewar.server.errors import SettingsError
from dewar.server.foreground import say, serve_processes, serve_threads
from dewar.server.processes.app_source import AppSource, preloaded
from dewar.server.server import describe
from dewar.server.settings.settings import Settings
from dewar.server.system.memory import limit_arenas
from dewar.server.system.pid_file import PidFile


def run(
    app: WSGIApplication | None = None,
    *,
    bind: str = "127.0.0.1:8000",
    threads: int = 16,
    name: str | None = None,
    load: Callable[[], WSGIApplication] | None = None,
    **settings: float | str | bool | ssl.SSLContext | None,
) -> None:
    """Serve *app* until SIGINT or SIGTERM comes, and then finish what is in flight.

    A second signal ends it at once. Signals are heard on the main thread only; called on
    another one, this returns when the process ends.

    With ``processes`` or ``max_requests`` this process becomes the supervisor of workers that
    serve. Then an app that is given is the same in all of them, as it is here and now; with *load*
    each worker loads its own, so that SIGHUP takes up new code.

    Args:
        app: Any WSGI callable.
        bind: ``"host:port"``, ``"[::1]:port"`` or ``"unix:/path"``; see `Settings`.
        threads: How many requests may be inside the application at a time, in each process.
        name: What the banner calls the application.
        load: Gives the application, in place of *app*.
        settings: Every other field of `Settings`.

    Raises:
        SettingsError: A setting is out of its range, or there is not one of *app* and *load*.
        BindError: The address cannot be listened on.
        PidFileError: Another server runs by the same pid file.
        SystemExit: No worker could load the application; the status is 3.
    """
    made = make_settings(bind=bind, threads=threads, **settings)
    source = _app_source(app, load, name)
    limit_arenas()
    pid_file = PidFile(made.pid_file)
    pid_file.take()
    try:
        if made.needs_supervisor:
            status = serve_processes(source, made)
        else:
            status = serve_threads(source, made)
    finally:
        pid_file.release()
    if status:
        sys.exit(status)
    say("Dewar stopped.")


def make_settings(**values: float | str | bool | ssl.SSLContext | None) -> Settings:
    """Return `Settings` from keyword arguments, with an error that lists what there is.

    Raises:
        SettingsError: There is no such setting, or its value is out of range.
    """
    known = {f.name for f in fields(Settings) if f.init}
    unknown = sorted(values.keys() - known)
    if unknown:
        raise SettingsError(
            f"There is no setting {unknown[0]!r}. There are: {', '.join(sorted(known))}."
        )
    return Settings(**values)  # type: ignore[arg-type]  # Settings checks each value itself


def _app_source(
    app: WSGIApplication | None, load: Callable[[], WSGIApplication] | None, name: str | None
) -> AppSource:
    if app is not None and load is None:
        return preloaded(app, name or describe(app))
    if app is None and load is not None:
        return AppSource(name=name or describe(load), load=load, is_loaded=False)
    raise SettingsError("Give run() either an app or load=, and not both: run(app), run(load=f).")
