"""`FlaskGroup`: the command line that the documentation of Flask programs describes.

``flask run`` has Flask's options and defaults (port 5000), variables start with ``FLASK_``, and
the commands of installed Flask extensions are available.
"""

from typing import Any, ClassVar

import click

from dewar.cli.certificate import CertificateType, join_key
from dewar.cli.configuring import address_of
from dewar.cli.errors import AppNotNamedError
from dewar.cli.group import ScriptInfo, pass_script_info
from dewar.cli.main import DewarGroup
from dewar.cli.options import debug_option
from dewar.cli.routes import routes_command
from dewar.cli.run import debugs
from dewar.cli.shell import shell_command
from dewar.environment import debug_flag
from dewar.errors import DewarError
from dewar.running import run_simple


class SeparatedPathType(click.Path):
    """Several paths in one value, separated as in ``PATH``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the paths as a list, each checked."""
        convert = super().convert
        return [convert(item, param, ctx) for item in self.split_envvar_value(value)]


@click.command("run", params=[debug_option], short_help="Serve an app.")
@click.option("--host", "-h", default="127.0.0.1", help="The address to listen on.")
@click.option("--port", "-p", default=5000, help="The port to listen on.")
@click.option(
    "--cert",
    type=CertificateType(),
    is_eager=True,
    help="A certificate file, 'adhoc' or the import name of an SSLContext.",
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    callback=join_key,
    expose_value=False,
    help="The key file of the certificate.",
)
@click.option("--reload/--no-reload", default=None, help="Restart on changes; on in debug mode.")
@click.option(
    "--debugger/--no-debugger",
    default=None,
    help="Answer errors with an interactive traceback; on in debug mode.",
)
@click.option("--with-threads/--without-threads", default=True, help="Turn threads off.")
@click.option("--extra-files", type=SeparatedPathType(), help="More files to restart for.")
@click.option("--exclude-patterns", type=SeparatedPathType(), help="Files not to restart for.")
@pass_script_info
def flask_run_command(info: ScriptInfo, /, host: str, port: int, **options: Any) -> None:
    """Serve the app on Dewar's server, with the options of 'flask run'."""
    app = info.load_app()
    debug = debug_flag()
    show_server_banner(debug, info.app_import_path)
    try:
        run_simple(
            host,
            port,
            app,
            use_reloader=debug if options["reload"] is None else options["reload"],
            use_debugger=debugs(options["debugger"], address_of((), host, port)),
            extra_files=options["extra_files"],
            exclude_patterns=options["exclude_patterns"],
            threaded=options["with_threads"],
            ssl_context=options["cert"],
        )
    except DewarError as error:
        raise click.ClickException(str(error)) from error


def show_server_banner(debug: bool | None, app_import_path: str | None) -> None:
    """Print which app is served and whether debug mode is on."""
    if app_import_path is not None:
        click.echo(f" * Serving Flask app '{app_import_path}'")
    if debug is not None:
        click.echo(f" * Debug mode: {'on' if debug else 'off'}")


class FlaskGroup(DewarGroup):
    """A `DewarGroup` with Flask's ``run`` command, variables and plugins.

    The constructor's arguments are those of `DewarGroup`.
    """

    _dewar_commands: ClassVar[tuple[click.Command, ...]] = (
        flask_run_command,
        shell_command,
        routes_command,
    )
    _dewar_plugin_groups: tuple[str, ...] = (*DewarGroup._dewar_plugin_groups, "flask.commands")
    _dewar_variable_prefix: ClassVar[str] = "FLASK"

    def _dewar_tell_of_missing_app(self, error: AppNotNamedError) -> None:
        """Print above the help that no app was named, as Flask does."""
        click.secho(f"Error: {error.format_message()}\n", err=True, fg="red")
