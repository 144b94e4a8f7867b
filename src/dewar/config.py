"""`Config`: an app's settings, a dict that loads objects, files and environment variables.

Only uppercase names are settings, so a config file may import modules and define helpers.
"""

import errno
import json
import os
from collections.abc import Callable, Mapping, MutableMapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import IO, Any, Generic, Protocol, Self, TypeVar, overload

from werkzeug.utils import import_string

from dewar.errors import DewarError
from dewar.support.paths import FilePath, join_path, open_file

T = TypeVar("T")

# The errors that mean that the file does not exist.
_ABSENT = frozenset({errno.ENOENT, errno.EISDIR, errno.ENOTDIR})


class Default(str):
    """A default value, which differs from an equal text that an app has set."""

    __slots__ = ()


_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "DEBUG": None,
        "TESTING": False,
        "PROPAGATE_EXCEPTIONS": None,
        "SECRET_KEY": None,
        "SECRET_KEY_FALLBACKS": None,
        "PERMANENT_SESSION_LIFETIME": timedelta(days=31),
        "USE_X_SENDFILE": False,
        "TRUSTED_HOSTS": None,
        "SERVER_NAME": None,
        "APPLICATION_ROOT": "/",
        "SESSION_COOKIE_NAME": Default("session"),
        "SESSION_COOKIE_DOMAIN": None,
        "SESSION_COOKIE_PATH": None,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SECURE": False,
        "SESSION_COOKIE_PARTITIONED": False,
        "SESSION_COOKIE_SAMESITE": None,
        "SESSION_REFRESH_EACH_REQUEST": True,
        "MAX_CONTENT_LENGTH": None,
        "MAX_FORM_MEMORY_SIZE": 500_000,
        "MAX_FORM_PARTS": 1_000,
        "SEND_FILE_MAX_AGE_DEFAULT": None,
        "TRAP_BAD_REQUEST_ERRORS": None,
        "TRAP_HTTP_EXCEPTIONS": False,
        "EXPLAIN_TEMPLATE_LOADING": False,
        "PREFERRED_URL_SCHEME": "http",
        "TEMPLATES_AUTO_RELOAD": None,
        "MAX_COOKIE_SIZE": 4093,
        "PROVIDE_AUTOMATIC_OPTIONS": True,
    }
)


def default_config() -> dict[str, Any]:
    """Return a new dict with the settings that every app starts with."""
    return dict(_DEFAULTS)


class ConfigVariableError(DewarError, RuntimeError):
    """Raised when the environment variable that should name a config file is not set.

    It is a `RuntimeError`, as in Flask. `variable` is the name of the variable.
    """

    def __init__(self, variable: str) -> None:
        super().__init__(
            f"The environment variable {variable!r} is not set, so no configuration was loaded."
            f" Set it before you start the app: export {variable}=/path/to/settings.cfg"
        )
        self.variable = variable


class ConfigKeyError(DewarError, TypeError):
    """Raised when a variable ``A__B`` sets an item of ``A``, but ``A`` is not a dict.

    It is a `TypeError`, as in Flask. `variable` is the name of the variable, `key` is ``A``.
    """

    def __init__(self, variable: str, key: str, value: object) -> None:
        super().__init__(
            f"The environment variable {variable!r} sets an item of {key!r}, which is"
            f" {type(value).__name__!r} and not a dict. Make {key!r} a dict, or rename the"
            " variable without the double underscore."
        )
        self.variable = variable
        self.key = key


class HasConfig(Protocol):
    """What a `ConfigAttribute` needs from the object that has it."""

    @property
    def config(self) -> MutableMapping[str, Any]:
        """The settings."""


class ConfigAttribute(Generic[T]):
    """An attribute of an app that reads and writes one of its settings.

    Args:
        name: The key in ``app.config``.
        get_converter: Converts the value when it is read, but not when it is written.
    """

    def __init__(self, name: str, get_converter: Callable[[Any], T] | None = None) -> None:
        self.__name__ = name
        self.get_converter = get_converter

    @overload
    def __get__(self, obj: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self, obj: HasConfig, owner: type | None = None) -> T: ...

    def __get__(self, obj: HasConfig | None, owner: type | None = None) -> T | Self:
        if obj is None:
            return self
        value: T = obj.config[self.__name__]
        return value if self.get_converter is None else self.get_converter(value)

    def __set__(self, obj: HasConfig, value: Any) -> None:
        obj.config[self.__name__] = value

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.__name__!r}>"


