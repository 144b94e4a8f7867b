"""`CommandApp`: what the commands ask of an app."""

from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeGuard

import click
from werkzeug.routing import Map


class CommandApp(Protocol):
    """The part of an app that commands use; `dewar.Dewar` has it."""

    debug: bool
    import_name: str
    instance_path: str
    url_map: Map

    @property
    def cli(self) -> click.Group:
        """The commands of the app."""

    def app_context(self) -> AbstractContextManager[Any]:
        """Return an app context to run a command in."""

    def make_shell_context(self) -> dict[str, Any]:
        """Return the names that a shell starts with."""


def is_command_app(value: object) -> TypeGuard[CommandApp]:
    """Return whether a value is an app with contexts and commands, not just a WSGI callable."""
    # Looks at the type, not the value: a proxy would look up the current app.
    kind = type(value)
    return all(hasattr(kind, name) for name in ("wsgi_app", "app_context", "make_shell_context"))
