"""`ContextApp`: the members of the app that a context uses."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol
from wsgiref.types import WSGIEnvironment

from werkzeug.routing import MapAdapter

from dewar.messages.request import Request
from dewar.routing.index import RouteIndex
from dewar.sessions.interface import SessionInterface


class Composed(Protocol):
    """The members of the app's composition that a context uses."""

    index: RouteIndex
    #: What works out attributes of a request without an object, by name.
    early_attributes: Mapping[str, Callable[[WSGIEnvironment], Any]]
    has_plain_requests: bool
    has_teardown: bool
    request_class: type[Request]


class ContextApp(Protocol):
    """The members of the app that a context uses."""

    name: str
    debug: bool
    json: Any
    request_class: type[Request]
    app_ctx_globals_class: type
    session_interface: SessionInterface

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration."""

    #: What is worked out from the registrations; None if they have changed since.
    _dewar_composed: Composed | None

    @property
    def _dewar_composition(self) -> Composed:
        """The same, worked out again if necessary."""

    def _dewar_compose(self) -> Composed:
        """Work it out."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return Werkzeug's adapter for a request."""

    def app_context(self) -> Any:
        """Return a context without a request."""

    def request_context(self, environ: WSGIEnvironment) -> Any:
        """Return a context for a request."""

    def do_teardown_request(self, exc: BaseException | None = ...) -> None:
        """Run the teardown functions of a request."""

    def do_teardown_appcontext(self, exc: BaseException | None = ...) -> None:
        """Run the teardown functions of an app context."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that can be called without ``await``."""