class Config(dict[str, Any]):
    """A dict of settings that can be loaded from several sources. The last value of a key wins.

    Args:
        root_path: The folder that file names are relative to.
        defaults: The initial settings.
    """

    def __init__(self, root_path: FilePath, defaults: Mapping[str, Any] | None = None) -> None:
        super().__init__(defaults or {})
        self.root_path = root_path

    def from_object(self, obj: object | str) -> None:
        """Set the uppercase attributes of an object.

        Args:
            obj: A module, class or instance, or the import name of one. Properties are only read
                from an instance. For a dict, use `from_mapping`.

        Raises:
            ImportError: If the import name does not exist.
        """
        if isinstance(obj, str):
            obj = import_string(obj)
        for name in dir(obj):
            if name.isupper():
                self[name] = getattr(obj, name)

    def from_envvar(self, variable_name: str, silent: bool = False) -> bool:
        """Run the Python file that an environment variable names, as `from_pyfile` does.

        Args:
            variable_name: The variable that holds the file name.
            silent: Return False if the variable or the file is missing.

        Raises:
            ConfigVariableError: If the variable is empty or not set. It is a `RuntimeError`.
            OSError: If the file cannot be read.
        """
        filename = os.environ.get(variable_name)
        if filename:
            return self.from_pyfile(filename, silent=silent)
        if silent:
            return False
        raise ConfigVariableError(variable_name)

    def from_pyfile(self, filename: FilePath, silent: bool = False) -> bool:
        """Run a Python file and set its uppercase names.

        Args:
            filename: The file, relative to `root_path` or absolute.
            silent: Return False if the file does not exist.

        Raises:
            OSError: If the file cannot be read.
        """
        path = join_path(self.root_path, filename)
        try:
            source = Path(path).read_bytes()
        except OSError as error:
            return _give_up(error, silent)
        module = ModuleType("config")
        module.__file__ = path
        exec(compile(source, path, "exec"), module.__dict__)  # noqa: S102  # the user's own code
        self.from_object(module)
        return True

    def from_file(
        self,
        filename: FilePath,
        load: Callable[[IO[Any]], Mapping[str, Any]],
        silent: bool = False,
        text: bool = True,
    ) -> bool:
        """Set the uppercase keys of a data file, such as TOML or JSON.

        A function that reads the format loads the file::

            app.config.from_file("settings.toml", load=tomllib.load, text=False)

        Args:
            filename: The file, relative to `root_path` or absolute.
            load: A function that takes the open file and returns a mapping.
            silent: Return False if the file does not exist.
            text: Open the file as text (UTF-8) instead of bytes.

        Raises:
            OSError: If the file cannot be read.
        """
        path = join_path(self.root_path, filename)
        try:
            with open_file(path, "r" if text else "rb", "utf-8") as file:
                mapping = load(file)
        except OSError as error:
            return _give_up(error, silent)
        return self.from_mapping(mapping)

    def from_mapping(self, mapping: Mapping[str, Any] | None = None, **kwargs: Any) -> bool:
        """Set the uppercase keys of a mapping, then of `kwargs`. Always return True."""
        for key, value in {**dict(mapping or ()), **kwargs}.items():
            if key.isupper():
                self[key] = value
        return True

    def from_prefixed_env(
        self, prefix: str | None = None, *, loads: Callable[[str], Any] = json.loads
    ) -> bool:
        """Set the environment variables that start with `prefix` and an underscore.

        ``DEWAR_MAIL__HOST=example.org`` sets ``config["MAIL"]["HOST"]``. Missing dicts are
        created. Variables are set in the order of their names.

        Args:
            prefix: The start of the names, which is not part of the keys. By default both
                ``FLASK`` and ``DEWAR``. ``DEWAR`` overrides ``FLASK``.
            loads: Parses a value. If it raises an exception, the value is the text itself: with
                JSON, the default, ``8`` is a number and ``eight`` is a string.

        Raises:
            ConfigKeyError: If ``A`` of ``A__B`` is not a dict. It is a `TypeError`.
        """
        for start in ("FLASK_", "DEWAR_") if prefix is None else (f"{prefix}_",):
            for variable in sorted(os.environ):
                if variable.startswith(start):
                    value = _load_or_keep(os.environ[variable], loads)
                    _set_nested(self, variable, variable.removeprefix(start), value)
        return True

    def get_namespace(
        self, namespace: str, lowercase: bool = True, trim_namespace: bool = True
    ) -> dict[str, Any]:
        """Return the settings that start with `namespace`, for use as keyword arguments.

        Args:
            namespace: The start of the keys, with the underscore: ``"MAIL_"``.
            lowercase: Convert the keys to lowercase.
            trim_namespace: Remove the namespace from the keys.
        """
        cut = len(namespace) if trim_namespace else 0
        return {
            key[cut:].lower() if lowercase else key[cut:]: value
            for key, value in self.items()
            if key.startswith(namespace)
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {super().__repr__()}>"


def _set_nested(config: Any, variable: str, path: str, value: Any) -> None:
    *parents, key = path.split("__")
    for parent in parents:
        config = config.setdefault(parent, {})
        if not isinstance(config, MutableMapping):
            raise ConfigKeyError(variable, parent, config)
    config[key] = value


def _load_or_keep(text: str, loads: Callable[[str], Any]) -> Any:
    try:
        return loads(text)
    except Exception:  # noqa: BLE001  # any error of `loads` means plain text
        return text


def _give_up(error: OSError, silent: bool) -> bool:
    """Return False if the file may be missing, else raise the error with an explanation."""
    if silent and error.errno in _ABSENT:
        return False
    error.strerror = f"Unable to load configuration file ({error.strerror})"
    raise error
