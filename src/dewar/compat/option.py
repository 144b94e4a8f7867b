"""``--flask``: the command-line option that makes ``import flask`` import Dewar."""

import click

from dewar.cli.main import DewarGroup


def _install(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if not value:
        return
    # Here, because a program that is written for Dewar needs none of it.
    from dewar.cli.flask_group import FlaskGroup
    from dewar.compat.children import carry_to_children
    from dewar.compat.installing import install

    install()
    carry_to_children()
    if isinstance(ctx.command, DewarGroup):
        # The commands of Flask extensions. They import ``flask``, which is Dewar now.
        ctx.command._dewar_plugin_groups = FlaskGroup._dewar_plugin_groups


#: Eager, so that it is processed before the app is imported.
flask_option = click.Option(
    ["--flask"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_install,
    help="The program is written for Flask: make 'import flask' import Dewar.",
)
