"""`TasksApp`: what tasks ask of an app."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from dewar.tasks.errors import TaskSetupError


class Lifespan(Protocol):
    """The functions for the start and the end of serving."""

    begin_functions: list[Callable[[], Any]]
    end_functions: list[Callable[[float], Any]]


class TasksApp(Protocol):
    """What tasks ask of an app. To a type checker Flask's class is one, too."""

    import_name: str
    instance_path: str
    json: Any
    extensions: dict[str, Any]

    @property
    def name(self) -> Any:  # NOTE: it is text; pyright takes a descriptor for its own type
        """The app's name."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration."""

    def app_context(self) -> Any:
        """Return a context without a request."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that can be called without ``await``."""

    def register_error_handler(self, code_or_exception: Any, f: Callable[..., Any]) -> None:
        """Have `f` answer an error."""


def lifespan_of(app: TasksApp) -> Lifespan:
    """Return what an app does when a process begins to serve, and has stopped.

    Raises:
        TaskSetupError: If it is an app of Flask, which knows no such moments.
    """
    found: Lifespan | None = getattr(app, "_dewar_lifespan", None)
    if found is None:
        raise TaskSetupError(
            f"Tasks need an app of Dewar, and {app!r} is not one. Write: app = Dewar(__name__). A"
            " program for Flask needs no change if it is run by dewar run --flask module:app, or"
            " by python -m dewar.compat program.py."
        )
    return found
