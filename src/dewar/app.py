"""`Dewar`: the app. Each of its methods is one step into the folder that does the work."""

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref
from wsgiref.types import StartResponse, WSGIEnvironment

from jinja2 import BaseLoader
from werkzeug.routing import BuildError, MapAdapter
from werkzeug.utils import redirect as werkzeug_redirect
from werkzeug.wrappers import Response as WerkzeugResponse

from dewar.app_parts import AppParts
from dewar.contexts.context import Context
from dewar.contexts.current import current_request
from dewar.contexts.namespace import AppGlobals
from dewar.layers import maybe_own_method
from dewar.loop.suspended import Suspended
from dewar.messages.request import Request
from dewar.pipeline import respond, url_building
from dewar.pipeline.composition import SEEN_BY_COMPOSITION, Composition, stock_methods
from dewar.pipeline.request_methods import RequestMethods
from dewar.registration.hooks import weakly
from dewar.routing import adapters
from dewar.routing.errors import StaticHostError
from dewar.routing.rules import RouteMap
from dewar.sessions.secure_cookie import SecureCookieSessionInterface
from dewar.template_lookup import TemplatesOfAll
from dewar.templating import standard_names, update_context

if TYPE_CHECKING:
    from dewar.testing.cli_runner import DewarCliRunner
    from dewar.testing.client import DewarClient

F = TypeVar("F", bound=Callable[..., Any])
_UNGIVEN: Any = object()


class Dewar(RequestMethods, AppParts):
    """A web app: its routes, hooks, configuration, and itself a WSGI callable (PEP 3333).

    ::

        app = Dewar(__name__)

        @app.get("/")
        def index():
            return "Hello"

    Args:
        import_name: The module the app is in, usually ``__name__``.
        static_url_path: The URL path of static files; the name of their folder by default.
        static_folder: The folder of static files, relative to `root_path`.
        static_host: The host that static files are served from, with `host_matching`.
        host_matching: Match rules by whole hosts.
        subdomain_matching: Match rules by subdomains of ``SERVER_NAME``.
        template_folder: The folder of templates, relative to `root_path`.
        instance_path: An absolute path for the files of this installation.
        instance_relative_config: Whether configuration files are looked for in that folder.
        root_path: The folder of the app's files; that of `import_name` by default.
    """

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
        self.extensions: dict[str, Any] = {}
        if not hasattr(type(self), "session_interface"):
            self.session_interface = SecureCookieSessionInterface()
        self.url_map = self.url_map_class(host_matching=host_matching)
        self.subdomain_matching = subdomain_matching
        self.template_context_processors[None].append(standard_names)
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
        outermost = None if skip_middleware else vars(self).get("wsgi_app")
        if outermost is None:
            return respond.begin_on_loop(self, environ, start_response)
        # Other middleware may block.
        begin = maybe_own_method(outermost, "begin_on_loop")
        return None if begin is None else begin(environ, start_response)

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
        outermost = None if skip_middleware else vars(self).get("wsgi_app")
        if outermost is None:
            return self._composition.body_limits.limit_for(self, environ)
        ask = maybe_own_method(outermost, "body_limit_for")
        return None if ask is None else ask(environ)

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        debug: bool | None = None,
        load_dotenv: bool = True,
        **options: Any,
    ) -> None:
        """Serve the app until a signal stops it.

        Args:
            host: The address to listen on; ``127.0.0.1`` by default, ``0.0.0.0`` for all.
            port: The port; 5000, or that of ``SERVER_NAME``, by default.
            debug: Turn debug mode on or off.
            load_dotenv: Read ``.env`` and ``.flaskenv`` first.
            options: ``threads=16``, ``threaded=False`` for one thread, and what
                `dewar.server.Settings` has.
        """
        # Here, because another server that calls the app does not need this one.
        from dewar.running import run_app

        run_app(self, host, port, debug, load_dotenv, options)

    def test_client(self, use_cookies: bool = True, **kwargs: Any) -> "DewarClient":
        """Return a client that sends requests to the app without a server."""
        from dewar.testing.client import DewarClient

        cls = self.test_client_class or DewarClient
        return cls(self, self.response_class, use_cookies=use_cookies, **kwargs)

    def test_cli_runner(self, **kwargs: Any) -> "DewarCliRunner":
        """Return a runner for the app's commands, for tests."""
        from dewar.testing.cli_runner import DewarCliRunner

        return (self.test_cli_runner_class or DewarCliRunner)(self, **kwargs)

    # Contexts.

    def app_context(self) -> Context:
        """Return an app context, for a ``with`` block: ``current_app`` and ``g`` work in it."""
        context = Context(self)
        if self.app_ctx_globals_class is not AppGlobals:
            context.g  # noqa: B018  # made at once, because a class of the program may see it
        return context

    def request_context(self, environ: WSGIEnvironment) -> Context:
        """Return the context of a request."""
        return self._request_context_class(self, environ)

    def test_request_context(self, *args: Any, **kwargs: Any) -> Context:
        """Return the context of a request from `EnvironBuilder`'s arguments."""
        from dewar.testing.environ import EnvironBuilder

        builder = EnvironBuilder(self, *args, **kwargs)
        try:
            return self.request_context(builder.get_environ())
        finally:
            builder.close()

    def log_exception(self, exc_info: Any) -> None:
        """Log an error that nothing handled."""
        # Here, because log lines name the module: "ERROR in app", as Flask's do.
        request = current_request().request
        self.logger.error("Exception on %s [%s]", request.path, request.method, exc_info=exc_info)

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

    def create_global_jinja_loader(self) -> BaseLoader:
        """Return the loader that finds the templates of the app and its blueprints."""
        return TemplatesOfAll(self)

    def update_template_context(self, context: dict[str, Any]) -> None:
        """Add what the context processors return to a template's names."""
        update_context(self, context)

    @cached_property
    def _composition(self) -> Composition:
        """What is worked out from the registrations, until the next registration."""
        # PERF: a plain attribute of the instance, which each request reads several times. It is
        # not kept by the context, because a view may still change the app. Two threads may both
        # compose: the compositions are equal, and either may stay.
        return Composition(self, _STOCK)

    @cached_property
    def _request_context_class(self) -> type[Context]:
        return self._composition.context_class

    def _serve_static_files(self, host: str | None, host_matching: bool) -> None:
        if bool(host) != host_matching:
            raise StaticHostError(
                "static_host and host_matching go together: give both,"
                " or turn static files off with static_folder=None."
            )
        # A weak reference, so that an unused app is freed at once.
        app = ref(self)

        def static(filename: str) -> WerkzeugResponse:
            return app().send_static_file(filename)  # type: ignore[union-attr]  # it is handling this request

        self.add_url_rule(f"{self.static_url_path}/<path:filename>", "static", static, host=host)

    def _changed(self) -> None:
        vars(self).pop("_composition", None)
        vars(self).pop("_request_context_class", None)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name in SEEN_BY_COMPOSITION:
            self._changed()
            if isinstance(value, RouteMap):
                value.watch(weakly(self._changed))
            if isinstance(value, SecureCookieSessionInterface):
                value._watch(weakly(self._changed))  # noqa: SLF001  # its names are Flask's


_STOCK = stock_methods(Dewar)
