"""`Blueprint`: routes, hooks and handlers that are written apart from the app they end up in."""

from collections import defaultdict
from collections.abc import Callable
from functools import cached_property, update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dewar.blueprints.setup_state import BlueprintSetupState, beneath, options_for
from dewar.errors import DewarError, SetupFinishedError
from dewar.registration.registrar import Registrar, named_decorator, setup_method

if TYPE_CHECKING:
    from dewar.cli.group import AppGroup

F = TypeVar("F", bound=Callable[..., Any])
Recorded = Callable[[BlueprintSetupState], Any]
_UNGIVEN: Any = object()
# The tables of hooks that registering a blueprint hands over to the app, under its name.
_HOOK_TABLES = (
    "after_request_funcs",
    "before_request_funcs",
    "teardown_request_funcs",
    "template_context_processors",
    "url_default_functions",
    "url_value_preprocessors",
)


class BlueprintNameError(DewarError, ValueError):
    """Raised for a name that cannot stand in front of an endpoint, or that is taken."""


class Blueprint(Registrar):
    """Collects a part of an app: it has an app's decorators, and takes effect when registered.

    ::

        shop = Blueprint("shop", __name__, url_prefix="/shop")

        @shop.get("/basket")
        def basket():
            return "Empty"

        app.register_blueprint(shop)  # GET /shop/basket, endpoint "shop.basket"

    Its hooks run for its own views only; those called ``..._app_...`` run for every request. It
    may be registered several times under different names, and be nested in another blueprint.

    Args:
        name: The first part of its endpoints; without a dot.
        import_name: The module it is in, usually ``__name__``.
        static_folder: The folder of its static files, relative to `root_path`.
        static_url_path: The URL path they are served under, after `url_prefix`.
        template_folder: The folder of its templates; the app's own are found first.
        url_prefix: The beginning of its rules.
        subdomain: The subdomain that its rules match.
        url_defaults: Values for its rules' variables.
        root_path: The folder of its files; that of `import_name` by default.
        cli_group: The name of the group of its commands; None puts them among the app's.
    """

    def __init__(
        self,
        name: str,
        import_name: str,
        static_folder: str | Path | None = None,
        static_url_path: str | None = None,
        template_folder: str | Path | None = None,
        url_prefix: str | None = None,
        subdomain: str | None = None,
        url_defaults: dict[str, Any] | None = None,
        root_path: str | None = None,
        cli_group: str | None = _UNGIVEN,
    ) -> None:
        self._got_registered_once = False
        super().__init__(import_name, static_folder, static_url_path, template_folder, root_path)
        if not name:
            raise BlueprintNameError("'name' may not be empty: Blueprint('shop', __name__).")
        _refuse_dot("name", name)
        self.name = name
        self.url_prefix = url_prefix
        self.subdomain = subdomain
        self.url_values_defaults = url_defaults or {}
        self.cli_group = cli_group
        #: The functions that are called with the `BlueprintSetupState` of each registration.
        self.deferred_functions: list[Recorded] = []
        self._blueprints: list[tuple[Blueprint, dict[str, Any]]] = []

    @cached_property
    def cli(self) -> "AppGroup":
        """The blueprint's commands."""
        from dewar.cli.group import AppGroup

        return AppGroup()

    @setup_method
    def record(self, func: Recorded) -> None:
        """Call `func` with the `BlueprintSetupState` each time the blueprint is registered."""
        self.deferred_functions.append(func)

    @setup_method
    def record_once(self, func: Recorded) -> None:
        """Call `func` with the `BlueprintSetupState` when the blueprint is new to an app."""

        def first_time(state: BlueprintSetupState) -> None:
            if state.first_registration:
                func(state)

        self.record(update_wrapper(first_time, func))

    def make_setup_state(
        self, app: Any, options: dict[str, Any], first_registration: bool = False
    ) -> BlueprintSetupState:
        """Return what recorded functions are called with; a subclass may return its own."""
        return BlueprintSetupState(self, app, options, first_registration)

    @setup_method
    def register_blueprint(self, blueprint: "Blueprint", **options: Any) -> None:
        """Nest a blueprint in this one: its names, prefix and subdomain go beneath these.

        Args:
            blueprint: The inner blueprint.
            options: ``name``, ``url_prefix``, ``subdomain``, ``url_defaults``, ``cli_group``,
                in place of the blueprint's own.
        """
        if blueprint is self:
            raise ValueError("Cannot register a blueprint on itself.")
        self._blueprints.append((blueprint, options))

    def register(self, app: Any, options: dict[str, Any]) -> None:
        """Take effect on an app; `app.register_blueprint` calls this.

        Args:
            app: The app.
            options: The options of `register_blueprint`; ``name_prefix`` holds the parents'
                names.

        Raises:
            BlueprintNameError: If the app has another blueprint of that name.
        """
        is_new = all(known is not self for known in app.blueprints.values())
        name = _free_name(self, app, options)
        app.blueprints[name] = self
        self._got_registered_once = True
        state = self.make_setup_state(app, options, is_new)
        if self.has_static_folder:
            state.add_url_rule(
                f"{self.static_url_path}/<path:filename>", "static", self.send_static_file
            )
        self._merge_blueprint_funcs(app, name)
        for recorded in self.deferred_functions:
            recorded(state)
        _add_commands(self, app, name, options.get("cli_group", self.cli_group))
        for child, child_options in self._blueprints:
            child.register(app, options_for(child, state, child_options))

    @setup_method
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: Callable[..., Any] | None = None,
        provide_automatic_options: bool | None = None,
        **options: Any,
    ) -> None:
        """Register a URL rule, as `route` does, without a decorator."""
        if endpoint:
            _refuse_dot("endpoint", endpoint)
        if view_func is not None and hasattr(view_func, "__name__"):
            _refuse_dot("view_func", view_func.__name__)
        self.record(
            lambda state: state.add_url_rule(
                rule,
                endpoint,
                view_func,
                provide_automatic_options=provide_automatic_options,
                **options,
            )
        )

    @setup_method
    def before_app_request(self, f: F) -> F:
        """Call `f` before each request of the app."""
        return _record_hook(self, "before_request_funcs", f)

    @setup_method
    def after_app_request(self, f: F) -> F:
        """Call `f` with each response of the app."""
        return _record_hook(self, "after_request_funcs", f)

    @setup_method
    def teardown_app_request(self, f: F) -> F:
        """Call `f` with the error, or None, at the end of each request of the app."""
        return _record_hook(self, "teardown_request_funcs", f)

    @setup_method
    def app_context_processor(self, f: F) -> F:
        """Add the names that `f` returns to every template of the app."""
        return _record_hook(self, "template_context_processors", f)

    @setup_method
    def app_url_value_preprocessor(self, f: F) -> F:
        """Call `f` with the endpoint and the values of each rule that matched in the app."""
        return _record_hook(self, "url_value_preprocessors", f)

    @setup_method
    def app_url_defaults(self, f: F) -> F:
        """Call `f` with the endpoint and the values of each URL that the app builds."""
        return _record_hook(self, "url_default_functions", f)

    @setup_method
    def app_errorhandler(self, code: type[Exception] | int) -> Callable[[F], F]:
        """Register the decorated function for an error in any request of the app."""

        def decorate(f: F) -> F:
            self.record_once(lambda state: state.app.errorhandler(code)(f))
            return f

        return decorate

    @setup_method
    def app_template_filter(self, name: Any = None) -> Any:
        """Register the decorated function as a filter in the app's templates."""
        return named_decorator(self.add_app_template_filter, name)

    @setup_method
    def add_app_template_filter(self, f: Callable[..., Any], name: str | None = None) -> None:
        """Register a filter for the app's templates, by its own name or another."""
        self.record_once(lambda state: state.app.add_template_filter(f, name=name))

    @setup_method
    def app_template_test(self, name: Any = None) -> Any:
        """Register the decorated function as a test in the app's templates."""
        return named_decorator(self.add_app_template_test, name)

    @setup_method
    def add_app_template_test(self, f: Callable[..., Any], name: str | None = None) -> None:
        """Register a test for the app's templates, by its own name or another."""
        self.record_once(lambda state: state.app.add_template_test(f, name=name))

    @setup_method
    def app_template_global(self, name: Any = None) -> Any:
        """Register the decorated function as a global of the app's templates."""
        return named_decorator(self.add_app_template_global, name)

    @setup_method
    def add_app_template_global(self, f: Callable[..., Any], name: str | None = None) -> None:
        """Register a global for the app's templates, by its own name or another."""
        self.record_once(lambda state: state.app.add_template_global(f, name=name))

    def _merge_blueprint_funcs(self, app: Any, name: str) -> None:
        """Give the app what was registered here, under the name of this registration."""
        for table in _HOOK_TABLES:
            for key, functions in getattr(self, table).items():
                getattr(app, table)[beneath(name, key)].extend(functions)
        for key, by_code in self.error_handler_spec.items():
            copied = {code: dict(by_class) for code, by_class in by_code.items()}
            app.error_handler_spec[beneath(name, key)] = defaultdict(dict, copied)
        app.view_functions.update(self.view_functions)

    def _check_setup_finished(self, name: str) -> None:
        if self._got_registered_once:
            raise SetupFinishedError(
                f"The setup method {name!r} can no longer be called on the blueprint"
                f" {self.name!r}. It has already been registered at least once, and apps that have"
                " it would not notice. Import and decorate everything of the blueprint before it"
                " is registered."
            )


