"""`DewarClient`: sends requests to an app without a server, and lets a test look inside them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from copy import copy
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIEnvironment

import werkzeug.test
from werkzeug.datastructures import Headers
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Request, Response

from dewar.contexts.after_response import BACKGROUND_WORK
from dewar.contexts.context import Context
from dewar.mounting.apps import descend, is_app
from dewar.mounting.location import LOCATION
from dewar.sessions.interface import SessionInterface
from dewar.sessions.session import SessionMixin
from dewar.testing.environ import EnvironBuilder
from dewar.testing.errors import (
    ClientNestedError,
    CookiesDisabledError,
    NoSessionError,
    WebSocketRefusedError,
)

if TYPE_CHECKING:
    from dewar.testing.websocket import ClientWebSocket


class ClientApp(Protocol):
    """The members of the app that a client uses."""

    json: Any
    session_interface: SessionInterface
    secret_key: Any
    permanent_session_lifetime: Any

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings."""

    @property
    def response_class(self) -> Callable[[], Response]:
        """Makes an empty response."""

    def _dewar_compare_classes(self) -> None:
        """Take notice of methods that were replaced on classes."""

    def test_request_context(self, *args: Any, **kwargs: Any) -> Context:
        """Return the context of a made-up request."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""


class DewarClient(Client):
    """A browser without a window: it sends requests, keeps cookies, follows redirects.

    In a ``with`` block the context of the last request stays current after its response, so that
    a test can look at what the view left behind::

        with app.test_client() as client:
            client.get("/basket?item=7")
            assert request.args["item"] == "7"
            assert session["basket"] == [7]

    - ``environ_base``: the variables of every request's environ; a test may add to them.
    - ``preserve_context``: whether the client is in a ``with`` block.

    The constructor's arguments are those of `werkzeug.test.Client`; `app.test_client` gives them.
    """

    application: ClientApp

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.preserve_context = False
        self.environ_base: WSGIEnvironment = {
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_USER_AGENT": f"Werkzeug/{version('werkzeug')}",
        }
        # Contexts that ended during the present request, and those that were entered again.
        self._new_contexts: list[AbstractContextManager[Any]] = []
        self._context_stack = ExitStack()
        # What is done after the responses to the present request and its redirects.
        self._dewar_background_work: list[Any] = []

    @contextmanager
    def session_transaction(self, *args: Any, **kwargs: Any) -> Iterator[SessionMixin]:
        """Open the client's session in a ``with`` block, and save it when the block ends.

        ::

            with client.session_transaction() as session:
                session["user"] = 42

        Args:
            args: As `EnvironBuilder` takes them, for sessions that depend on the request: the
                path of a mounted app opens that app's session.
            kwargs: The same by name.

        Raises:
            CookiesDisabledError: If the client was made with ``use_cookies=False``.
            NoSessionError: If the app opens no session, for instance without a secret key.
        """
        if self._cookies is None:
            raise CookiesDisabledError
        context = _where_served(self.application.test_request_context(*args, **kwargs))
        app: Any = context.app
        interface = app.session_interface
        request = context.request
        self._add_cookies_to_wsgi(request.environ)
        with context:
            session = interface.open_session(app, request)
        if session is None:
            raise NoSessionError(interface)
        yield session
        if interface.is_null_session(session):
            return
        response = app.response_class()
        with context:
            interface.save_session(app, session, response)
        self._dewar_keep_cookies(request, response.headers)

    def open(
        self,
        *args: Any,
        buffered: bool = False,
        follow_redirects: bool = False,
        **kwargs: Any,
    ) -> TestResponse:
        """Send a request and return the response.

        Args:
            args: As `EnvironBuilder` takes them after the app, the path first; or one builder,
                environ or request that is ready to be sent.
            buffered: Read the whole body and close the app's iterator at once.
            follow_redirects: Go on until a response is not a redirect.
            kwargs: As `EnvironBuilder` takes them: ``method``, ``json``, ``headers`` and so on.
        """
        request = self._request_from_builder_args(args, kwargs)
        self._dewar_forget_contexts()
        # Here and not for each request of a server: only tests replace the methods of classes.
        self.application._dewar_compare_classes()  # noqa: SLF001  # the app's part for this
        response = super().open(request, buffered=buffered, follow_redirects=follow_redirects)
        response.json_module = self.application.json
        self._dewar_enter_contexts()
        self._dewar_wait_for_background_work(response)
        return response

    @contextmanager
    def websocket(
        self, *args: Any, subprotocols: Iterable[str] = (), timeout: float = 5.0, **kwargs: Any
    ) -> Iterator["ClientWebSocket"]:
        """Open a WebSocket in a ``with`` block, and close it at the end of the block.

        ::

            with client.websocket("/echo") as ws:
                ws.send("hello")
                assert ws.receive() == "hello"

        After the block the view has returned. If errors propagate, what it raised is raised then.

        Args:
            args: As `open` takes them, the path or the URL first.
            subprotocols: What the client offers, the preferred one first.
            timeout: How many seconds to wait for each step of the app.
            kwargs: As `open` takes them: ``headers``, ``query_string`` and so on.

        Raises:
            WebSocketRefusedError: If the app answers with another response.
            NoMessageError: (a `TimeoutError`) if the app does not do a step in time.
        """
        # Here, because few tests need it.
        from dewar.testing.websocket_call import WebSocketCall, add_handshake, with_http_scheme

        request = self._request_from_builder_args(with_http_scheme(args), kwargs)
        add_handshake(request.environ, subprotocols)
        self._dewar_forget_contexts()
        self._add_cookies_to_wsgi(request.environ)
        self.application._dewar_compare_classes()  # noqa: SLF001  # as in `open`
        call = WebSocketCall(self.application, request.environ, self.application.json, timeout)
        try:
            if not call.begin():
                response = self.response_wrapper(*call.end(), request=request)
                self._dewar_keep_cookies(request, response.headers)
                raise WebSocketRefusedError(response)
            self._dewar_keep_cookies(request, call.websocket.headers)
            with call.closing():
                yield call.websocket
        finally:
            self._dewar_enter_contexts()
            self._dewar_wait_for_background_work()

    def __enter__(self) -> Self:
        if self.preserve_context:
            raise ClientNestedError(self)
        self.preserve_context = True
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.preserve_context = False
        self._dewar_forget_contexts()

    def _request_from_builder_args(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request:
        ready = args[0] if args else None
        if isinstance(ready, Request):
            request = copy(ready)
            request.environ = self._copy_environ(request.environ)
            return request
        if isinstance(ready, werkzeug.test.EnvironBuilder):
            builder = copy(ready)
            builder.environ_base = self._copy_environ(builder.environ_base or {})
            return builder.get_request()
        if isinstance(ready, dict):
            return EnvironBuilder.from_environ(
                ready, app=self.application, environ_base=self._copy_environ({})
            ).get_request()
        kwargs["environ_base"] = self._copy_environ(kwargs.get("environ_base") or {})
        builder = EnvironBuilder(self.application, *args, **kwargs)
        try:
            return builder.get_request()
        finally:
            builder.close()

    def _copy_environ(self, environ: Mapping[str, Any]) -> WSGIEnvironment:
        combined = {**self.environ_base, **environ, BACKGROUND_WORK: self._dewar_background_work}
        if self.preserve_context:
            # The app calls this with the context before the context ends.
            combined["werkzeug.debug.preserve_context"] = self._new_contexts.append
        return combined

    def _dewar_forget_contexts(self) -> None:
        # What ended in a request that a redirect or an error left behind is not entered again.
        self._new_contexts.clear()
        self._context_stack.close()

    def _dewar_enter_contexts(self) -> None:
        for context in self._new_contexts:
            self._context_stack.enter_context(context)
        self._new_contexts.clear()

    def _dewar_keep_cookies(self, request: Request, headers: Headers) -> None:
        self._update_cookies_from_response(
            urlsplit(request.url).hostname or "localhost",
            request.root_path + request.path,
            headers.getlist("Set-Cookie"),
        )

    def _dewar_wait_for_background_work(self, response: TestResponse | None = None) -> None:
        """Wait for what is done after a response, so that a test finds it done.

        Not for a stream, which ends when the test has read and closed it.

        Args:
            response: The response; None if it was closed.
        """
        background_work = self._dewar_background_work.copy()
        self._dewar_background_work.clear()
        if background_work and response is not None:
            if "Content-Length" not in response.headers:
                return
            response.make_sequence()
            response.close()
        for item in background_work:
            item.wait()


def _where_served(context: Context) -> Context:
    """Return the context of the same request in the app that would answer it."""
    app: Any = context.app
    environ = {**(context._dewar_environ or {})}
    environ.pop("werkzeug.request", None)
    served = descend(app, environ)
    if served is app or LOCATION not in environ:
        return context
    if not is_app(served):
        raise NoSessionError(served)
    moved: Context = served.request_context(environ)
    return moved
