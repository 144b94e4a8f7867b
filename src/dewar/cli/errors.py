"""What goes wrong between a command line and an app."""

import click

from dewar.errors import DewarError


class NoAppError(DewarError, click.UsageError):
    """Raised when the app that was asked for cannot be found or made.

    It is a `click.UsageError`: a command that meets it prints the message and ends with 2.
    """


class AppNotNamedError(NoAppError):
    """Raised when nobody named an app, and none is where one would be looked for."""


class PlainCallableError(DewarError, click.UsageError):
    """Raised when a command needs a Dewar app and gets another WSGI callable.

    `given` is the callable in question.
    """

    def __init__(self, given: object) -> None:
        super().__init__(
            f"This command needs a Dewar app, and {given!r} is a plain WSGI callable: it can be"
            " served with 'dewar run', but it has no routes, contexts or commands to work with."
        )
        self.given = given
