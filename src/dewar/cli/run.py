"""``dewar run``: serves an app, or any WSGI callable."""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn
from wsgiref.types import WSGIApplication

import click

from dewar.cli.configuring import configure, maybe_gunicorn_file, warn_of_misspelt_variables
from dewar.cli.group import ScriptInfo, pass_script_info
from dewar.cli.mounts import MountOption, mount_option, with_mounts
from dewar.cli.options import debug_option
from dewar.cli.setting_options import SettingsCommand, setting_options
from dewar.environment import debug_flag
from dewar.running import ExposedDebuggerError, reloads, uses_debugger
from dewar.server import run as serve
from dewar.server.errors import ServerError, StartError
from dewar.server.processes.orphans import is_init
from dewar.server.reload import ReloadUnavailableError, can_reload, run_with_reload
from dewar.server.settings.settings import SETTINGS, Settings
from dewar.server.system.working_directory import enter

if TYPE_CHECKING:
    from dewar.server.gunicorn.config_file import GunicornFile


@click.command(
    "run", cls=SettingsCommand, params=[debug_option, mount_option], short_help="Serve an app."
)
@click.argument("target", metavar="[MODULE:APP]", required=False)
@click.option(
    "--debugger/--no-debugger",
    default=None,
    help="Answer errors with an interactive traceback. On in debug mode; works on a loopback"
    " address only.",
)
@click.option(
    "--reload/--no-reload",
    default=None,
    help="Restart when the code changes. On in debug mode; needs watchfiles.",
)
@click.option(
    "--config",
    "-c",
    metavar="FILE",
    envvar="DEWAR_CONFIG",
    help="A TOML file with settings, instead of dewar.toml or pyproject.toml; or gunicorn.conf.py.",
)
@click.option(
    "--print-settings",
    is_flag=True,
    help="Print the settings as such a file, with the source of each, and exit.",
)
@click.option(
    "--host", "-h", envvar=["DEWAR_RUN_HOST", "FLASK_RUN_HOST"], help="The host of --bind."
)
@click.option(
    "--port",
    "-p",
    type=click.IntRange(0, 65535),
    envvar=["DEWAR_RUN_PORT", "FLASK_RUN_PORT"],
    help="The port of --bind; 0 takes a free port.",
)
@click.option("--with-threads/--without-threads", default=True, help="Use several threads, or one.")
@setting_options
@pass_script_info
@click.pass_context
def run_command(
    ctx: click.Context, info: ScriptInfo, /, target: str | None, **options: Any
) -> None:
    """Serve MODULE:APP, or the app that '--app' names, until a signal stops it.

    The app is a Dewar app or any other WSGI callable.
    """
    gunicorn = maybe_gunicorn_file(ctx)
    configuration = configure(ctx, gunicorn)
    warn_of_misspelt_variables(ctx)
    if options["print_settings"]:
        click.echo(configuration.as_toml(), nl=False)
        return
    if target is not None:
        info.app_import_path = target
    if options["reload"] and not can_reload():
        raise click.ClickException(str(ReloadUnavailableError()))
    settings = configuration.settings()
    wanted = options["reload"]
    if gunicorn is not None:
        info.app_import_path = info.app_import_path or gunicorn.target
        wanted = gunicorn.reload if wanted is None else wanted
    if reloads(wanted, debug=debug_flag()):
        _run_with_reload(settings, gunicorn.extra_files if gunicorn is not None else ())
    _enter(settings.chdir)
    load = _loader(info, options["mount"], with_debugger=debugs(options["debugger"], settings.bind))
    try:
        if gunicorn is not None:
            _serve_as_gunicorn(gunicorn, info, settings, load)
        else:
            _show_access_log(settings)
            _serve(info, settings, load)
    except ServerError as error:
        raise click.ClickException(str(error)) from error


