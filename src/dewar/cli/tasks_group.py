"""``dewar tasks``: the group, which imports its commands when one of them is asked for."""

from typing import Any

import click

from dewar.errors import DewarError


class TasksGroup(click.Group):
    """A group whose commands end with one line after an error, and not with a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except click.ClickException:
            raise
        except DewarError as error:
            raise click.ClickException(str(error)) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        if not self.commands:
            self._load()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None."""
        if not self.commands:
            self._load()
        return super().get_command(ctx, cmd_name)

    def _load(self) -> None:
        # PERF: here, because ``dewar run`` needs none of the 35 modules.
        from dewar.cli.tasks_command import TASKS_COMMANDS

        for command in TASKS_COMMANDS:
            self.add_command(command)


@click.group("tasks", cls=TasksGroup, short_help="Show and manage the jobs of an app.")
def tasks_group() -> None:
    """Show and manage the jobs of an app. Only 'work' runs jobs in this process."""
