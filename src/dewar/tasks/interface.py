"""`TasksApp`: what tasks ask of an app."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol


class TasksApp(Protocol):
    """What tasks ask of an app."""

    import_name: str
    instance_path: str
    json: Any
    extensions: dict[str, Any]

    @property
    def name(self) -> str:
        """The app's name."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration."""

    def app_context(self) -> Any:
        """Return a context without a request."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that can be called without ``await``."""

    def on_start(self, f: Callable[[], Any]) -> Any:
        """Call `f` when a process begins to serve."""

    def on_stop(self, f: Callable[[float], Any]) -> Any:
        """Call `f` when a process has stopped serving."""

    def register_error_handler(self, code_or_exception: Any, f: Callable[..., Any]) -> None:
        """Have `f` answer an error."""
