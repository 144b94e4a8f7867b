"""`ServerMethods`: what servers call, and the apps that are mounted on an app.

A program may use all public names here for things of its own. So Dewar calls the methods that begin
with ``_dewar_``, and the public ones are for programs.
"""

import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from dewar.contexts.after_response import AfterResponses
from dewar.contexts.current import current_request
from dewar.layers import maybe_layer_with, maybe_own_method
from dewar.loop.suspended import Suspended
from dewar.mounting.dispatcher import DispatcherMiddleware
from dewar.pipeline import respond
from dewar.pipeline.body_limits import BodyLimits
from dewar.registration.lifespan import LifespanHooks
from dewar.registration.registrar import setup_method
from dewar.registration.websocket_config import WebSocketConfig
from dewar.registration.websocket_views import is_websocket_view

F = TypeVar("F", bound=Callable[..., Any])


class _Mounts:
    """The apps that were mounted with `mount`.

    Not a property: a program may keep something else under this name on its app.
    """

    __slots__ = ()

    def __get__(self, app: Any, owner: type) -> Any:
        if app is None:
            return self
        dispatcher = app._dewar_dispatcher
        return () if dispatcher is None else dispatcher.entries


class ServerMethods:
    """An app as a WSGI callable (PEP 3333), the apps mounted on it, its start and end in a process.

    The constructor's arguments are those of the class that follows in the order of resolution.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._dewar_lifespan = LifespanHooks()
        self._dewar_dispatcher: DispatcherMiddleware | None = None
        self._dewar_after_responses = AfterResponses()
        super().__init__(*args, **kwargs)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request; servers call this (PEP 3333)."""
        return self.wsgi_app(environ, start_response)

    def wsgi_app(
        self: Any, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request. Middleware goes here: ``app.wsgi_app = Middleware(app.wsgi_app)``."""
        return respond.respond(self, environ, start_response)

    @setup_method
    def mount(
        self: Any,
        path: str,
        wsgi_app: WSGIApplication,
        *,
        host: str | None = None,
        name: str | None = None,
    ) -> None:
        """Let another app answer the requests below a path, or for a host.

        Middleware that is already around ``wsgi_app`` stays around this app only; middleware that
        is added afterwards is around all apps.

        Args:
            path: Such as ``"/admin"``; ``"/"`` for a whole host.
            wsgi_app: The other app, any WSGI callable.
            host: Such as ``"api.example.com"``, or ``"*.example.com"`` for all that end so.
            name: Its name in links, ``url_for("admin:index")``; by default the last part of the
                app's own name.

        Raises:
            MountError: (a `ValueError`) if it cannot be mounted there.
        """
        if self._dewar_dispatcher is None:
            self._dewar_dispatcher = DispatcherMiddleware(self.wsgi_app)
            self.wsgi_app = self._dewar_dispatcher
        self._dewar_dispatcher.mount(path, wsgi_app, host=host, name=name)

    mounts = _Mounts()

    @setup_method
    def on_start(self, f: F) -> F:
        """Call `f` in each process that serves the app, before its first request.

        An error keeps the process from serving. `dewar run` and `dewar.server` call `f`; on another
        server, call `begin_serving` in its hook for a new worker. A coroutine function runs on the
        event loop of all requests; tasks that it starts go on until the end.
        """
        self._dewar_lifespan.begin_functions.append(f)
        return f

    @setup_method
    def on_stop(self, f: F) -> F:
        """Call `f` with the seconds that are left, in each process, after its last request.

        The last registered is called first. All are called, even if some fail. Tasks that
        `on_start` functions started are cancelled afterwards.
        """
        self._dewar_lifespan.end_functions.append(f)
        return f

    def begin_serving(self) -> None:
        """Call the `on_start` functions, once in each process, and those of what is mounted.

        Raises:
            WebSocketConfigError: (a `ValueError`) if the configuration of WebSockets has an error.
        """
        self._dewar_begin_serving()

    def end_serving(self, timeout: float) -> None:
        """Wait for what is done after responses, then call the `on_stop` functions.

        These only where the `on_start` functions were called here.

        Those of what is mounted are called before.

        Args:
            timeout: The seconds that all this gets.
        """
        self._dewar_end_serving(timeout)

    def after_response(
        self, work: Callable[..., Any] | Coroutine[Any, Any, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Do `work` when the response to the current request has been sent.

        ::

            @app.post("/orders")
            async def order():
                app.after_response(send_mail, request.form["address"])
                app.after_response(tell_partner(request.form["item"]))
                return "Thank you", 202

        It sees the request as it is now, as a job does: `request`, `session` (which it cannot
        change), `g` and `current_app`. The client waits for none of it, and its errors are
        logged. A server that stops waits for it within its ``graceful_timeout``. Work that must
        not be lost with the process is for `Tasks`.

        Args:
            work: A function, which is called on a thread; a coroutine function or a coroutine,
                which runs on the event loop.
            args: Its arguments.
            kwargs: Its keyword arguments.

        Returns:
            `work`, so that it can decorate a function.

        Raises:
            UnboundError: If no request is being handled.
            TypeError: If `work` cannot be called, or arguments are given for a coroutine.
        """
        self._dewar_after_responses.add(current_request("after_response"), work, args, kwargs)
        return work

    def begin_on_loop(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        *,
        skip_middleware: bool = False,
    ) -> Suspended | None:
        """Return the work on a request's answer, if nothing in it may block a thread.

        Dewar's server asks for it before it calls the app. If there is such work, the server needs
        no thread for the request.

        Args:
            environ: The request; it is not changed.
            start_response: As a WSGI app takes it.
            skip_middleware: Whether `wsgi_app` alone is meant, without what is around it.
        """
        return self._dewar_begin_on_loop(environ, start_response, skip_middleware=skip_middleware)

    def body_limit_for(
        self, environ: WSGIEnvironment, *, skip_middleware: bool = False
    ) -> int | None:
        """Return how many bytes of a request's body the app takes; None if it does not say.

        Dewar's server asks for it before it receives a large body, with 0 for a 404, a 405 and a
        redirect. A larger body is received only if the app reads it.

        Args:
            environ: The request; it is not changed.
            skip_middleware: As for `begin_on_loop`.
        """
        return self._dewar_body_limit_for(environ, skip_middleware=skip_middleware)

    # What the server and other parts of Dewar call; `dewar.layers` has the names.

    def _dewar_begin_serving(self: Any) -> None:
        if any(map(is_websocket_view, self.view_functions.values())):
            WebSocketConfig.of(self.config)  # checks it
        self._dewar_lifespan.begin(_served_around(self))

    def _dewar_end_serving(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        self._dewar_after_responses.drain(timeout)
        self._dewar_lifespan.end(max(0.0, deadline - time.monotonic()), _served_around(self))

    def _dewar_begin_on_loop(
        self: Any,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        *,
        skip_middleware: bool = False,
    ) -> Suspended | None:
        outermost = None if skip_middleware else vars(self).get("wsgi_app")
        if outermost is None:
            return respond.begin_on_loop(self, environ, start_response)
        # Other middleware may block.
        begin = maybe_own_method(outermost, "begin_on_loop")
        return None if begin is None else begin(environ, start_response)

    def _dewar_body_limit_for(
        self: Any, environ: WSGIEnvironment, *, skip_middleware: bool = False
    ) -> int | None:
        outermost = None if skip_middleware else vars(self).get("wsgi_app")
        if outermost is None:
            limits: BodyLimits = self._dewar_composition.body_limits
            return limits.limit_for(self, environ)
        ask = maybe_own_method(outermost, "body_limit_for")
        return None if ask is None else ask(environ)


def _served_around(app: object) -> Any:
    """Return the outermost layer around an app that is told of the start and the end."""
    return maybe_layer_with(vars(app).get("wsgi_app"), "begin_serving")
