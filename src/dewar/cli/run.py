"""``dewar run``: serves an app, or any WSGI callable."""

import logging
from collections.abc import Sequence
from typing import Any

import click
from click.core import ParameterSource
from werkzeug.debug import DebuggedApplication

from dewar.cli.group import ScriptInfo, pass_script_info
from dewar.cli.options import debug_option
from dewar.environment import debug_flag
from dewar.running import is_loopback, reloads
from dewar.server import run as serve
from dewar.server.errors import ServerError
from dewar.server.reload import ReloadUnavailableError, can_reload, run_with_reload

__all__ = ["address_of", "debugs", "run_command"]

_HOST = "127.0.0.1"
_PORT = 8000


@click.command("run", params=[debug_option], short_help="Serve an app.")
@click.argument("target", metavar="[MODULE:APP]", required=False)
@click.option(
    "--bind",
    "-b",
    metavar="ADDRESS",
    multiple=True,
    help="Where to listen: 'host:port', '[ipv6]:port' or 'unix:path'. May be given several times."
    f"  [default: {_HOST}:{_PORT}]",
)
@click.option(
    "--host", "-h", envvar=["DEWAR_RUN_HOST", "FLASK_RUN_HOST"], help="The host of --bind."
)
@click.option(
    "--port",
    "-p",
    type=click.IntRange(0, 65535),
    envvar=["DEWAR_RUN_PORT", "FLASK_RUN_PORT"],
    help="The port of --bind; 0 takes a free one.",
)
@click.option(
    "--threads",
    "-t",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="How many requests may be handled at a time.",
)
@click.option("--with-threads/--without-threads", default=True, help="Turn threads off.")
@click.option(
    "--debugger/--no-debugger",
    default=None,
    help="Answer errors with an interactive traceback. It is on in debug mode, and only on a"
    " loopback address.",
)
@click.option(
    "--reload/--no-reload",
    default=None,
    help="Restart on changes to the code. It is on in debug mode; needs watchfiles.",
)
@click.option(
    "--access-log/--no-access-log",
    default=None,
    help="Show each request. It is on in debug mode.",
)
@pass_script_info
def run_command(info: ScriptInfo, /, target: str | None, **options: Any) -> None:
    """Serve MODULE:APP, or the app that '--app' names, until told to stop.

    It may be a Dewar app or any other WSGI callable.
    """
    if options["bind"]:
        _drop_variables(options, "host", "port")
    if target is not None:
        info.app_import_path = target
    if options["reload"] and not can_reload():
        raise click.ClickException(str(ReloadUnavailableError()))
    if reloads(options["reload"], debug=debug_flag()):
        run_with_reload()
    bind = address_of(options["bind"], options["host"], options["port"])
    app = info.load_app()
    served = DebuggedApplication(app, evalex=True) if debugs(options["debugger"], bind) else app
    threads = options["threads"] if options["with_threads"] else 1
    logs = _logs_access(options["access_log"])
    try:
        serve(served, bind=bind, threads=threads, name=_name_of(app, info), access_log=logs)
    except ServerError as error:
        raise click.ClickException(str(error)) from error


def address_of(binds: Sequence[str], host: str | None, port: int | None) -> str:
    """Return where to listen, with commas between several addresses.

    Raises:
        click.UsageError: where it is given both as a whole and in parts.
    """
    if not binds:
        host = host or _HOST
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"{host}:{_PORT if port is None else port}"
    if host is not None or port is not None:
        raise click.UsageError(
            f"'--bind {binds[0]}' is the whole address, so '--host' and '--port' can't be given"
            " too."
        )
    return ",".join(binds)


def _drop_variables(options: dict[str, Any], *names: str) -> None:
    """Forget options that only an environment variable gave."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.ENVIRONMENT:
            options[name] = None


def debugs(wanted: bool | None, bind: str) -> bool:
    """Whether errors are answered with the debugger.

    Args:
        wanted: what was asked for; None leaves it to debug mode, and to where it is safe.
        bind: the addresses.

    Raises:
        click.UsageError: where it was asked for and other machines could reach it.
    """
    # SECURITY: it runs any code that is sent to it.
    if wanted is None:
        wanted = debug_flag()
        if wanted and not is_loopback(bind):
            click.echo(f"The debugger is off, because {bind} is not a loopback address.", err=True)
            return False
    if wanted and not is_loopback(bind):
        raise click.UsageError(
            f"The debugger runs any code that is sent to it, and {bind} can be reached from other"
            f" machines. Leave '--debugger' out, or listen on {_HOST}."
        )
    return wanted


def _logs_access(wanted: bool | None) -> bool:
    """Whether each request is logged; if so, see to it that somebody sees it."""
    wanted = debug_flag() if wanted is None else wanted
    logger = logging.getLogger("dewar.server.access")
    if wanted and not logger.hasHandlers():
        # Nobody has set up logging, so it is a terminal that waits for the lines.
        logger.addHandler(logging.StreamHandler())
        logger.setLevel(logging.INFO)
    return wanted


def _name_of(app: object, info: ScriptInfo) -> str:
    name = getattr(app, "name", None)
    return name if isinstance(name, str) else info.app_import_path or type(app).__name__
