"""Where the application comes from."""

from collections.abc import Callable
from dataclasses import dataclass
from wsgiref.types import WSGIApplication


@dataclass(frozen=True, kw_only=True, slots=True)
class AppSource:
    """How a process gets the application.

    Attributes:
        name: Its name in banners, process titles and log lines.
        load: Returns it; called in each worker, unless it is preloaded.
        is_loaded: Whether it is loaded already, so that a reload brings no new code.
    """

    name: str
    load: Callable[[], WSGIApplication]
    is_loaded: bool


def preloaded(app: WSGIApplication, name: str) -> AppSource:
    """Return the source of an application that is loaded already."""
    return AppSource(name=name, load=lambda: app, is_loaded=True)
