"""`run`: serve in the process that was started until a signal comes.

This is what a command and ``app.run()`` call: it answers signals, prints to the terminal, and
tells the service manager.
"""

import ssl
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from wsgiref.types import WSGIApplication

from dewar.server.errors import SettingsError
from dewar.server.processes.app_source import AppSource, preloaded
from dewar.server.processes.hooks import ServerHooks
from dewar.server.processes.orphans import is_init
from dewar.server.reload import inherited_bind
from dewar.server.server import Server, describe
from dewar.server.settings.settings import Settings
from dewar.server.signal_loop import SignalLoop
from dewar.server.startup_lines import banner, say
from dewar.server.system.last_threads import limit_interpreter_exit
from dewar.server.system.memory import freeze_heap, limit_arenas
from dewar.server.system.pid_file import PidFile
from dewar.server.system.process_title import set_title
from dewar.server.system.signals import HANDLED_SIGNALS, SignalInbox
from dewar.server.system.systemd import Notifier
from dewar.server.system.terminal import Terminal
from dewar.server.system.working_directory import enter, loading_in, named_directory
from dewar.support.standard_streams import open_closed_streams


def run(
    app: WSGIApplication | None = None,
    *,
    bind: str = "127.0.0.1:8000",
    threads: int = 16,
    name: str | None = None,
    load: Callable[[], WSGIApplication] | None = None,
    hooks: ServerHooks | None = None,
    **settings: float | str | bool | ssl.SSLContext | None,
) -> None:
    """Serve *app* until SIGINT or SIGTERM comes, then finish the requests in flight.

    A second signal ends it at once. Signals are received on the main thread only; on another
    thread, this returns when the process ends.

    With ``processes`` or ``max_requests`` this process becomes the supervisor of worker processes.
    An *app* is then the same in all of them, as it is here and now. With *load* each worker loads
    its app, so that SIGHUP brings new code. As process 1 of a container, this process supervises a
    worker in any case if there is a *load*, and waits for the orphans of the container.

    Args:
        app: Any WSGI callable.
        bind: ``"host:port"``, ``"[::1]:port"`` or ``"unix:/path"``; see `Settings`.
        threads: How many requests may be inside the application at a time, in each process.
        name: What the banner calls the application.
        load: Returns the application, instead of *app*.
        hooks: Called at the steps of the server and its workers; there is a worker in any case.
        settings: Every other field of `Settings`.

    Raises:
        SettingsError: A setting is out of its range, or not exactly one of *app* and *load* is
            given.
        BindError: The server cannot listen on the address.
        PidFileError: Another server runs with the same pid file.
        SystemExit: No worker could load the application; the status is 3.
        BaseException: Whatever a signal handler of the program has raised; the server has stopped
            gracefully before.
    """
    open_closed_streams()
    made = make_settings(bind=inherited_bind(bind), threads=threads, **settings)
    enter(made.chdir)
    source = _app_source(app, load, name)
    limit_arenas()
    pid_file = PidFile(made.pid_file)
    pid_file.take()
    try:
        if hooks is not None:
            status = _serve_processes(source, made, hooks)
        elif load is not None and is_init() and not made.needs_supervisor:
            # It waits for orphans, which a process with an application cannot: that has children of
            # its own. One process that has no supervisor has no timeout either.
            status = _serve_processes(source, replace(made, worker_timeout=0.0), ServerHooks())
        elif made.needs_supervisor:
            status = _serve_processes(source, made, ServerHooks())
        else:
            status = _serve_threads(source, made)
    finally:
        pid_file.release()
    if status:
        sys.exit(status)
    say("Dewar stopped.")


def make_settings(**values: float | str | bool | ssl.SSLContext | None) -> Settings:
    """Return `Settings` from keyword arguments, with an error that lists the settings.

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
        load_there = loading_in(named_directory(), load)
        return AppSource(name=name or describe(load), load=load_there, is_loaded=False)
    raise SettingsError("Give run() either an app or load=, and not both: run(app), run(load=f).")


def _serve_processes(source: AppSource, settings: Settings, hooks: ServerHooks) -> int:
    """Supervise workers until a signal stops them; return the exit status."""
    from dewar.server.serve_processes import serve_processes  # PERF: one process needs none of it

    return serve_processes(source, settings, hooks)


def _serve_threads(source: AppSource, settings: Settings) -> int:
    """Serve on threads of this process until a signal stops them; return the exit status."""
    notifier = Notifier()
    inbox = SignalInbox(HANDLED_SIGNALS, defers=True)
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
        loop = SignalLoop(server, inbox, notifier, terminal)
        try:
            loop.run()
        finally:
            limit_interpreter_exit(loop.time_left())
    return 0
