"""`AppRegistrar`: the registrations of an app that a blueprint does not have."""

import time
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar
from wsgiref.types import WSGIApplication

from jinja2 import Environment
from werkzeug.routing import Map, Rule

from dewar.contexts.after_response import AfterResponses
from dewar.contexts.current import current_request
from dewar.errors import SetupFinishedError
from dewar.layers import maybe_layer_with
from dewar.mounting.dispatcher import DispatcherMiddleware
from dewar.mounting.mount_point import Mount
from dewar.registration.error_handlers import find_handler
from dewar.registration.hooks import WatchedList, weakly
from dewar.registration.lifespan import LifespanHooks
from dewar.registration.registrar import Registrar, named_decorator, setup_method
from dewar.registration.url_rules import DuplicateEndpointError, endpoint_of, make_rule
from dewar.registration.websocket_config import WebSocketConfig
from dewar.registration.websocket_views import is_websocket_view

F = TypeVar("F", bound=Callable[..., Any])


class AppRegistrar(Registrar):
    """Adds to a `Registrar` what needs the app: its URL map, blueprints and templates.

    Args:
        import_name: As `Registrar` takes it.
        static_folder: As `Registrar` takes it.
        static_url_path: As `Registrar` takes it.
        template_folder: As `Registrar` takes it.
        root_path: As `Registrar` takes it.
    """

    config: Any
    url_map: Map
    url_rule_class: type[Rule]
    jinja_env: Environment
    wsgi_app: WSGIApplication
    #: The apps that were mounted with `mount`. A program may keep something else here.
    mounts: tuple[Mount, ...] = ()

    def __init__(
        self,
        import_name: str,
        static_folder: str | Path | None = None,
        static_url_path: str | None = None,
        template_folder: str | Path | None = None,
        root_path: str | None = None,
    ) -> None:
        super().__init__(import_name, static_folder, static_url_path, template_folder, root_path)
        self._got_first_request = False
        self.url_build_error_handlers: list[Callable[..., str | None]] = []
        self.teardown_appcontext_funcs: list[Callable[..., Any]] = WatchedList(
            weakly(self._changed)
        )
        self.shell_context_processors: list[Callable[[], dict[str, Any]]] = []
        self.blueprints: dict[str, Any] = {}
        self._lifespan = LifespanHooks()
        self._dispatcher: DispatcherMiddleware | None = None
        #: The work after responses.
        self._after_responses = AfterResponses()

    @setup_method
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: Callable[..., Any] | None = None,
        provide_automatic_options: bool | None = None,
        **options: Any,
    ) -> None:
        """Register a URL rule, as `route` does, without a decorator.

        Raises:
            DuplicateEndpointError: If the endpoint has another view already.
        """
        endpoint = endpoint_of(view_func) if endpoint is None else endpoint
        made = make_rule(
            self.url_rule_class,
            rule,
            view_func,
            {**options, "endpoint": endpoint},
            automatic_options=provide_automatic_options,
            automatic_by_default=self.config["PROVIDE_AUTOMATIC_OPTIONS"],
        )
        known = self.view_functions.get(endpoint)
        if view_func is not None and known is not None and known != view_func:
            raise DuplicateEndpointError(endpoint, known, view_func)
        self.url_map.add(made)
        if view_func is not None:
            self.view_functions[endpoint] = view_func

    @setup_method
    def register_blueprint(self, blueprint: Any, **options: Any) -> None:
        """Add a blueprint's routes, hooks and handlers to this app.

        Args:
            blueprint: The `dewar.Blueprint`.
            options: ``name``, ``url_prefix``, ``subdomain``, ``url_defaults`` and ``cli_group``,
                in place of the blueprint's own.

        Raises:
            ValueError: If another blueprint has its name.
        """
        blueprint.register(self, options)

    def iter_blueprints(self) -> Iterable[Any]:
        """Return the registered blueprints."""
        return self.blueprints.values()

    @setup_method
    def teardown_appcontext(self, f: F) -> F:
        """Call `f` with the error, or None, when an app context ends."""
        self.teardown_appcontext_funcs.append(f)
        return f

    @setup_method
    def mount(
        self,
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
        if self._dispatcher is None:
            self._dispatcher = DispatcherMiddleware(self.wsgi_app)
            self.wsgi_app = self._dispatcher
        self._dispatcher.mount(path, wsgi_app, host=host, name=name)
        self.mounts = self._dispatcher.entries

    @setup_method
    def on_start(self, f: F) -> F:
        """Call `f` in each process that serves the app, before its first request.

        An error keeps the process from serving. `dewar run` and `dewar.server` call `f`; on another
        server, call `begin_serving` in its hook for a new worker. A coroutine function runs on the
        event loop of all requests; tasks that it starts go on until the end.
        """
        self._lifespan.begin_functions.append(f)
        return f

    @setup_method
    def on_stop(self, f: F) -> F:
        """Call `f` with the seconds that are left, in each process, after its last request.

        The last registered is called first. All are called, even if some fail. Tasks that
        `on_start` functions started are cancelled afterwards.
        """
        self._lifespan.end_functions.append(f)
        return f

    def begin_serving(self) -> None:
        """Call the `on_start` functions, once in each process, and those of what is mounted.

        Raises:
            WebSocketConfigError: (a `ValueError`) if the configuration of WebSockets has an error.
        """
        if any(map(is_websocket_view, self.view_functions.values())):
            WebSocketConfig.of(self.config)  # checks it
        self._lifespan.begin(self._inner)

    def end_serving(self, timeout: float) -> None:
        """Wait for what is done after responses, then call the `on_stop` functions.

        These only where the `on_start` functions were called here.

        Those of what is mounted are called before.

        Args:
            timeout: The seconds that all this gets.
        """
        deadline = time.monotonic() + timeout
        self._after_responses.drain(timeout)
        self._lifespan.end(max(0.0, deadline - time.monotonic()), self._inner)

    @property
    def _inner(self) -> Any:
        """The outermost layer around the app that has `begin_serving` and `end_serving`."""
        return maybe_layer_with(vars(self).get("wsgi_app"), "begin_serving")

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
        self._after_responses.add(current_request("after_response"), work, args, kwargs)
        return work

    @setup_method
    def shell_context_processor(self, f: F) -> F:
        """Add the names that `f` returns to ``dewar shell``."""
        self.shell_context_processors.append(f)
        return f

    @setup_method
    def template_filter(self, name: Any = None) -> Any:
        """Register the decorated function as a filter in templates: ``{{ value|name }}``."""
        return named_decorator(self.add_template_filter, name)

    @setup_method
    def add_template_filter(self, f: Callable[..., Any], name: str | None = None) -> None:
        """Register a template filter, by its own name or another."""
        self.jinja_env.filters[name or f.__name__] = f

    @setup_method
    def template_test(self, name: Any = None) -> Any:
        """Register the decorated function as a test in templates: ``{% if value is name %}``."""
        return named_decorator(self.add_template_test, name)

    @setup_method
    def add_template_test(self, f: Callable[..., Any], name: str | None = None) -> None:
        """Register a template test, by its own name or another."""
        self.jinja_env.tests[name or f.__name__] = f

    @setup_method
    def template_global(self, name: Any = None) -> Any:
        """Register the decorated function as a name in all templates."""
        return named_decorator(self.add_template_global, name)

    @setup_method
    def add_template_global(self, f: Callable[..., Any], name: str | None = None) -> None:
        """Register a name for all templates: the function's own or another."""
        self.jinja_env.globals[name or f.__name__] = f

    def _find_error_handler(
        self, e: Exception, blueprints: Iterable[str]
    ) -> Callable[[Any], Any] | None:
        """Return the handler for an error, by the name that extensions ask for it by."""
        return find_handler(self.error_handler_spec, e, blueprints)

    def _check_setup_finished(self, name: str) -> None:
        if self._got_first_request:
            raise SetupFinishedError(
                f"The setup method {name!r} can no longer be called on {self!r}, because it has"
                " handled its first request: the change would not apply to all requests. Call it"
                " where the app is made, before it is served."
            )
