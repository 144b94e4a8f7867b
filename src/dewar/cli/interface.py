"""`CommandApp`: what the commands ask of an app."""

from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeGuard

import click
from werkzeug.routing import Map


class CommandApp(Protocol):
    """The app as commands see it; `dewar.Dewar` is one."""

    debug: bool
    import_name: str
    instance_path: str
    url_map: Map

    @property
    def cli(self) -> click.Group:
        """The commands that the app brings."""

    def app_context(self) -> AbstractContextManager[Any]:
        """Return an app context to run a command in."""

    def make_shell_context(self) -> dict[str, Any]:
        """Return the names that a shell starts with."""


def is_command_app(value: object) -> TypeGuard[CommandApp]:
    """Whether a value is an app with contexts and commands, and not just any WSGI callable."""
    # The type is asked and not the value: a proxy would ask for the current app.
    kind = type(value)
    return all(hasattr(kind, name) for name in ("wsgi_app", "app_context", "make_shell_context"))
