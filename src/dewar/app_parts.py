"""`AppParts`: the parts of an app. A subclass may make each part in another way."""

import logging as std_logging
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, ClassVar

from jinja2 import Environment as JinjaEnvironment
from werkzeug.exceptions import Aborter
from werkzeug.routing import Map, Rule

from dewar.config import Config, ConfigAttribute, default_config
from dewar.contexts.current import current
from dewar.contexts.namespace import AppGlobals
from dewar.environment import debug_flag
from dewar.json.provider import DefaultJSONProvider, JSONProvider
from dewar.logging import create_logger
from dewar.messages.request import Request
from dewar.messages.response import Response
from dewar.registration.app_registrar import AppRegistrar
from dewar.registration.packages import find_package, name_of
from dewar.routing.rules import RouteMap
from dewar.sessions.interface import SessionInterface
from dewar.support.paths import join_path, open_file
from dewar.templating import Environment, make_environment

if TYPE_CHECKING:
    from dewar.cli.group import AppGroup
    from dewar.testing.cli_runner import DewarCliRunner
    from dewar.testing.client import DewarClient


class AppParts(AppRegistrar):
    """Adds the classes of an app's parts, and the methods that make the parts.

    The constructor's arguments are those of `AppRegistrar`.
    """

    config: Config
    instance_path: str
    request_class: type[Request] = Request
    response_class: type[Response] = Response
    aborter_class: type[Aborter] = Aborter
    jinja_environment: type[Environment] = Environment
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

    testing = ConfigAttribute[bool]("TESTING")
    secret_key = ConfigAttribute[str | bytes | None]("SECRET_KEY")
    permanent_session_lifetime = ConfigAttribute[timedelta](
        "PERMANENT_SESSION_LIFETIME",
        get_converter=lambda value: (
            value if isinstance(value, timedelta) else timedelta(seconds=value)
        ),
    )

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
    def jinja_env(self) -> JinjaEnvironment:  # type: ignore[override]  # cached, and so assignable
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

    def create_jinja_environment(self) -> JinjaEnvironment:
        """Return the template environment with its options and globals."""
        return make_environment(self)

    def select_jinja_autoescape(self, filename: str | None) -> bool:
        """Whether the values in a template are escaped: in HTML, XML and SVG."""
        return filename is None or filename.endswith((".html", ".htm", ".xml", ".xhtml", ".svg"))

    def make_shell_context(self) -> dict[str, Any]:
        """Return the names that ``dewar shell`` starts with."""
        names: dict[str, Any] = {"app": self, "g": current().g}
        for processor in self.shell_context_processors:
            names.update(processor())
        return names
