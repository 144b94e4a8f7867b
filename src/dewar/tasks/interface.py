"""`TasksApp`: what tasks ask of an app."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol


class Lifespan(Protocol):
    """The functions for the start and the end of serving."""

    begin_functions: list[Callable[[], Any]]
    end_functions: list[Callable[[float], Any]]


class TasksApp(Protocol):
    """What tasks ask of an app."""

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

    @property
    def _dewar_lifespan(self) -> Lifespan:
        """What the app does when a process begins to serve, and has stopped."""

    def register_error_handler(self, code_or_exception: Any, f: Callable[..., Any]) -> None:
        """Have `f` answer an error."""
