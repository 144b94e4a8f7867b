"""The options before any command: the app, the env file, debug mode, the version."""

import platform
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

import click

from dewar.cli.group import ScriptInfo
from dewar.environment import load_dotenv, switch_debug
from dewar.version import __version__


def load_defaults(ctx: click.Context) -> None:
    """Read ``.env`` and ``.flaskenv``, unless that is turned off."""
    if ctx.ensure_object(ScriptInfo).load_dotenv_defaults:
        load_dotenv()


def _set_app(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.ensure_object(ScriptInfo).app_import_path = value


def _set_debug(_ctx: click.Context, _param: click.Parameter, value: bool | None) -> None:
    # Through the environment, because a factory may read it before there is an app.
    if value is not None:
        switch_debug(value)


def _read_env_file(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is None:
        load_defaults(ctx)
        return
    if find_spec("dotenv") is None:
        raise click.BadParameter(
            "Reading a file needs python-dotenv: pip install 'dewar-web[dotenv]'.", ctx, param
        )
    load_dotenv(value, load_defaults=ctx.ensure_object(ScriptInfo).load_dotenv_defaults)


def build_of(package: Path) -> str:
    """Return how a package is built: "compiled" if any module below its folder is an extension."""
    suffixes = tuple(EXTENSION_SUFFIXES)
    is_compiled = any(file.name.endswith(suffixes) for file in package.rglob("*"))
    return "compiled" if is_compiled else "pure Python"


def _show_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import version

    build = build_of(Path(__file__).parents[1])
    click.echo(
        f"Python {platform.python_version()}\n"
        f"Dewar {__version__} ({build})\n"
        f"Werkzeug {version('werkzeug')}",
        color=ctx.color,
    )
    ctx.exit()


#: ``-e``: eager and first, because the file may set the other options.
env_file_option = click.Option(
    ["-e", "--env-file"],
    type=click.Path(exists=True, dir_okay=False),
    help="Set environment variables from this file, before '.env' and '.flaskenv'. Variables that"
    " are set already do not change. Needs python-dotenv.",
    is_eager=True,
    expose_value=False,
    callback=_read_env_file,
)

#: ``-A``: eager, so that help shows the commands of the app.
app_option = click.Option(
    ["-A", "--app"],
    metavar="MODULE:NAME",
    help="The app: 'module:app', 'folder/file.py:app' or 'module:factory(arguments)'. The names"
    " app, application, create_app and make_app may be left out.",
    is_eager=True,
    expose_value=False,
    callback=_set_app,
)

#: Before a command, and after some commands.
debug_option = click.Option(
    ["--debug/--no-debug"],
    default=None,
    help="Turn debug mode on or off.",
    expose_value=False,
    callback=_set_debug,
)

#: Prints the versions and exits.
version_option = click.Option(
    ["--version"],
    help="Show the versions of Python, Dewar and Werkzeug, and how Dewar is built.",
    expose_value=False,
    callback=_show_version,
    is_flag=True,
    is_eager=True,
)
