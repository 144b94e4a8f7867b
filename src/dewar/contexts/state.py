"""`ContextState`: what a context carries, and makes when it is first asked for.

The request object, the session, `g` and the URL adapter are costly. A request that asks for none
of them pays for none.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Self
from wsgiref.types import WSGIEnvironment

from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, Rule

from dewar.contexts.current import OUTSIDE_REQUEST, contexts
from dewar.contexts.interface import ContextApp
from dewar.errors import UnboundError
from dewar.messages.environ_attributes import method_in
from dewar.messages.request import Request
from dewar.messages.response import Response
from dewar.sessions.session import SessionMixin

_UNGIVEN: Any = object()
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_new: Any = object.__new__
_keep: Any = object.__setattr__


class ContextState:
    """The app, the environ, and what is made of them.

    Names that Flask's contexts do not have begin with ``_dewar_``: a program and its extensions may
    keep things of their own under any other name.

    Args:
        app: The app.
        environ: The WSGI environ of the request; None makes an app context.
        request: An existing request object for that environ.
        session: An existing session.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_dewar_after_functions",
        "_dewar_asked",
        "_dewar_environ",
        "_dewar_g",
        "_dewar_may_own_app_context",
        "_dewar_owns_app_context",  # set by `push`: whether that made it the current app context
        "_dewar_pushes",
        "_dewar_request",
        "_dewar_routing_exception",
        "_dewar_session",
        "_dewar_url_adapter",
        "_dewar_url_rule",
        "_dewar_view_args",
        "app",
        "flashes",
    )

    #: The request object and the session; None until they are first used.
    _dewar_request: Request | None
    _dewar_session: SessionMixin | None
    #: The work after the response, see `dewar.contexts.after_response`. Not a slot: most have none.
    _dewar_background_work: list[Any] | None = None
    #: The 101 of a WebSocket that was accepted; its client can be sent no other response.
    _dewar_switched: Response | None = None
    # The app context of its app that a request was pushed inside of. Not a slot either.
    _dewar_outer: Self | None = None

    def __init__(
        self,
        app: Any,
        environ: WSGIEnvironment | None = None,
        request: Request | None = None,
        session: SessionMixin | None = None,
    ) -> None:
        self._dewar_fill(app, environ)
        if request is not None:
            self._dewar_request = request
        if session is not None:
            self._dewar_session = session

    def _dewar_fill(self, app: Any, environ: WSGIEnvironment | None) -> None:
        """Set what a new context has.

        PERF: the pipeline makes an object and calls this. To call the class takes longer.
        """
        self.app: ContextApp = app
        #: The WSGI environ, or None in an app context.
        self._dewar_environ = environ
        self._dewar_request = self._dewar_session = None
        #: The attributes of the request that were asked for before it has an object.
        self._dewar_asked: dict[str, Any] | None = None
        self._dewar_g: Any = None
        #: How often it is pushed.
        self._dewar_pushes = 0
        self._dewar_may_own_app_context = True
        self._dewar_url_adapter: Any = _UNGIVEN
        #: The functions that are called with the response of this request only.
        self._dewar_after_functions: list[Callable[..., Any]] | None = None
        self._dewar_url_rule: Rule | None = None
        self._dewar_view_args: dict[str, Any] | None = None
        self._dewar_routing_exception: HTTPException | None = None
        self.flashes: list[tuple[str, str]] | None = None

    @property
    def _dewar_request_context(self) -> Self | None:
        """The context that carries the request: this one, or that of the current request."""
        if self._dewar_environ is not None:
            return self
        state = contexts.reader(None)
        # An app context that is not current has no request, whatever is handled here.
        return state[1] if state is not None and state[0] is self else None

    @property
    def _dewar_app_context(self) -> Self:
        """The app context: this one, unless it was pushed inside one of the same app."""
        return self if self._dewar_outer is None else self._dewar_outer

    @property
    def request(self) -> Request:
        """The request object."""
        request = self._dewar_request
        return self._dewar_make_request() if request is None else request

    @request.setter
    def request(self, value: Request) -> None:
        self._dewar_request = value

    @property
    def session(self) -> SessionMixin:
        """The session of the request; reading it marks it as accessed."""
        session = self._dewar_session
        if session is None:
            session = self._dewar_open_session()
        elif self._dewar_environ is None:
            return session  # the program's own: Flask's app contexts have none
        session.accessed = True
        return session

    @session.setter
    def session(self, value: SessionMixin) -> None:
        self._dewar_session = value

    def _dewar_open_session(self) -> SessionMixin:
        """Return the session without marking it as accessed."""
        if self._dewar_session is not None:
            return self._dewar_session
        if self._dewar_environ is None:
            carrier = self._dewar_request_context
            if carrier is None:
                raise UnboundError(OUTSIDE_REQUEST)
            return carrier._dewar_open_session()
        interface, app = self.app.session_interface, self.app
        session = interface.open_session(app, self.request)  # type: ignore[arg-type]  # the app is wider
        if session is None:
            session = interface.make_null_session(app)  # type: ignore[arg-type]  # as above
        self._dewar_session = session
        return session

    @property
    def _session(self) -> SessionMixin:
        """Flask's name for the session; reading it does not mark it as accessed."""
        return self._dewar_open_session()

    @_session.setter
    def _session(self, session: SessionMixin) -> None:
        self._dewar_session = session

    @property
    def g(self) -> Any:
        """The namespace for this request or app context."""
        if self._dewar_outer is not None:
            return self._dewar_outer.g
        if self._dewar_g is None:
            self._dewar_g = self.app.app_ctx_globals_class()
        return self._dewar_g

    @g.setter
    def g(self, value: Any) -> None:
        if self._dewar_outer is not None:
            self._dewar_outer.g = value
        else:
            self._dewar_g = value

    @property
    def url_adapter(self) -> MapAdapter | None:
        """Werkzeug's adapter for this request, or for ``SERVER_NAME`` without a request."""
        if self._dewar_url_adapter is _UNGIVEN:
            self._dewar_url_adapter = None
            try:
                request = None if self._dewar_environ is None else self.request
                self._dewar_url_adapter = self.app.create_url_adapter(request)
            except HTTPException as error:
                self._dewar_fail_routing(error)
        return self._dewar_url_adapter  # type: ignore[no-any-return]  # holds a marker at first

    @url_adapter.setter
    def url_adapter(self, value: MapAdapter | None) -> None:
        self._dewar_url_adapter = value

    @property
    def _after_request_functions(self) -> list[Callable[..., Any]]:
        """Flask's name for what `after_this_request` adds to."""
        if self._dewar_after_functions is None:
            self._dewar_after_functions = []
        return self._dewar_after_functions

    @_after_request_functions.setter
    def _after_request_functions(self, functions: list[Callable[..., Any]]) -> None:
        self._dewar_after_functions = functions

    def _dewar_close_request(self) -> None:
        """Close the request object, if there is one, and with it the files of its form."""
        request = self._dewar_request
        if request is None or self._dewar_environ is None:
            return
        # A request class of the user may have no close().
        close = getattr(request, "close", None)
        if close is not None:
            close()
        # The environ and the request refer to each other; without this the memory waits for the
        # garbage collector.
        request.environ["werkzeug.request"] = None

    def _dewar_make_request(self) -> Request:
        environ, app = self._dewar_environ, self.app
        if environ is None:
            carrier = self._dewar_request_context
            if carrier is None:
                raise UnboundError(OUTSIDE_REQUEST)
            return carrier.request
        composition = app._dewar_composed or app._dewar_compose()
        if composition.has_plain_requests:
            # PERF: what the constructor does, without a call.
            request: Request = _new(composition.request_class)
            request.environ = environ
            request.shallow = False
            request.method = method_in(environ)
            environ["werkzeug.request"] = request
            asked, self._dewar_asked = self._dewar_asked, None
            for name, value in (asked or _NOTHING).items():
                _keep(request, name, value)
        else:
            request = app.request_class(environ)
        self._dewar_request = request
        request.json_module = app.json
        request._dewar_app = app  # noqa: SLF001  # the request's one tie to its app
        request.url_rule = self._dewar_url_rule
        request.view_args = self._dewar_view_args
        request.routing_exception = self._dewar_routing_exception
        return request

    def _dewar_fail_routing(self, error: HTTPException) -> None:
        self._dewar_routing_exception = error
        if self._dewar_request is not None:
            self._dewar_request.routing_exception = error
