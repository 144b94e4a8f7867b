"""`Config`: an app's settings, a dict that fills itself from objects, files and variables.

Only names in capitals are settings. So a config file may import modules and define helpers.
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

T = TypeVar("T")
FilePath = str | os.PathLike[str]

# How the system says that there is no such file.
_ABSENT = frozenset({errno.ENOENT, errno.EISDIR, errno.ENOTDIR})


class Default(str):
    """A text that nobody has set, so that a setting equal to it can be told from it."""

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
    """Return the settings every app starts with, as a dict of the caller's own."""
    return dict(_DEFAULTS)


class ConfigVariableError(DewarError, RuntimeError):
    """Raised when the environment variable that should name a config file is not set.

    It is a `RuntimeError`, as Flask's is. `variable` is the name in question.
    """

    def __init__(self, variable: str) -> None:
        super().__init__(
            f"The environment variable {variable!r} is not set, so no configuration was loaded."
            f" Point it to a file before the start: export {variable}=/path/to/settings.cfg"
        )
        self.variable = variable


class ConfigKeyError(DewarError, TypeError):
    """Raised when ``A__B`` should set an item of ``A``, and ``A`` is not a dict.

    It is a `TypeError`, as Flask's is. `variable` and `key` are the names in question.
    """

    def __init__(self, variable: str, key: str, value: object) -> None:
        super().__init__(
            f"The environment variable {variable!r} sets an item of {key!r}, which is"
            f" {type(value).__name__!r} and not a dict. Make {key!r} a dict, or take the"
            " double underscore out of the name."
        )
        self.variable = variable
        self.key = key


class HasConfig(Protocol):
    """What a `ConfigAttribute` asks of the object it belongs to."""

    @property
    def config(self) -> MutableMapping[str, Any]:
        """The settings."""


class ConfigAttribute(Generic[T]):
    """An attribute of an app that reads and writes one of its settings.

    Args:
        name: The key in ``app.config``.
        get_converter: Applied to what is read, not to what is written.
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
    """A dict of settings that can be filled from several places; the last one to set a key wins.

    Args:
        root_path: The folder that relative file names start from.
        defaults: The first settings.
    """

    def __init__(self, root_path: FilePath, defaults: Mapping[str, Any] | None = None) -> None:
        super().__init__(defaults or {})
        self.root_path = root_path

    def from_object(self, obj: object | str) -> None:
        """Take the attributes of an object whose names are in capitals.

        Args:
            obj: A module, a class or an instance, or the import name of one. Properties need an
                instance; a dict has keys and not attributes, so it goes to `from_mapping`.

        Raises:
            ImportError: If there is nothing under that import name.
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
            silent: Answer False where the variable or the file is missing.

        Raises:
            ConfigVariableError: (a `RuntimeError`) where the variable is empty or not set.
            OSError: If the file cannot be read.
        """
        filename = os.environ.get(variable_name)
        if filename:
            return self.from_pyfile(filename, silent=silent)
        if silent:
            return False
        raise ConfigVariableError(variable_name)

    def from_pyfile(self, filename: FilePath, silent: bool = False) -> bool:
        """Run a Python file and take the names in capitals that it leaves behind.

        Args:
            filename: The file, from the root path unless it is absolute.
            silent: Answer False where there is no such file.

        Raises:
            OSError: If the file cannot be read.
        """
        path = Path(self.root_path, filename)
        try:
            source = path.read_bytes()
        except OSError as error:
            return _give_up(error, silent)
        module = ModuleType("config")
        module.__file__ = str(path)
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
        """Take the keys in capitals from a data file, such as TOML or JSON.

        The file goes to a function that reads its format::

            app.config.from_file("settings.toml", load=tomllib.load, text=False)

        Args:
            filename: The file, from the root path unless it is absolute.
            load: Called with the open file, returns a mapping.
            silent: Answer False where there is no such file.
            text: Open the file for text (UTF-8), or else for bytes.

        Raises:
            OSError: If the file cannot be read.
        """
        path = Path(self.root_path, filename)
        try:
            with path.open("r" if text else "rb", encoding="utf-8" if text else None) as file:
                mapping = load(file)
        except OSError as error:
            return _give_up(error, silent)
        return self.from_mapping(mapping)

    def from_mapping(self, mapping: Mapping[str, Any] | None = None, **kwargs: Any) -> bool:
        """Take the keys in capitals from a mapping, then from `kwargs`; always return True."""
        for key, value in {**dict(mapping or ()), **kwargs}.items():
            if key.isupper():
                self[key] = value
        return True

    def from_prefixed_env(
        self, prefix: str | None = None, *, loads: Callable[[str], Any] = json.loads
    ) -> bool:
        """Take every environment variable that starts with `prefix` and an underscore.

        ``DEWAR_MAIL__HOST=example.org`` sets ``config["MAIL"]["HOST"]``; dicts that are missing
        are made. Variables are taken in the order of their names.

        Args:
            prefix: What the names start with; the key is what follows. By default both
                ``FLASK`` and ``DEWAR``, of which ``DEWAR`` wins.
            loads: Turns the text into a value. Text that it rejects is taken as it is, so with
                JSON, the default, ``8`` is a number and ``eight`` a string.

        Raises:
            ConfigKeyError: (a `TypeError`) where a double underscore reaches into a setting that
                is not a dict.
        """
        for start in ("FLASK_", "DEWAR_") if prefix is None else (f"{prefix}_",):
            for variable in sorted(os.environ):
                if variable.startswith(start):
                    value = _load_or_keep(os.environ[variable], loads)
                    self._set_nested(variable, variable.removeprefix(start), value)
        return True

    def get_namespace(
        self, namespace: str, lowercase: bool = True, trim_namespace: bool = True
    ) -> dict[str, Any]:
        """Return the settings that start with `namespace`, ready to be keyword arguments.

        Args:
            namespace: The start of the keys, with its underscore: ``"MAIL_"``.
            lowercase: Give the keys in small letters.
            trim_namespace: Leave the namespace out of the keys.
        """
        cut = len(namespace) if trim_namespace else 0
        return {
            key[cut:].lower() if lowercase else key[cut:]: value
            for key, value in self.items()
            if key.startswith(namespace)
        }

    def _set_nested(self, variable: str, path: str, value: Any) -> None:
        target: Any = self
        *parents, key = path.split("__")
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, MutableMapping):
                raise ConfigKeyError(variable, parent, target)
        target[key] = value

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {super().__repr__()}>"


def _load_or_keep(text: str, loads: Callable[[str], Any]) -> Any:
    try:
        return loads(text)
    except Exception:  # noqa: BLE001  # any error of the user's loader means: it is plain text
        return text


def _give_up(error: OSError, silent: bool) -> bool:
    """Return False where a missing file is allowed, else say what could not be loaded."""
    if silent and error.errno in _ABSENT:
        return False
    error.strerror = f"Unable to load configuration file ({error.strerror})"
    raise error
