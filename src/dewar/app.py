"""`Dewar`: the app, a facade whose every method is one step into a folder of its own."""

import logging as std_logging
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import cached_property
from inspect import iscoroutinefunction
from pathlib import Path
from typing import IO, Any, ClassVar, NoReturn, TypeVar
from weakref import ref
from wsgiref.types import StartResponse, WSGIEnvironment

from jinja2 import BaseLoader
from jinja2 import Environment as JinjaEnvironment
from werkzeug.exceptions import Aborter, HTTPException
from werkzeug.routing import BuildError, Map, MapAdapter, Rule
from werkzeug.utils import redirect as werkzeug_redirect
from werkzeug.wrappers import Response as WerkzeugResponse

from dewar.cli.environment import debug_flag
from dewar.cli.group import AppGroup
from dewar.config import Config, ConfigAttribute, default_config
from dewar.contexts.context import Context
from dewar.contexts.current import current, current_request
from dewar.contexts.namespace import AppGlobals
from dewar.errors import SetupFinishedError
from dewar.files import open_for_reading, send_from_directory
from dewar.json.provider import DefaultJSONProvider, JSONProvider
from dewar.logging import create_logger
from dewar.messages.request import Request
from dewar.messages.response import Response
from dewar.pipeline import coerce, failures, respond, stages, url_building
from dewar.pipeline.async_views import to_sync
from dewar.pipeline.composition import SEEN_BY_COMPOSITION, Composition
from dewar.registration.hooks import WatchedList
from dewar.registration.packages import instance_path_of, name_of
from dewar.registration.registrar import Registrar, setup_method
from dewar.registration.url_rules import DuplicateEndpointError, endpoint_of, make_rule
from dewar.routing import adapters
from dewar.routing.rules import RouteMap
from dewar.running import run_app
from dewar.sessions.interface import SessionInterface
from dewar.sessions.secure_cookie import SecureCookieSessionInterface
from dewar.templating import (
    Environment,
    TemplatesOfAll,
    make_environment,
    standard_names,
    update_context,
)
from dewar.testing.cli_runner import DewarCliRunner
from dewar.testing.client import DewarClient
from dewar.testing.environ import EnvironBuilder

__all__ = ["Dewar"]

F = TypeVar("F", bound=Callable[..., Any])
_UNGIVEN: Any = object()


