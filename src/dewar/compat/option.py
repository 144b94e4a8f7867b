"""``--flask``: the option of the command line that has ``import flask`` lead here."""

import click

from dewar.cli.flask_group import FlaskGroup
from dewar.cli.main import DewarGroup
from dewar.compat.children import carry_to_children
from dewar.compat.installing import install

__all__ = ["flask_option"]


def _install(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if not value:
        return
    install()
    carry_to_children()
    if isinstance(ctx.command, DewarGroup):
        # The commands of Flask extensions, which import what is installed now.
        ctx.command.plugin_groups = FlaskGroup.plugin_groups


#: Eager, so that it comes before the app is imported.
flask_option = click.Option(
    ["--flask"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_install,
    help="The program is written for Flask: have 'import flask' lead to Dewar.",
)
