"""Where the application comes from."""

from collections.abc import Callable
from dataclasses import dataclass
from wsgiref.types import WSGIApplication


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """How a process comes by the application.

    Attributes:
        name: What banners, titles and lines in the log call it.
        load: Gives it; called in each worker, unless it is preloaded.
        is_loaded: Whether *load* gives what is there already, so that no reload brings new code.
    """

    name: str
    load: Callable[[], WSGIApplication]
    is_loaded: bool


def loaded(app: WSGIApplication, name: str) -> Source:
    """Return the source of an application that is there already."""
    return Source(name=name, load=lambda: app, is_loaded=True)
