"""Where the application comes from."""

from collections.abc import Callable
from dataclasses import dataclass
from wsgiref.types import WSGIApplication


@dataclass(frozen=True, kw_only=True, slots=True)
class AppSource:
    """How a process comes by the application.

    Attributes:
        name: What banners, titles and lines in the log call it.
        load: Gives it; called in each worker, unless it is preloaded.
        is_loaded: Whether *load* gives what is there already, so that no reload brings new code.
    """

    name: str
    load: Callable[[], WSGIApplication]
    is_loaded: bool


def preloaded(app: WSGIApplication, name: str) -> AppSource:
    """Return the source of an application that is there already."""
    return AppSource(name=name, load=lambda: app, is_loaded=True)
