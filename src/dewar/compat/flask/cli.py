"""`flask.cli`."""

import platform
from importlib.metadata import version

import click

from dewar.cli.certificate import CertificateType as CertParamType
from dewar.cli.errors import NoAppError as NoAppException
from dewar.cli.flask_group import FlaskGroup, SeparatedPathType, show_server_banner
from dewar.cli.flask_group import flask_run_command as run_command
from dewar.cli.group import AppGroup, ScriptInfo, pass_script_info, with_appcontext
from dewar.cli.loading import find_app_by_string, find_best_app, locate_app
from dewar.cli.modules import prepare_import
from dewar.cli.options import app_option as _app_option
from dewar.cli.options import debug_option as _debug_option
from dewar.cli.options import env_file_option as _env_file_option
from dewar.cli.routes import routes_command
from dewar.cli.shell import shell_command
from dewar.compat.flask.helpers import get_load_dotenv
from dewar.compat.version import flask_version
from dewar.environment import debug_flag as get_debug_flag
from dewar.environment import load_dotenv
from dewar.globals import current_app
from dewar.running import run_simple
from dewar.version import __version__

__all__ = [
    "AppGroup",
    "CertParamType",
    "FlaskGroup",
    "NoAppException",
    "ScriptInfo",
    "SeparatedPathType",
    "_app_option",
    "_debug_option",
    "_env_file_option",
    "cli",
    "click",
    "current_app",
    "find_app_by_string",
    "find_best_app",
    "get_debug_flag",
    "get_load_dotenv",
    "get_version",
    "load_dotenv",
    "locate_app",
    "main",
    "pass_script_info",
    "prepare_import",
    "routes_command",
    "run_command",
    "run_simple",
    "shell_command",
    "show_server_banner",
    "version_option",
    "with_appcontext",
]


def main() -> None:
    """Run the command line and end the process with its exit code."""
    cli.main(prog_name="flask")


def get_version(ctx: click.Context, _param: click.Parameter | None, value: object) -> None:
    """Print the versions of Python, Flask, Dewar and Werkzeug, and end the command."""
    if not value or ctx.resilient_parsing:
        return
    click.echo(
        f"Python {platform.python_version()}\n"
        f"Flask {flask_version()} (on Dewar {__version__})\n"
        f"Werkzeug {version('werkzeug')}",
        color=ctx.color,
    )
    ctx.exit()


#: ``--version``, which shows the version of Flask too.
version_option = click.Option(
    ["--version"],
    help="Show the versions of Python, Flask and Werkzeug.",
    expose_value=False,
    callback=get_version,
    is_flag=True,
    is_eager=True,
)

#: The command line, under Flask's name.
cli = FlaskGroup(
    name="flask",
    help="Serve, inspect and run commands of a Flask app, on Dewar.",
    add_version_option=False,
    params=[version_option],
)
