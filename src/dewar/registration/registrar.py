"""`Registrar`: the decorators that an app and a blueprint share."""

import os
from collections.abc import Callable, Collection
from datetime import timedelta
from functools import cached_property, wraps
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

from werkzeug.wrappers import Response as WerkzeugResponse

from dewar.contexts.current import current
from dewar.errors import DewarError
from dewar.files import open_for_reading, send_from_directory
from dewar.registration.error_handlers import ErrorHandlers, class_and_code, new_error_handlers
from dewar.registration.hooks import HookTable, WatchedDict, weakly
from dewar.registration.packages import root_path_of
from dewar.registration.websocket_views import add_websocket_rule, check_rule
from dewar.support.paths import join_path

if TYPE_CHECKING:
    from jinja2 import BaseLoader

F = TypeVar("F", bound=Callable[..., Any])


class MethodsGivenError(DewarError, TypeError):
    """Raised when ``methods=`` is passed to `get`, `post` and the like."""


def setup_method(method: F) -> F:
    """Raise an error for a registration that is too late to apply to all requests."""

    @wraps(method)
    def checked(self: "Registrar", *args: Any, **kwargs: Any) -> Any:
        self._check_setup_finished(method.__name__)
        return method(self, *args, **kwargs)

    return cast("F", checked)


def named_decorator(add: Callable[..., None], name: Any) -> Any:
    """Return a decorator that adds a function under a name, or add the function if it is given."""
    if callable(name):
        add(name)
        return name

    def decorate(f: F) -> F:
        add(f, name=name)
        return f

    return decorate