def _serve(info: ScriptInfo, settings: Settings, load: Callable[[], WSGIApplication]) -> None:
    values = _values(settings)
    if _is_loaded_in_workers(settings):
        serve(load=_in_worker(load), name=info.app_import_path or "the app", **values)
    else:
        # Loaded before the server listens: a wrong name must not open a port.
        serve(load(), name=_name_of(info), **values)


def _serve_as_gunicorn(
    gunicorn: "GunicornFile",
    info: ScriptInfo,
    settings: Settings,
    load: Callable[[], WSGIApplication],
) -> None:
    """Serve as a file of gunicorn says: there is a worker in any case, which calls its hooks."""
    for warning in gunicorn.warnings():
        _echo_error(f"Warning: {warning}")
    gunicorn.prepare()
    _show_access_log(settings)
    name = gunicorn.name or info.app_import_path or "the app"
    hooks = gunicorn.hooks(settings, name)
    load = gunicorn.wrapped(load, hooks, settings)
    # With preload the supervisor calls it.
    serve(load=_in_worker(load), name=name, hooks=hooks, **_values(settings))


def _values(settings: Settings) -> dict[str, Any]:
    values = {setting.name: getattr(settings, setting.name) for setting in SETTINGS}
    values["chdir"] = None  # done
    if settings.certfile is not None:
        from dewar.cli.certificate import adhoc_values  # here, because most serve without TLS

        values |= adhoc_values(settings)
    return values


def _run_with_reload(settings: Settings, extra_files: Sequence[str]) -> NoReturn:
    try:
        run_with_reload(settings, extra_files=extra_files)
    except ServerError as error:
        raise click.ClickException(str(error)) from error


def _enter(folder: str | None) -> None:
    """Make *folder* the working directory; a single process loads the app before it serves."""
    try:
        enter(folder)
    except ServerError as error:
        raise click.ClickException(str(error)) from error


def _loader(
    info: ScriptInfo, mounts: Sequence[MountOption], *, with_debugger: bool
) -> Callable[[], WSGIApplication]:
    """Return a function that loads the apps in the process that calls it."""

    def load() -> WSGIApplication:
        app = with_mounts(info.load_app(), mounts, info)
        if not with_debugger:
            return app
        from werkzeug.debug import DebuggedApplication  # here: it is for development

        return DebuggedApplication(app, evalex=True)

    return load


def _is_loaded_in_workers(settings: Settings) -> bool:
    """Return whether each process loads the app itself, so that SIGHUP brings new code."""
    return not settings.preload if settings.needs_supervisor else is_init()


def _in_worker(load: Callable[[], WSGIApplication]) -> Callable[[], WSGIApplication]:
    """Return *load* with Click's errors as the server's, which are printed as one line."""

    def load_in_worker() -> WSGIApplication:
        try:
            return load()
        except click.ClickException as error:
            raise StartError(error.format_message()) from error

    return load_in_worker


def debugs(wanted: bool | None, bind: str) -> bool:
    """Return whether errors are answered with the debugger.

    Args:
        wanted: What the user asked for; None leaves it to debug mode and the addresses.
        bind: The addresses that the server listens on.

    Raises:
        click.UsageError: If it was asked for, and other machines could reach it.
    """
    try:
        return uses_debugger(wanted, debug=debug_flag(), bind=bind, warn=_echo_error)
    except ExposedDebuggerError as error:
        raise click.UsageError(
            f"The debugger runs any code that is sent to it, and {bind} can be reached from other"
            " machines. Leave '--debugger' out, or listen on 127.0.0.1."
        ) from error


def _echo_error(text: str) -> None:
    click.echo(text, err=True)


def _show_access_log(settings: Settings) -> None:
    """Print the access log to the terminal if it goes to `logging` and nobody has set that up."""
    logger = logging.getLogger("dewar.server.access")
    if settings.access_log and settings.access_log_file is None and not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler())
        logger.setLevel(logging.INFO)


def _name_of(info: ScriptInfo) -> str:
    app = info.load_app()
    name = getattr(app, "name", None)
    return name if isinstance(name, str) else info.app_import_path or type(app).__name__