def _record_hook(blueprint: Blueprint, table: str, f: F) -> F:
    blueprint.record_once(lambda state: getattr(state.app, table)[None].append(f))
    return f


def _add_commands(blueprint: Blueprint, app: Any, name: str, group: str | None) -> None:
    if "cli" not in vars(blueprint) or not blueprint.cli.commands:
        return
    if group is None:
        app.cli.commands.update(blueprint.cli.commands)
    else:
        blueprint.cli.name = name if group is _UNGIVEN else group
        app.cli.add_command(blueprint.cli)


def _free_name(blueprint: Blueprint, app: Any, options: dict[str, Any]) -> str:
    """Return the dotted name of a registration, or raise if the app already has it."""
    own: str = options.get("name", blueprint.name)
    name = f"{options.get('name_prefix', '')}.{own}".lstrip(".")
    known = app.blueprints.get(name)
    if known is not None:
        which = "this" if known is blueprint else "a different"
        place = "" if own == name else f" {name!r}"
        raise BlueprintNameError(
            f"The name {own!r} is already registered for {which} blueprint{place}. Use 'name=' to"
            f" provide a unique name: register_blueprint({blueprint.name}, name='{own}2')."
        )
    return name


def _refuse_dot(what: str, name: str) -> None:
    if "." in name:
        place = f"{what} name" if what == "view_func" else what
        raise BlueprintNameError(
            f"'{place}' may not contain a dot '.' character: it separates blueprints from what is"
            f" in them. Instead of {name!r} write {name.replace('.', '_')!r}."
        )