class Registrar:
    """Collects routes, hooks and error handlers under a name.

    Args:
        import_name: The module that this belongs to, usually ``__name__``.
        static_folder: The folder of static files, relative to `root_path`.
        static_url_path: The URL path they are served under.
        template_folder: The folder of templates, relative to `root_path`.
        root_path: The folder that the others are relative to; that of `import_name` by default.
    """

    name: str

    def __init__(
        self,
        import_name: str,
        static_folder: str | Path | None = None,
        static_url_path: str | None = None,
        template_folder: str | Path | None = None,
        root_path: str | None = None,
    ) -> None:
        self.import_name = import_name
        self.static_folder = static_folder
        self.static_url_path = static_url_path
        self.template_folder = template_folder
        self.root_path = root_path_of(import_name) if root_path is None else root_path
        # Weak, so that an unused app is freed at once.
        changed = weakly(self._dewar_changed)
        self.view_functions: WatchedDict[str, Callable[..., Any]] = WatchedDict(changed)
        self.error_handler_spec: ErrorHandlers = new_error_handlers()
        self.before_request_funcs: HookTable[Callable[..., Any]] = HookTable(changed)
        self.after_request_funcs: HookTable[Callable[..., Any]] = HookTable(changed)
        self.teardown_request_funcs: HookTable[Callable[..., Any]] = HookTable(changed)
        self.template_context_processors: HookTable[Callable[..., Any]] = HookTable(changed)
        self.url_value_preprocessors: HookTable[Callable[..., Any]] = HookTable(changed)
        self.url_default_functions: HookTable[Callable[..., Any]] = HookTable(changed)

    @property
    def static_folder(self) -> str | None:
        """The absolute path of the static files, or None."""
        if self._static_folder is None:
            return None
        return join_path(self.root_path, self._static_folder)

    @static_folder.setter
    def static_folder(self, value: str | Path | None) -> None:
        # SECURITY: "/" is the folder of the app, as in Flask, and not that of the whole system.
        self._static_folder = None if value is None else os.fspath(value).rstrip("\\/")

    @property
    def has_static_folder(self) -> bool:
        """Whether static files are served."""
        return self.static_folder is not None

    @property
    def static_url_path(self) -> str | None:
        """The URL path of the static files: the one given, else the name of their folder."""
        folder = self.static_folder
        if self._static_url_path is not None or folder is None:
            return self._static_url_path
        # SECURITY: that of "." is "/.". A Path has no such name, and all files would be at "/".
        return f"/{os.path.basename(folder)}".rstrip("/")  # noqa: PTH119  # see above

    @static_url_path.setter
    def static_url_path(self, value: str | None) -> None:
        self._static_url_path = None if value is None else value.rstrip("/")

    @cached_property
    def jinja_loader(self) -> "BaseLoader | None":
        """The loader for the templates of this app or blueprint, or None."""
        if self.template_folder is None:
            return None
        from dewar.registration.template_folder import folder_loader  # PERF: it imports Jinja

        return folder_loader(join_path(self.root_path, self.template_folder))

    def send_static_file(self, filename: str) -> WerkzeugResponse:
        """Return a file from the static folder."""
        folder = self.static_folder
        if folder is None:
            raise RuntimeError(
                f"{self!r} has no static files: 'static_folder' must be set to serve static_files."
            )
        return send_from_directory(folder, filename, max_age=self.get_send_file_max_age(filename))

    def get_send_file_max_age(self, filename: str | None) -> int | None:  # noqa: ARG002  # for subclasses
        """Return how many seconds a client may keep a file, or None to ask each time."""
        age = current().app.config["SEND_FILE_MAX_AGE_DEFAULT"]
        return int(age.total_seconds()) if isinstance(age, timedelta) else age

    def open_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = "utf-8"
    ) -> IO[Any]:
        """Open a file below `root_path` for reading."""
        return open_for_reading(join_path(self.root_path, resource), mode, encoding)

    @setup_method
    def get(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Register a view for GET (and HEAD) requests: ``@app.get("/")``."""
        return self._method_route("GET", rule, options)

    @setup_method
    def post(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Register a view for POST requests."""
        return self._method_route("POST", rule, options)

    @setup_method
    def put(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Register a view for PUT requests."""
        return self._method_route("PUT", rule, options)

    @setup_method
    def delete(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Register a view for DELETE requests."""
        return self._method_route("DELETE", rule, options)

    @setup_method
    def patch(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Register a view for PATCH requests."""
        return self._method_route("PATCH", rule, options)

    @setup_method
    def route(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Register the decorated view for a URL rule: ``@app.route("/user/<int:id>")``.

        Args:
            rule: The rule, with variables as ``<converter:name>``.
            options: ``endpoint``, ``methods``, ``defaults`` and what `werkzeug.routing.Rule`
                takes.
        """

        def decorate(view: F) -> F:
            endpoint = options.pop("endpoint", None)
            self.add_url_rule(rule, endpoint, view, **options)
            return view

        return decorate

    @setup_method
    def websocket(
        self, rule: str, *, origins: Collection[str] | None = None, **options: Any
    ) -> Callable[[F], F]:
        """Register the decorated coroutine function for a WebSocket: ``@app.websocket("/chat")``.

        Args:
            rule: As `route` takes it. The view's first argument is the `dewar.WebSocket`.
            origins: As ``WEBSOCKET_ORIGINS``, in place of it.
            options: As `route` takes them, without ``methods``.

        Raises:
            WebSocketViewError: (a `TypeError`) if the view is no coroutine function.
        """
        check_rule(rule)

        def decorate(view: F) -> F:
            add_websocket_rule(self.add_url_rule, rule, view, origins, options)
            return view

        return decorate

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
        raise NotImplementedError

    @setup_method
    def endpoint(self, endpoint: str) -> Callable[[F], F]:
        """Register the decorated view for an endpoint whose rule is added separately."""

        def decorate(view: F) -> F:
            self.view_functions[endpoint] = view
            return view

        return decorate

    @setup_method
    def before_request(self, f: F) -> F:
        """Call `f` before each request; what it returns, unless None, is the response."""
        self.before_request_funcs[None].append(f)
        return f

    @setup_method
    def after_request(self, f: F) -> F:
        """Call `f` with each response; it returns the response to send."""
        self.after_request_funcs[None].append(f)
        return f

    @setup_method
    def teardown_request(self, f: F) -> F:
        """Call `f` with the error, or None, when a request's context is popped."""
        self.teardown_request_funcs[None].append(f)
        return f

    @setup_method
    def context_processor(self, f: F) -> F:
        """Add the names that `f` returns to every template."""
        self.template_context_processors[None].append(f)
        return f

    @setup_method
    def url_value_preprocessor(self, f: F) -> F:
        """Call `f` with the endpoint and the values of each matched rule, before the hooks."""
        self.url_value_preprocessors[None].append(f)
        return f

    @setup_method
    def url_defaults(self, f: F) -> F:
        """Call `f` with the endpoint and the values of each URL that is built."""
        self.url_default_functions[None].append(f)
        return f

    @setup_method
    def errorhandler(self, code_or_exception: type[Exception] | int) -> Callable[[F], F]:
        """Register the decorated function for an HTTP status or an exception class."""

        def decorate(handler: F) -> F:
            self.register_error_handler(code_or_exception, handler)
            return handler

        return decorate

    @setup_method
    def register_error_handler(
        self, code_or_exception: type[Exception] | int, f: Callable[[Any], Any]
    ) -> None:
        """Register `f` for an HTTP status or an exception class, without a decorator."""
        exception, code = class_and_code(code_or_exception)
        self.error_handler_spec[None][code][exception] = f
        self._dewar_changed()

    #: Flask's own names for these steps, which extensions call.
    _get_exc_class_and_code = staticmethod(class_and_code)

    def _method_route(self, method: str, rule: str, options: dict[str, Any]) -> Callable[[F], F]:
        if "methods" in options:
            raise MethodsGivenError(
                f"@{method.lower()}() is for one method. For several, write"
                f" @route({rule!r}, methods={options['methods']!r})."
            )
        return self.route(rule, methods=[method], **options)

    def _check_setup_finished(self, name: str) -> None:
        """Raise an error if it is too late to call the setup method `name`."""

    def _dewar_changed(self) -> None:
        """Called after each change of a table."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"