class Dewar(Registrar):
    """A web app: its routes, hooks, configuration, and itself a WSGI callable (PEP 3333).

    ::

        app = Dewar(__name__)

        @app.get("/")
        def index():
            return "Hello"

    Args:
        import_name: the module the app is in, usually ``__name__``.
        static_url_path: the URL path of static files; the name of their folder by default.
        static_folder: the folder of static files, relative to `root_path`.
        static_host: the host that static files are served from, with `host_matching`.
        host_matching: match rules by whole hosts.
        subdomain_matching: match rules by subdomains of ``SERVER_NAME``.
        template_folder: the folder of templates, relative to `root_path`.
        instance_path: an absolute path for what this installation keeps.
        instance_relative_config: look for configuration files there.
        root_path: the folder of the app's files; that of `import_name` by default.
    """

    request_class: type[Request] = Request
    response_class: type[Response] = Response
    aborter_class: type[Aborter] = Aborter
    jinja_environment: type[Environment] = Environment
    app_ctx_globals_class: type = AppGlobals
    config_class: type[Config] = Config
    json_provider_class: type[JSONProvider] = DefaultJSONProvider
    url_rule_class: type[Rule] = Rule
    url_map_class: type[Map] = RouteMap
    test_client_class: type[DewarClient] | None = None
    test_cli_runner_class: type[DewarCliRunner] | None = None
    session_interface: SessionInterface
    default_config: Mapping[str, Any] = default_config()
    jinja_options: ClassVar[dict[str, Any]] = {}

    testing = ConfigAttribute[bool]("TESTING")
    secret_key = ConfigAttribute[str | bytes | None]("SECRET_KEY")
    permanent_session_lifetime = ConfigAttribute[timedelta](
        "PERMANENT_SESSION_LIFETIME",
        get_converter=lambda value: (
            value if isinstance(value, timedelta) else timedelta(seconds=value)
        ),
    )

    def __init__(
        self,
        import_name: str,
        static_url_path: str | None = None,
        static_folder: str | Path | None = "static",
        static_host: str | None = None,
        host_matching: bool = False,
        subdomain_matching: bool = False,
        template_folder: str | Path | None = "templates",
        instance_path: str | None = None,
        instance_relative_config: bool = False,
        root_path: str | None = None,
    ) -> None:
        self._composition: Composition | None = None
        self._got_first_request = False
        super().__init__(import_name, static_folder, static_url_path, template_folder, root_path)
        if instance_path is None:
            instance_path = self.auto_find_instance_path()
        elif not Path(instance_path).is_absolute():
            raise ValueError(
                f"The instance path must be absolute, and {instance_path!r} is not."
                " Write: Dewar(__name__, instance_path='/srv/app/instance')."
            )
        self.instance_path = instance_path
        self.config = self.make_config(instance_relative_config)
        self.aborter = self.make_aborter()
        self.json: Any = self.json_provider_class(self)
        self.url_build_error_handlers: list[Callable[..., str | None]] = []
        self.teardown_appcontext_funcs: list[Callable[..., Any]] = WatchedList(self._changed)
        self.shell_context_processors: list[Callable[[], dict[str, Any]]] = []
        self.blueprints: dict[str, Any] = {}
        self.extensions: dict[str, Any] = {}
        if not hasattr(type(self), "session_interface"):
            self.session_interface = SecureCookieSessionInterface()
        self.url_map = self.url_map_class(host_matching=host_matching)
        self.subdomain_matching = subdomain_matching
        self.template_context_processors[None].append(standard_names)
        self.cli = AppGroup(self.name)
        if self.has_static_folder:
            self._serve_static_files(static_host, host_matching)

    # Running.

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request; servers call this (PEP 3333)."""
        return self.wsgi_app(environ, start_response)

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request. Middleware goes here: ``app.wsgi_app = Middleware(app.wsgi_app)``."""
        if not self._got_first_request:
            self._got_first_request = True
        return respond.respond(self, environ, start_response)

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        debug: bool | None = None,
        load_dotenv: bool = True,
        **options: Any,
    ) -> None:
        """Serve the app until it is told to stop.

        Args:
            host: the address to listen on; ``127.0.0.1`` by default, ``0.0.0.0`` for all.
            port: the port; 5000, or that of ``SERVER_NAME``, by default.
            debug: turn debug mode on or off.
            load_dotenv: read ``.env`` and ``.flaskenv`` first.
            options: ``threads=16``, ``threaded=False`` for one thread, and what
                `dewar.server.Settings` has.
        """
        run_app(self, host, port, debug, load_dotenv, options)

    def test_client(self, use_cookies: bool = True, **kwargs: Any) -> DewarClient:
        """Return a client that sends requests to the app without a server."""
        cls = self.test_client_class or DewarClient
        return cls(self, self.response_class, use_cookies=use_cookies, **kwargs)

    def test_cli_runner(self, **kwargs: Any) -> DewarCliRunner:
        """Return a runner for the app's commands, for tests."""
        return (self.test_cli_runner_class or DewarCliRunner)(self, **kwargs)

    # Contexts.

    def app_context(self) -> Context:
        """Return an app context, for a ``with`` block: ``current_app`` and ``g`` work in it."""
        return Context(self)

    def request_context(self, environ: WSGIEnvironment) -> Context:
        """Return the context of a request."""
        return Context(self, environ)

    def test_request_context(self, *args: Any, **kwargs: Any) -> Context:
        """Return the context of a request made up from `EnvironBuilder`'s arguments."""
        builder = EnvironBuilder(self, *args, **kwargs)
        try:
            return self.request_context(builder.get_environ())
        finally:
            builder.close()

    # The stages of a request; a subclass may override any of them.

    def full_dispatch_request(self) -> Response:
        """Take the current request from its hooks to its response."""
        self._got_first_request = True
        return stages.full_dispatch(self)

    def preprocess_request(self) -> Any:
        """Run the functions that come before the view; return the first answer, or None."""
        context = current_request()
        return stages.preprocess(stages.plan_of(self, context), context)

    def dispatch_request(self) -> Any:
        """Return what the view of the current request returns."""
        context = current_request()
        return respond.dispatch(self, stages.plan_of(self, context), context)

    def raise_routing_exception(self, request: Request) -> NoReturn:
        """Raise what routing found wrong with a request."""
        raise request.routing_exception or LookupError("Routing found nothing wrong.")

    def make_default_options_response(self) -> Response:
        """Return the automatic answer to OPTIONS: the methods that are allowed."""
        response = self.response_class()
        adapter = current_request().url_adapter
        response.allow.update(adapter.allowed_methods())
        return response

    def make_response(self, rv: Any) -> Response:
        """Return the response for what a view returned; see `dewar.pipeline.coerce`."""
        context = current_request()
        rule = context.url_rule
        return coerce.make_response(self, rv, rule and rule.endpoint, context.environ)

    def finalize_request(self, rv: Any, from_error_handler: bool = False) -> Response:
        """Make a response of what was returned and run what comes after the view."""
        return stages.finalize(self, rv, from_error_handler)

    def process_response(self, response: Response) -> Response:
        """Run the `after_request` functions and save the session."""
        return stages.process_response(self, current_request(), response)

    def do_teardown_request(self, exc: BaseException | None = _UNGIVEN) -> None:
        """Run the teardown functions of the current request."""
        error = sys.exc_info()[1] if exc is _UNGIVEN else exc
        stages.tear_down_request(self, current_request(), error)

    def do_teardown_appcontext(self, exc: BaseException | None = _UNGIVEN) -> None:
        """Run the teardown functions of the current app context."""
        stages.tear_down_app_context(self, sys.exc_info()[1] if exc is _UNGIVEN else exc)

    def handle_user_exception(self, e: Exception) -> Any:
        """Return the answer to an error that a view or a hook raised, or raise it."""
        return failures.answer_user_error(self, current_request(), e)

    def handle_http_exception(self, e: HTTPException) -> Any:
        """Return the answer to an HTTP error: its handler's, or the error itself."""
        return failures.answer_http_error(self, current_request(), e)

    def handle_exception(self, e: Exception) -> Response:
        """Log an error that nothing handled and return a 500, or raise it in debug mode."""
        return failures.answer_failure(self, current_request(), e)

    def trap_http_exception(self, e: Exception) -> bool:
        """Whether an HTTP error is treated like any other error."""
        return failures.traps(self, e)

    def log_exception(self, exc_info: Any) -> None:
        """Log an error that nothing handled."""
        request = current_request().request
        self.logger.error("Exception on %s [%s]", request.path, request.method, exc_info=exc_info)

    def should_ignore_error(self, error: BaseException | None) -> bool:  # noqa: ARG002  # for subclasses
        """Whether the teardown functions are not told of an error."""
        return False

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that can be called without ``await``."""
        return self.async_to_sync(func) if iscoroutinefunction(func) else func

    def async_to_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that runs a coroutine function to its end."""
        return to_sync(func)

    # Registering what belongs to the app alone.

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
            DuplicateEndpointError: where the endpoint has another view already.
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
    def teardown_appcontext(self, f: F) -> F:
        """Call `f` with the error, or None, when an app context ends."""
        self.teardown_appcontext_funcs.append(f)
        return f

    @setup_method
    def shell_context_processor(self, f: F) -> F:
        """Add the names that `f` returns to ``dewar shell``."""
        self.shell_context_processors.append(f)
        return f

    # URLs, templates, files.

    def url_for(
        self,
        /,
        endpoint: str,
        *,
        _anchor: str | None = None,
        _method: str | None = None,
        _scheme: str | None = None,
        _external: bool | None = None,
        **values: Any,
    ) -> str:
        """Return the URL of an endpoint; see `dewar.url_for`."""
        return url_building.build_url(
            self,
            endpoint,
            values,
            anchor=_anchor,
            method=_method,
            scheme=_scheme,
            external=_external,
        )

    def inject_url_defaults(self, endpoint: str, values: dict[str, Any]) -> None:
        """Let the `url_defaults` functions add to the values of a URL."""
        url_building.inject_defaults(self, endpoint, values)

    def handle_url_build_error(
        self, error: BuildError, endpoint: str, values: dict[str, Any]
    ) -> str:
        """Return the URL that a build error handler knows, or raise the error."""
        return url_building.recover(self, error, endpoint, values)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return Werkzeug's adapter for a request, or for ``SERVER_NAME`` without one."""
        return adapters.make_adapter(self, request)

    def redirect(self, location: str, code: int = 302) -> WerkzeugResponse:
        """Return a response that sends the client to another URL."""
        return werkzeug_redirect(location, code=code, Response=self.response_class)

    def update_template_context(self, context: dict[str, Any]) -> None:
        """Add what the context processors return to a template's names."""
        update_context(self, context)

    def send_static_file(self, filename: str) -> WerkzeugResponse:
        """Return a file from the static folder."""
        if self.static_folder is None:
            raise RuntimeError("'static_folder' must be set to serve static_files.")
        return send_from_directory(self.static_folder, filename)

    def get_send_file_max_age(self, filename: str | None) -> int | None:  # noqa: ARG002  # for subclasses
        """Return how many seconds a client may keep a file, or None to ask each time."""
        age = self.config["SEND_FILE_MAX_AGE_DEFAULT"]
        return int(age.total_seconds()) if isinstance(age, timedelta) else age

    def open_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = None
    ) -> IO[Any]:
        """Open a file beside the app for reading; text is UTF-8 unless `encoding` says else."""
        return open_for_reading(Path(self.root_path, resource), mode, encoding)

    # What the app is made of; a subclass may make it another way.

    @cached_property
    def name(self) -> str:  # type: ignore[override]  # a plain attribute for blueprints
        """The name of the app: its import name, or its file's for ``__main__``."""
        return name_of(self.import_name)

    @cached_property
    def logger(self) -> std_logging.Logger:
        """The logger with the app's name."""
        return create_logger(self)

    @cached_property
    def jinja_env(self) -> JinjaEnvironment:
        """The template environment."""
        return self.create_jinja_environment()

    @property
    def debug(self) -> bool:
        """Whether debug mode is on."""
        return bool(self.config["DEBUG"])

    @debug.setter
    def debug(self, value: bool) -> None:
        self.config["DEBUG"] = value
        if self.config["TEMPLATES_AUTO_RELOAD"] is None:
            self.jinja_env.auto_reload = value

    @property
    def composition(self) -> Composition:
        """What was worked out from the registrations; worked out anew after each."""
        composition = self._composition
        if composition is None:
            # Two threads may both compose: the compositions are equal, and either may stay.
            composition = self._composition = Composition(self, Dewar)
        return composition

    def make_config(self, instance_relative: bool = False) -> Config:
        """Return the configuration with its defaults."""
        root = self.instance_path if instance_relative else self.root_path
        return self.config_class(root, {**self.default_config, "DEBUG": debug_flag()})

    def make_aborter(self) -> Aborter:
        """Return what `abort` calls."""
        return self.aborter_class()

    def auto_find_instance_path(self) -> str:
        """Return the folder for what this installation keeps."""
        return instance_path_of(self.import_name, self.root_path)

    def create_jinja_environment(self) -> JinjaEnvironment:
        """Return the template environment with its options and globals."""
        return make_environment(self)

    def create_global_jinja_loader(self) -> BaseLoader:
        """Return the loader that finds the templates of the app and its blueprints."""
        return TemplatesOfAll(self)

    def select_jinja_autoescape(self, filename: str | None) -> bool:
        """Whether the values in a template are escaped: in HTML, XML and SVG."""
        return filename is None or filename.endswith((".html", ".htm", ".xml", ".xhtml", ".svg"))

    def iter_blueprints(self) -> Iterable[Any]:
        """Return the registered blueprints."""
        return self.blueprints.values()

    def make_shell_context(self) -> dict[str, Any]:
        """Return the names that ``dewar shell`` starts with."""
        names: dict[str, Any] = {"app": self, "g": current().g}
        for processor in self.shell_context_processors:
            names.update(processor())
        return names

    def _serve_static_files(self, host: str | None, host_matching: bool) -> None:
        if bool(host) != host_matching:
            raise ValueError(
                "static_host and host_matching go together: give both,"
                " or turn static files off with static_folder=None."
            )
        # A weak reference, so that an app nobody holds any more is freed at once.
        app = ref(self)

        def static(filename: str) -> WerkzeugResponse:
            return app().send_static_file(filename)  # type: ignore[union-attr]  # it is handling this request

        self.add_url_rule(f"{self.static_url_path}/<path:filename>", "static", static, host=host)

    def _check_setup_finished(self, name: str) -> None:
        if self._got_first_request:
            raise SetupFinishedError(
                f"The setup method {name!r} can no longer be called on {self!r}, because it has"
                " handled its first request: some requests would have gone without. Call it where"
                " the app is made, before it is served."
            )

    def _changed(self) -> None:
        self._composition = None

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name in SEEN_BY_COMPOSITION:
            self._changed()
            if isinstance(value, RouteMap):
                value.watch(self._changed)
