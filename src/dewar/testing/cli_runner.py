"""`DewarCliRunner`: runs an app's commands in a test and returns what they printed."""

from typing import Any, Protocol

import click
from click.testing import CliRunner, Result

from dewar.cli.group import ScriptInfo


class RunnerApp(Protocol):
    """The members of the app that a runner uses."""

    @property
    def cli(self) -> click.Command:
        """The app's commands."""


class DewarCliRunner(CliRunner):
    """Runs commands as a terminal would, with their input and output kept apart.

    Args:
        app: The app whose commands are run.
        kwargs: As `click.testing.CliRunner` takes them.
    """

    def __init__(self, app: RunnerApp, **kwargs: Any) -> None:
        self.app = app
        super().__init__(**kwargs)

    def invoke(self, cli: Any = None, args: Any = None, **kwargs: Any) -> Result:  # type: ignore[override]  # the command may be left out
        """Run a command and return its result: ``output``, ``exit_code``, ``exception``.

        Args:
            cli: The command; all of ``app.cli`` by default.
            args: The arguments of the command, as a list or as one string.
            kwargs: As `click.testing.CliRunner.invoke` takes them. ``obj`` is a `ScriptInfo`
                that gives the app by default.
        """
        kwargs.setdefault("obj", ScriptInfo(create_app=lambda: self.app))
        return super().invoke(self.app.cli if cli is None else cli, args, **kwargs)
