"""What goes wrong with mounts, and with links between the apps that are mounted."""

from collections.abc import Mapping
from typing import Any

from werkzeug.routing import BuildError

from dewar.errors import DewarError


class MountError(DewarError, ValueError):
    """Raised when an app cannot be mounted as it was asked for."""


class MountLinkError(DewarError, BuildError):
    """Raised when a link names an app that is not mounted, or one that cannot be told.

    It is a `werkzeug.routing.BuildError`, so `url_build_error_handlers` see it.
    """

    def __init__(self, message: str, endpoint: str, values: Mapping[str, Any]) -> None:
        super().__init__(endpoint, values, None)
        self.message = message

    def __str__(self) -> str:
        return self.message
