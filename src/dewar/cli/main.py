"""The ``dewar`` command line, and `DewarGroup` for a project's own command line."""

import traceback
from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar

import click

from dewar.cli.errors import AppNotNamedError, NoAppError
from dewar.cli.group import AppGroup, ScriptInfo, command_app
from dewar.cli.interface import is_command_app
from dewar.cli.options import (
    app_option,
    debug_option,
    env_file_option,
    load_defaults,
    version_option,
)
from dewar.cli.routes import routes_command
from dewar.cli.run import run_command
from dewar.cli.shell import shell_command
from dewar.cli.tasks_group import tasks_group
from dewar.contexts.current import maybe_current
from dewar.environment import note_command

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_HELP = """\
Serve, inspect and run commands of a Dewar app.

The app is named with '--app' or in the environment variable DEWAR_APP; otherwise it is the one in
'wsgi.py' or 'app.py' in the working directory.
"""


class DewarGroup(AppGroup):
    """A command line with Dewar's commands, those of the app and those of installed packages.

    A project makes its own with its factory::

        @click.group(cls=DewarGroup, create_app=create_app)
        def shop():
            "Run the shop."

    Args:
        add_default_commands: Add ``run``, ``shell``, ``routes`` and ``tasks``.
        create_app: Makes the app, instead of ``--app``.
        add_version_option: Add ``--version``.
        load_dotenv: Read ``.env`` and ``.flaskenv``.
        set_debug_flag: Set the app's debug mode from the command line or the environment.
        extra: Arguments of `click.Group`.
    """

    #: The commands that are always there.
    _dewar_commands: ClassVar[tuple[click.Command, ...]] = (
        run_command,
        shell_command,
        routes_command,
        tasks_group,
    )
    #: The groups of entry points with commands of installed packages.
    _dewar_plugin_groups: tuple[str, ...] = ("dewar.commands",)
    #: The prefix of the variables for options, such as ``DEWAR_RUN_PORT``.
    _dewar_variable_prefix: ClassVar[str] = "DEWAR"

    def __init__(
        self,
        add_default_commands: bool = True,
        create_app: Callable[..., Any] | None = None,
        add_version_option: bool = True,
        load_dotenv: bool = True,
        set_debug_flag: bool = True,
        **extra: Any,
    ) -> None:
        params = [*(extra.pop("params", None) or ()), env_file_option, app_option, debug_option]
        if add_version_option:
            params.append(version_option)
        settings = {
            "auto_envvar_prefix": self._dewar_variable_prefix,
            **(extra.pop("context_settings", None) or {}),
        }
        super().__init__(params=params, context_settings=settings, **extra)
        self.create_app = create_app
        self.load_dotenv = load_dotenv
        self.set_debug_flag = set_debug_flag
        if add_default_commands:
            for command in self._dewar_commands:
                self.add_command(command)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Return the context of one call of the command line, with a `ScriptInfo` in it."""
        note_command()
        if "obj" not in self.context_settings:
            extra.setdefault(
                "obj",
                ScriptInfo(
                    create_app=self.create_app,
                    set_debug_flag=self.set_debug_flag,
                    load_dotenv_defaults=self.load_dotenv,
                ),
            )
        return super().make_context(info_name, args, parent=parent, **extra)

    def get_help(self, ctx: click.Context) -> str:
        """Return the help, with the commands of the app."""
        # Click calls this before it reads default options; the env files may name the app.
        load_defaults(ctx)
        return super().get_help(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command: one of Dewar's, else a package's, else the app's."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            return command
        plugin = self._dewar_plugins().get(cmd_name)
        if plugin is not None:
            loaded: click.Command = plugin.load()
            return loaded
        try:
            app = ctx.ensure_object(ScriptInfo).load_app()
        except NoAppError as error:
            # Click then prints that there is no such command; this is the reason.
            _show_error(error.format_message())
            return None
        return app.cli.get_command(ctx, cmd_name) if is_command_app(app) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command to run; push the app's context for a command of the app."""
        # Not in get_command: help calls that for every command, and nothing would end the context.
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and name not in self.commands and name not in self._dewar_plugins():
            app = command_app(ctx)
            context = maybe_current()
            if context is None or context.app is not app:
                ctx.with_resource(app.app_context())
        return name, command, rest

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands; an app that fails is shown and left out."""
        names = {*super().list_commands(ctx), *self._dewar_plugins()}
        try:
            app = ctx.ensure_object(ScriptInfo).load_app()
        except AppNotNamedError as error:
            self._dewar_tell_of_missing_app(error)
        except NoAppError as error:
            _show_error(error.format_message())
        except Exception:  # noqa: BLE001  # of the user's code; the help is useful all the same
            _show_error(traceback.format_exc())
        else:
            if is_command_app(app):
                names.update(app.cli.list_commands(ctx))
        return sorted(names)

    def _dewar_tell_of_missing_app(self, error: AppNotNamedError) -> None:
        """Print above the help that no app was named; here nothing, as none is required."""

    def _dewar_plugins(self) -> "dict[str, EntryPoint]":
        """Return the commands of installed packages, by name and not yet imported."""
        from importlib.metadata import entry_points  # here, because Dewar's own need no look

        return {
            point.name: point
            for group in self._dewar_plugin_groups
            for point in entry_points(group=group)
        }


def make_cli(*options: click.Option) -> DewarGroup:
    """Return the ``dewar`` command line.

    Args:
        options: More options, before any command and after ``run``.
    """
    group = DewarGroup(name="dewar", help=_HELP, params=list(options))
    run = copy(run_command)
    run.params = [*run_command.params, *options]
    group.add_command(run)
    return group


def _show_error(message: str) -> None:
    click.secho(f"Error: {message}\n", fg="red", err=True)
