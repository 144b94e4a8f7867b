"""Errors of the command line: no app, or an app that a command cannot use."""

import click

from dewar.errors import DewarError


class NoAppError(DewarError, click.UsageError):
    """Raised when the app cannot be found or made.

    It is a `click.UsageError`: the command prints the message and exits with status 2.
    """


class AppNotNamedError(NoAppError):
    """Raised when no app is named, and the working directory has none."""


class PlainCallableError(DewarError, click.UsageError):
    """Raised when a command needs a Dewar app and gets another WSGI callable.

    `given` is that callable.
    """

    def __init__(self, given: object) -> None:
        super().__init__(
            f"This command needs a Dewar app, and {given!r} is a plain WSGI callable: it can be"
            " served with 'dewar run', but it has no routes, contexts or commands to work with."
        )
        self.given = given
