"""`AppRegistrar`: the registrations of an app that a blueprint does not have."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from werkzeug.routing import Map, Rule

from dewar.errors import SetupFinishedError
from dewar.registration.error_handlers import find_handler
from dewar.registration.hooks import WatchedList, weakly
from dewar.registration.registrar import Registrar, named_decorator, setup_method
from dewar.registration.url_rules import DuplicateEndpointError, endpoint_of, make_rule

if TYPE_CHECKING:
    from jinja2 import Environment

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
    jinja_env: "Environment"

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
            weakly(self._dewar_changed)
        )
        self.shell_context_processors: list[Callable[[], dict[str, Any]]] = []
        self.blueprints: dict[str, Any] = {}

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
