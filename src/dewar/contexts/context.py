"""`Context`: everything one request carries, or an app context, which is one without a request.

Ownership: a context belongs to the thread, greenlet or task that pushed it. Nothing here is
locked, because nothing here is shared; `Context.copy` makes one for another owner.

What is costly is made when it is first asked for: the request object, the session, `g`, the URL
adapter. A request that asks for none pays for none.
"""

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from wsgiref.types import WSGIEnvironment

from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, Rule

from dewar.contexts.current import OUTSIDE_REQUEST, contexts
from dewar.contexts.interface import ContextApp
from dewar.contexts.snapshot import Snapshot
from dewar.errors import ContextOrderError, UnboundError
from dewar.messages.request import Request
from dewar.sessions.session import SessionMixin
from dewar.signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_tearing_down,
)
from dewar.support.first_error import FirstError

_UNGIVEN: Any = object()
# PERF: the two halves of the stack's push and pop, which happen to every request.
_read, _write = contexts.reader, contexts.writer


class Context:
    """The app, and while a request is handled also the request, its session and its `g`.

    Use it in a ``with`` block, or `push` and `pop` it. It may be pushed more than once; the
    teardown functions run at the last pop.

    Args:
        app: The app.
        environ: The WSGI environ of the request; None makes an app context.
        request: An existing request object for that environ.
        session: An existing session.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_below",
        "_g",
        "_url_adapter",
        "after_functions",
        "app",
        "environ",
        "flashes",
        "made_request",
        "opened_session",
        "pushes",
        "routing_exception",
        "url_rule",
        "view_args",
    )

    #: What begins after the response; see `dewar.contexts.after_response`. No slot: most have none.
    background_work: list[Any] | None = None

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
        #: The request object and the session if anybody has asked for them, else None.
        self.made_request = request
        self.opened_session = session
        self._g: Any = None
        self._below: Context | None = None
        #: How often it is on the stack.
        self.pushes = 0
        self._url_adapter: Any = _UNGIVEN
        #: What is called with the response of this request only.
        self.after_functions: list[Callable[..., Any]] | None = None
        self.url_rule: Rule | None = None
        self.view_args: dict[str, Any] | None = None
        self.routing_exception: HTTPException | None = None
        self.flashes: list[tuple[str, str]] | None = None

    @property
    def has_request(self) -> bool:
        """Whether a request is being handled, here or in the context below."""
        return self.request_context is not None

    @property
    def request_context(self) -> "Context | None":
        """The context that carries the request: this one, or the one it was pushed over."""
        if self.environ is not None:
            return self
        return None if self._below is None else self._below.request_context

    @property
    def app_context(self) -> "Context":
        """The context that the app's work began with: this one, unless it was pushed over it."""
        if self.owns_app_context or self._below is None:
            return self
        return self._below.app_context

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
        """Flask's name for the session as it is, whether or not anybody has read it."""
        return self.open_session()

    @_session.setter
    def _session(self, session: SessionMixin) -> None:
        self.opened_session = session

    @property
    def g(self) -> Any:
        """The namespace for this request or app context."""
        if self._g is None:
            below = self._below
            # A request inside an app context of its own app shares that context's namespace.
            shared = below is not None and self.environ is not None and below.app is self.app
            self._g = below.g if shared and below else self.app.app_ctx_globals_class()
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

    def copy(self) -> "Context":
        """Return a context for another owner, with the same request object and session."""
        if self.environ is None:
            return type(self)(self.app)
        # Opened now, so that the copy has the same session and not another of the same client.
        copied = type(self)(self.app, self.environ, self.request, self.open_session())
        copied.url_rule = self.url_rule
        copied.view_args = self.view_args
        copied.routing_exception = self.routing_exception
        return copied

    def snapshot(self) -> Snapshot:
        """Return what a job takes along of this context, which may end before the job begins."""
        return Snapshot.take(self)

    def snapshot_from(self, portable: dict[str, Any]) -> Snapshot:
        """Return the snapshot that `Snapshot.portable` was asked of, for this context's app."""
        return Snapshot.from_portable(self.app, portable)

    def push(self) -> None:
        """Make this the current context of the running thread, greenlet or task."""
        node = _read(None)
        if self.pushes == 0 and node:
            self._below = node[0]
        _write((self, node))
        self.pushes += 1
        if appcontext_pushed.receivers and self.owns_app_context:
            appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)
        if self.environ is not None and self.url_rule is None:
            self._begin_request()

    def pop(self, exc: BaseException | None = _UNGIVEN) -> None:
        """Take this context off, after the teardown functions if it was pushed once.

        All teardown functions run even if some raise; the first error is raised at the end.

        Args:
            exc: The error that ended the work, passed to the teardown functions; the one being
                handled where it is not given.

        Raises:
            ContextOrderError: If another context is on top, or this one is not pushed.
        """
        node = _read(None)
        if not node or node[0] is not self:
            raise ContextOrderError(_wrong_order(self))
        if self.pushes == 1 and self.is_watched:
            self._tear_down(sys.exc_info()[1] if exc is _UNGIVEN else exc, node[1])
        else:
            self.leave(node[1])
            if self.pushes == 0:
                self.close_request()

    def leave(self, rest: Any) -> None:
        """Take this context off, after its teardown functions; `rest` becomes the stack."""
        _write(rest)
        self.pushes -= 1
        if appcontext_popped.receivers and self.owns_app_context:
            self._announce_pop()

    def match_request(self) -> None:
        """Find the rule for the request; keep what is wrong with it for later."""
        found = None
        app = self.app
        if app.config["TRUSTED_HOSTS"] is None:
            found = app.composition.index.match(self.environ or {})
        if found is None:
            adapter = self.url_adapter
            if adapter is None:
                return
            try:
                rule, values = adapter.match(return_rule=True)
            except HTTPException as error:
                self._fail_routing(error)
                return
            found = rule, dict(values)
        self.url_rule, self.view_args = found
        if self.made_request is not None:
            self.made_request.url_rule, self.made_request.view_args = found

    def __enter__(self) -> Self:
        try:
            self.push()
        except BaseException:
            # Nobody else will: __exit__ is not called where __enter__ failed.
            self.pop()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.pop(exc_value)

    def __repr__(self) -> str:
        environ = self.environ
        if environ is None:
            return f"<{type(self).__name__} of {self.app.name}>"
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        return (
            f"<{type(self).__name__} {environ.get('REQUEST_METHOD')} {path!r} of {self.app.name}>"
        )

    @property
    def owns_app_context(self) -> bool:
        """Whether the app's teardown is ours: not for a request inside its own app's context."""
        below = self._below
        return self.environ is None or below is None or below.app is not self.app

    @property
    def is_watched(self) -> bool:
        """Whether anybody wants to know when the context ends."""
        return (
            self.app.composition.has_teardown
            or bool(request_tearing_down.receivers)
            or bool(appcontext_tearing_down.receivers)
            or bool(appcontext_popped.receivers)
        )

    def _begin_request(self) -> None:
        # The session first: a URL converter may want to look at it.
        if self.opened_session is None and self.app.composition.opens_session_at_once:
            self.open_session()
        if self.routing_exception is None:
            self.match_request()

    def _make_request(self) -> Request:
        if self.environ is None:
            carrier = self.request_context
            if carrier is None:
                raise UnboundError(OUTSIDE_REQUEST)
            return carrier.request
        app = self.app
        request = self.made_request = app.request_class(self.environ)
        request.json_module = app.json
        request.app = app  # the request's one tie to its app
        request.url_rule = self.url_rule
        request.view_args = self.view_args
        request.routing_exception = self.routing_exception
        return request

    def _fail_routing(self, error: HTTPException) -> None:
        self.routing_exception = error
        if self.made_request is not None:
            self.made_request.routing_exception = error

    def _tear_down(self, exc: BaseException | None, rest: Any) -> None:
        """Run every step of the end and leave `rest` as the stack; raise the first error."""
        errors = teardown_errors(self.app)
        if self.environ is not None:
            errors.run(self.app.do_teardown_request, exc)
            errors.run(self.close_request)
        if self.owns_app_context:
            errors.run(self.app.do_teardown_appcontext, exc)
        errors.run(self.leave, rest)
        errors.raise_first()

    def _announce_pop(self) -> None:
        appcontext_popped.send(self.app, _async_wrapper=self.app.ensure_sync)

    def close_request(self) -> None:
        """Close the request object, if there is one, and with it the files of its form."""
        request = self.made_request
        if request is None:
            return
        # Not every request class has a close(): a user may bring one.
        close = getattr(request, "close", None)
        if close is not None:
            close()
        # The environ refers to the request and the other way round; without this the memory
        # waits for the garbage collector.
        request.environ["werkzeug.request"] = None


def teardown_errors(app: Any) -> FirstError:
    """Return what collects the errors at the end of a context; all but the first are logged."""
    return FirstError(
        lambda error: app.logger.error("A second teardown function failed", exc_info=error)
    )


def _wrong_order(context: Context) -> str:
    top = contexts.top
    if top is None or context not in list(contexts):
        return (
            f"{context!r} cannot be popped: it is not pushed in this thread, greenlet or task."
            " Push and pop a context in the same place, best with a with block:"
            " with app.app_context(): ..."
        )
    return (
        f"{context!r} cannot be popped before {top!r}, which was pushed after it. Pop them in"
        " the opposite order of pushing, best with nested with blocks."
    )
