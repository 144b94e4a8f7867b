"""`AppParts`: the parts of an app. A subclass may make each part in another way."""

import logging as std_logging
import time
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, cast

from werkzeug.exceptions import Aborter
from werkzeug.routing import BuildError, Map, Rule
from werkzeug.utils import redirect as werkzeug_redirect
from werkzeug.wrappers import Response as WerkzeugResponse

from dewar.config import Config, ConfigAttribute, default_config
from dewar.contexts.namespace import AppGlobals
from dewar.environment import debug_flag
from dewar.json.provider import DefaultJSONProvider, JSONProvider
from dewar.logging import create_logger
from dewar.messages.request import Request
from dewar.messages.response import Response
from dewar.pipeline import failures, url_building
from dewar.registration.app_registrar import AppRegistrar
from dewar.registration.packages import find_package, name_of
from dewar.routing.rules import RouteMap
from dewar.sessions.interface import SessionInterface
from dewar.support.bounded_log import BoundedLog
from dewar.support.paths import join_path, open_file
from dewar.template_names import current_g, standard_names

if TYPE_CHECKING:
    from jinja2 import BaseLoader
    from jinja2 import Environment as JinjaEnvironment

    from dewar.cli.group import AppGroup
    from dewar.templating import Environment
    from dewar.testing.cli_runner import DewarCliRunner
    from dewar.testing.client import DewarClient


class _StockEnvironment:
    """The class of the template environment, imported when it is asked for."""

    def __get__(self, app: object, owner: type | None = None) -> "type[Environment]":
        from dewar.templating import Environment

        return Environment


class AppParts(AppRegistrar):
    """Adds the classes of an app's parts, and the methods that make the parts.

    It answers no requests, and serves no static files: a framework that is built on it adds that.

    The constructor's arguments are those of `dewar.Dewar`.
    """

    config: Config
    instance_path: str
    request_class: type[Request] = Request
    response_class: type[Response] = Response
    aborter_class: type[Aborter] = Aborter
    # PERF: Jinja is a sixth of what `import dewar` loads, and an API has no templates.
    jinja_environment: "type[Environment]" = cast("type[Environment]", _StockEnvironment())
    app_ctx_globals_class: type = AppGlobals
    config_class: type[Config] = Config
    json_provider_class: type[JSONProvider] = DefaultJSONProvider
    url_rule_class: type[Rule] = Rule
    url_map_class: type[Map] = RouteMap
    # The tools for tests are imported when they are used.
    test_client_class: "type[DewarClient] | None" = None
    test_cli_runner_class: "type[DewarCliRunner] | None" = None
    session_interface: SessionInterface
    default_config: Mapping[str, Any] = default_config()
    jinja_options: ClassVar[dict[str, Any]] = {}
    # What `debug` was set to, for a template environment that is made later.
    _dewar_auto_reload: bool | None = None

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
        static_host: str | None = None,  # noqa: ARG002  # for the route of static files
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
        self.url_map = self.url_map_class(host_matching=host_matching)
        self.subdomain_matching = subdomain_matching
        self.template_context_processors[None].append(standard_names)

    @cached_property
    def name(self) -> str:  # type: ignore[override]  # a plain attribute for blueprints
        """The name of the app: its import name, or its file's for ``__main__``."""
        return name_of(self.import_name)

    @cached_property
    def cli(self) -> "AppGroup":
        """The app's commands."""
        # Here, because most processes that serve an app run no command.
        from dewar.cli.group import AppGroup

        return AppGroup(self.name)

    @cached_property
    def logger(self) -> std_logging.Logger:
        """The logger with the app's name."""
        return create_logger(self)

    @cached_property
    def _dewar_bounded_log(self) -> BoundedLog:
        """The app's log for what clients can cause without end."""
        return BoundedLog(self.logger, time.monotonic)

    @cached_property
    def jinja_env(self) -> "JinjaEnvironment":  # type: ignore[override]  # cached, and so assignable
        """The template environment."""
        environment = self.create_jinja_environment()
        if self._dewar_auto_reload is not None:
            environment.auto_reload = self._dewar_auto_reload
        return environment

    @property
    def debug(self) -> bool:
        """Whether debug mode is on."""
        return bool(self.config["DEBUG"])

    @debug.setter
    def debug(self, value: bool) -> None:
        self.config["DEBUG"] = value
        if self.config["TEMPLATES_AUTO_RELOAD"] is None:
            self._dewar_auto_reload = value
            if "jinja_env" in vars(self) or type(self).jinja_env is not AppParts.jinja_env:
                self.jinja_env.auto_reload = value

    def make_config(self, instance_relative: bool = False) -> Config:
        """Return the configuration with its defaults."""
        root = self.instance_path if instance_relative else self.root_path
        return self.config_class(root, {**self.default_config, "DEBUG": debug_flag()})

    def make_aborter(self) -> Aborter:
        """Return the object that `abort` calls."""
        return self.aborter_class()

    def auto_find_instance_path(self) -> str:
        """Return the folder for the files of this installation.

        It is ``instance`` beside the package or module of `import_name`; for an installed one
        ``<prefix>/var/<name>-instance``. `root_path` has no influence.
        """
        prefix, folder = find_package(self.import_name)
        if prefix is None:
            return join_path(folder, "instance")
        return join_path(prefix, "var", f"{self.name}-instance")

    def open_instance_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = "utf-8"
    ) -> IO[Any]:
        """Open a file in the instance folder, for writing as well."""
        return open_file(join_path(self.instance_path, resource), mode, encoding)

    def create_jinja_environment(self) -> "JinjaEnvironment":
        """Return the template environment with its options and globals."""
        from dewar.templating import make_environment

        return make_environment(self)

    def select_jinja_autoescape(self, filename: str | None) -> bool:
        """Whether the values in a template are escaped: in HTML, XML and SVG."""
        return filename is None or filename.endswith((".html", ".htm", ".xml", ".xhtml", ".svg"))

    def make_shell_context(self) -> dict[str, Any]:
        """Return the names that ``dewar shell`` starts with."""
        names: dict[str, Any] = {"app": self, "g": current_g}
        for processor in self.shell_context_processors:
            names.update(processor())
        return names

    def inject_url_defaults(self: Any, endpoint: str, values: dict[str, Any]) -> None:
        """Let the `url_defaults` functions add to the values of a URL."""
        url_building.inject_defaults(self, endpoint, values)

    def handle_url_build_error(
        self: Any, error: BuildError, endpoint: str, values: dict[str, Any]
    ) -> str:
        """Return the URL that a build error handler knows, or raise the error."""
        return url_building.recover(self, error, endpoint, values)

    def redirect(self, location: str, code: int = 302) -> WerkzeugResponse:
        """Return a response that sends the client to another URL."""
        return werkzeug_redirect(location, code=code, Response=self.response_class)

    def create_global_jinja_loader(self: Any) -> "BaseLoader":
        """Return the loader that finds the templates of the app and its blueprints."""
        from dewar.template_loader import global_loader

        return global_loader(self)

    def trap_http_exception(self: Any, e: Exception) -> bool:
        """Whether an HTTP error is treated like any other error."""
        return failures.traps(self, e)

    def should_ignore_error(self: Any, error: BaseException | None) -> bool:  # noqa: ARG002  # for subclasses
        """Whether an error is not passed to the teardown functions."""
        return False
