"""`ContextState`: what a context carries, and makes when it is first asked for.

The request object, the session, `g` and the URL adapter are costly. A request that asks for none
of them pays for none.
"""

from collections.abc import Callable
from typing import Any, Self
from wsgiref.types import WSGIEnvironment

from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, Rule

from dewar.contexts.current import OUTSIDE_REQUEST, contexts
from dewar.contexts.interface import ContextApp
from dewar.errors import UnboundError
from dewar.messages.request import Request
from dewar.messages.response import Response
from dewar.sessions.session import SessionMixin

_UNGIVEN: Any = object()


class ContextState:
    """The app, the environ, and what is made of them.

    Args:
        app: The app.
        environ: The WSGI environ of the request; None makes an app context.
        request: An existing request object for that environ.
        session: An existing session.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_g",
        "_may_own_app_context",
        "_url_adapter",
        "after_functions",
        "app",
        "environ",
        "flashes",
        "made_request",
        "opened_session",
        "owns_app_context",  # set by `push`: whether that made it the current app context
        "pushes",
        "routing_exception",
        "url_rule",
        "view_args",
    )

    #: The work after the response, see `dewar.contexts.after_response`. Not a slot: most have none.
    background_work: list[Any] | None = None
    #: The 101 of a WebSocket that was accepted; its client can be sent no other response.
    switched: Response | None = None
    # The app context of its app that a request was pushed inside of. Not a slot either.
    _outer: Self | None = None

    def __init__(
        self,
        app: Any,
        environ: WSGIEnvironment | None = None,
        request: Request | None = None,
        session: SessionMixin | None = None,
    ) -> None:
        self.app: ContextApp = app
        #: The WSGI environ, or None in an app context.
        self.environ = environ
        #: The request object and the session; None until they are first used.
        self.made_request = request
        self.opened_session = session
        self._g: Any = None
        #: How often it is pushed.
        self.pushes = 0
        self._may_own_app_context = True
        self._url_adapter: Any = _UNGIVEN
        #: The functions that are called with the response of this request only.
        self.after_functions: list[Callable[..., Any]] | None = None
        self.url_rule: Rule | None = None
        self.view_args: dict[str, Any] | None = None
        self.routing_exception: HTTPException | None = None
        self.flashes: list[tuple[str, str]] | None = None

    @property
    def has_request(self) -> bool:
        """Whether a request is being handled, here or in this app context."""
        return self.request_context is not None

    @property
    def request_context(self) -> Self | None:
        """The context that carries the request: this one, or that of the current request."""
        if self.environ is not None:
            return self
        state = contexts.reader(None)
        # An app context that is not current has no request, whatever is handled here.
        return state[1] if state is not None and state[0] is self else None

    @property
    def app_context(self) -> Self:
        """The app context: this one, unless it was pushed inside one of the same app."""
        return self if self._outer is None else self._outer

    @property
    def request(self) -> Request:
        """The request object."""
        request = self.made_request
        return self._make_request() if request is None else request

    @property
    def session(self) -> SessionMixin:
        """The session of the request; reading it marks it as accessed."""
        session = self.opened_session
        if session is None:
            session = self.open_session()
        session.accessed = True
        return session

    def open_session(self) -> SessionMixin:
        """Return the session without marking it as accessed."""
        if self.opened_session is not None:
            return self.opened_session
        if self.environ is None:
            carrier = self.request_context
            if carrier is None:
                raise UnboundError(OUTSIDE_REQUEST)
            return carrier.open_session()
        interface, app = self.app.session_interface, self.app
        session = interface.open_session(app, self.request)  # type: ignore[arg-type]  # the app is wider
        if session is None:
            session = interface.make_null_session(app)  # type: ignore[arg-type]  # as above
        self.opened_session = session
        return session

    @property
    def _session(self) -> SessionMixin:
        """Flask's name for the session; reading it does not mark it as accessed."""
        return self.open_session()

    @_session.setter
    def _session(self, session: SessionMixin) -> None:
        self.opened_session = session

    @property
    def g(self) -> Any:
        """The namespace for this request or app context."""
        if self._outer is not None:
            return self._outer.g
        if self._g is None:
            self._g = self.app.app_ctx_globals_class()
        return self._g

    @g.setter
    def g(self, value: Any) -> None:
        self._g = value

    @property
    def url_adapter(self) -> MapAdapter | None:
        """Werkzeug's adapter for this request, or for ``SERVER_NAME`` without a request."""
        if self._url_adapter is _UNGIVEN:
            self._url_adapter = None
            try:
                request = None if self.environ is None else self.request
                self._url_adapter = self.app.create_url_adapter(request)
            except HTTPException as error:
                self._fail_routing(error)
        return self._url_adapter  # type: ignore[no-any-return]  # holds a marker at first

    @url_adapter.setter
    def url_adapter(self, value: MapAdapter | None) -> None:
        self._url_adapter = value

    def after_this_request(self, function: Callable[..., Any]) -> None:
        """Have `function` called with the response of this request only."""
        self._after_request_functions.append(function)

    @property
    def _after_request_functions(self) -> list[Callable[..., Any]]:
        """Flask's name for what `after_this_request` adds to."""
        if self.after_functions is None:
            self.after_functions = []
        return self.after_functions

    def close_request(self) -> None:
        """Close the request object, if there is one, and with it the files of its form."""
        request = self.made_request
        if request is None:
            return
        # A request class of the user may have no close().
        close = getattr(request, "close", None)
        if close is not None:
            close()
        # The environ and the request refer to each other; without this the memory waits for the
        # garbage collector.
        request.environ["werkzeug.request"] = None

    def _make_request(self) -> Request:
        if self.environ is None:
            carrier = self.request_context
            if carrier is None:
                raise UnboundError(OUTSIDE_REQUEST)
            return carrier.request
        app = self.app
        request = self.made_request = app.request_class(self.environ)
        request.json_module = app.json
        request._dewar_app = app  # noqa: SLF001  # the request's one tie to its app
        request.url_rule = self.url_rule
        request.view_args = self.view_args
        request.routing_exception = self.routing_exception
        return request

    def _fail_routing(self, error: HTTPException) -> None:
        self.routing_exception = error
        if self.made_request is not None:
            self.made_request.routing_exception = error
