"""``dewar tasks work``: a process that runs jobs and serves no requests."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import click

from dewar.cli.group import command_app
from dewar.cli.tasks_interface import CommandTasks, tasks_of
from dewar.support.metric_sources import metric_sources

# How often the main thread looks for signals, in seconds. The system may have given one to another
# thread, as it does when a stopped process is continued; that wakes no wait without an end.
_RECHECK = 0.5


@click.command("work", short_help="Run jobs until a signal stops it.")
@click.option("--queues", metavar="NAME,...", help="Only jobs in these queues; all by default.")
@click.option("--metrics", metavar="HOST:PORT", help="Serve the metrics of this process.")
@click.pass_context
def work_command(ctx: click.Context, queues: str | None, metrics: str | None) -> None:
    """Run jobs in this process, without serving, until SIGTERM or SIGINT.

    With --queues it serves these in turn, whatever their order.

    Running jobs then get TASKS_SHUTDOWN_TIMEOUT seconds to end. After that the process ends with 1:
    the jobs that it leaves are in the log, and run again elsewhere, or are lost if they may not be
    repeated. A second signal ends the process at once.
    """
    app: Any = command_app(ctx)
    tasks = tasks_of(ctx)
    # If TASKS_RUN_JOBS is False for the processes that serve, this one still runs jobs.
    app.config["TASKS_RUN_JOBS"] = True
    if not tasks.settings().run_jobs:
        raise click.ClickException(
            "These tasks were made with run_jobs=False, so no process runs them. Set it in the"
            " configuration, which this command overrides: TASKS_RUN_JOBS = False."
        )
    if queues is not None:
        _serve_only(app, tasks, [name.strip() for name in queues.split(",")])
    with until_stop_signal() as stop_requested, _served(metrics):
        tasks.start()
        click.echo(f"Process {os.getpid()} runs jobs of {', '.join(sorted(tasks.names()))}.")
        while not stop_requested.wait(_RECHECK):
            pass
        if not tasks.stop():
            click.echo(
                "Error: Some jobs ran too long to wait for, and cannot be stopped.", err=True
            )
            end_at_once(1)


def _serve_only(app: Any, tasks: CommandTasks, queues: Sequence[str]) -> None:
    """Have this process run jobs of some queues only."""
    app.config["TASKS_QUEUES"] = queues
    if tasks.settings().queues != queues:
        raise click.ClickException(
            "These tasks were made with queues=[...], so this command cannot choose others. Set"
            " them in the configuration, which it overrides: TASKS_QUEUES = [...]."
        )


@contextmanager
def _served(address: str | None) -> Iterator[None]:
    """Serve the metrics of this process, if there is an address."""
    if address is None:
        yield
        return
    from dewar.server.errors import ServerError
    from dewar.server.server import maybe_metrics_server
    from dewar.server.settings.settings import Settings

    try:
        make = maybe_metrics_server(Settings(metrics=address))
        server = None if make is None else make(dict, metric_sources.families)
        if server is not None:
            server.start()
    except ServerError as error:
        raise click.ClickException(str(error)) from error
    try:
        yield
    finally:
        if server is not None:
            server.stop()


def end_at_once(status: int) -> None:
    """End this process without waiting for its threads.

    The interpreter would let the jobs go on for as long as they take, not as long as they may.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):
            stream.flush()
    os._exit(status)


@contextmanager
def until_stop_signal() -> Iterator[threading.Event]:
    """Yield an event that the first SIGTERM or SIGINT sets. The second signal ends the process."""
    stop_requested = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def tell(number: int, frame: object) -> None:  # noqa: ARG001  # as handlers are called
        for known in before:
            signal.signal(known, signal.SIG_DFL)
        stop_requested.set()

    try:
        for number in before:
            signal.signal(number, tell)
        yield stop_requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
