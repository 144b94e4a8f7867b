"""`Dewar`: the app. Each of its methods is one step into the folder that does the work."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref
from wsgiref.types import WSGIEnvironment

from werkzeug.routing import MapAdapter
from werkzeug.wrappers import Response as WerkzeugResponse

from dewar.app_parts import AppParts
from dewar.contexts.context import Context
from dewar.contexts.current import current_request
from dewar.contexts.namespace import AppGlobals
from dewar.messages.request import Request
from dewar.pipeline import url_building
from dewar.pipeline.composition import (
    SEEN_BY_COMPOSITION,
    Composition,
    stock_methods,
)
from dewar.pipeline.request_methods import RequestMethods
from dewar.pipeline.server_methods import ServerMethods
from dewar.registration.hooks import weakly
from dewar.routing import adapters
from dewar.routing.errors import StaticHostError
from dewar.routing.rules import RouteMap, watch
from dewar.sessions.secure_cookie import SecureCookieSessionInterface
from dewar.template_names import update_context

if TYPE_CHECKING:
    from dewar.testing.cli_runner import DewarCliRunner
    from dewar.testing.client import DewarClient

F = TypeVar("F", bound=Callable[..., Any])
_UNGIVEN: Any = object()


class Dewar(RequestMethods, ServerMethods, AppParts):
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
        # PERF: the instance's own, which each request reads several times. No context keeps it,
        # because a view may still change the app.
        self._dewar_composed: Composition | None = None
        super().__init__(
            import_name,
            static_url_path,
            static_folder,
            static_host,
            host_matching,
            subdomain_matching,
            template_folder,
            instance_path,
            instance_relative_config,
            root_path,
        )
        if not hasattr(type(self), "session_interface"):
            self.session_interface = SecureCookieSessionInterface()
        if self.has_static_folder:
            _serve_static_files(self, static_host, host_matching)

    # Running.

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

        try:
            run_app(self, host, port, debug, load_dotenv, options)
        finally:
            # As in Flask: whoever runs it from a prompt may add routes before the next run.
            self._got_first_request = False

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
        return self._dewar_context_class(self, environ)

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

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return Werkzeug's adapter for a request, or for ``SERVER_NAME`` without one."""
        return adapters.make_adapter(self, request)

    def update_template_context(self, context: dict[str, Any]) -> None:
        """Add what the context processors return to a template's names."""
        update_context(self, context)

    @property
    def _dewar_composition(self) -> Composition:
        """What is worked out from the registrations, until the next registration."""
        return self._dewar_composed or self._dewar_compose()

    def _dewar_compose(self) -> Composition:
        # Two threads may both compose: the compositions are equal, and either may stay.
        composed = vars(self)["_dewar_composed"] = Composition(self, _STOCK)
        return composed

    @cached_property
    def _dewar_context_class(self) -> type[Context]:
        return self._dewar_composition.context_class

    def _dewar_compare_classes(self) -> None:
        """Compose anew if a class has got other methods; the test client calls it."""
        composition = self._dewar_composed
        if composition is not None and not composition.is_current(self, _STOCK):
            self._dewar_changed()

    def _dewar_changed(self) -> None:
        own = vars(self)
        own["_dewar_composed"] = None
        own.pop("_dewar_context_class", None)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name in SEEN_BY_COMPOSITION:
            self._dewar_changed()
            if isinstance(value, RouteMap):
                watch(value, weakly(self._dewar_changed))
            if isinstance(value, SecureCookieSessionInterface):
                value._dewar_watch(weakly(self._dewar_changed))  # noqa: SLF001  # its names are Flask's

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        if name in SEEN_BY_COMPOSITION:
            self._dewar_changed()


_STOCK = stock_methods(Dewar)


def _serve_static_files(app: Dewar, host: str | None, host_matching: bool) -> None:
    if bool(host) != host_matching:
        raise StaticHostError(
            "static_host and host_matching go together: give both,"
            " or turn static files off with static_folder=None."
        )
    # A weak reference, so that an unused app is freed at once.
    weak = ref(app)

    def static(filename: str) -> WerkzeugResponse:
        return weak().send_static_file(filename)  # type: ignore[union-attr]  # it is handling this request

    app.add_url_rule(f"{app.static_url_path}/<path:filename>", "static", static, host=host)
