"""The errors of mounting, and of links between mounted apps."""

from collections.abc import Mapping
from typing import Any

from werkzeug.routing import BuildError

from dewar.errors import DewarError


class MountError(DewarError, ValueError):
    """Raised when an app cannot be mounted at a path or host."""


class MountLinkError(DewarError, BuildError):
    """Raised when a link names an app that is not mounted, or one that is not clear.

    It is a `werkzeug.routing.BuildError`, so `url_build_error_handlers` see it.
    """

    def __init__(self, message: str, endpoint: str, values: Mapping[str, Any]) -> None:
        super().__init__(endpoint, values, None)
        self.message = message

    def __str__(self) -> str:
        return self.message
