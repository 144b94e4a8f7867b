"""Read a configuration file of gunicorn: a Python program whose names are settings."""

import builtins
import importlib
import os
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from dewar.server.gunicorn.config_file import GunicornFile
from dewar.server.gunicorn.names import GUNICORN
from dewar.server.settings.sources import ConfigurationError

_MODULE = "python:"
# gunicorn takes these from the environment if neither the file nor the command gives them.
_VARIABLES = {
    "WEB_CONCURRENCY": ("workers", "{}"),
    "PORT": ("bind", "0.0.0.0:{}"),
    "FORWARDED_ALLOW_IPS": ("forwarded_allow_ips", "{}"),
}


def is_gunicorn_file(path: str) -> bool:
    """Return whether *path*, the value of ``--config``, names a file of gunicorn."""
    return path.endswith(".py") or path.startswith(_MODULE)


def read_gunicorn_file(path: str, environ: Mapping[str, str]) -> GunicornFile:
    """Execute a file and return it.

    Args:
        path: A Python file, or ``python:`` and the name of a module.
        environ: The environment, which has some of gunicorn's defaults.

    Raises:
        ConfigurationError: It cannot be executed, or a setting is not valid.
    """
    namespace = _imported(path) if path.startswith(_MODULE) else _executed(path)
    from_environ = {
        name: form.format(environ[variable])
        for variable, (name, form) in _VARIABLES.items()
        if environ.get(variable)
    }
    given = {**from_environ, **{name: namespace[name] for name in GUNICORN if name in namespace}}
    try:
        return GunicornFile(
            path,
            given,
            script_name=environ.get("SCRIPT_NAME", ""),
            has_command="GUNICORN_CMD_ARGS" in environ,
        )
    except ValueError as error:  # the base of SettingsError
        raise ConfigurationError(f"{path}: {error}") from error


def _imported(path: str) -> dict[str, Any]:
    try:
        return vars(importlib.import_module(path.removeprefix(_MODULE)))
    except Exception as error:
        raise _failure(path, error) from error


def _executed(path: str) -> dict[str, Any]:
    module = ModuleType("__config__")
    module.__file__ = os.path.abspath(path)  # noqa: PTH100 - links in it stay
    namespace = vars(module)
    namespace["__builtins__"] = builtins
    try:
        source = Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: it cannot be read: {error.strerror}.") from error
    try:
        exec(compile(source, path, "exec"), namespace)  # noqa: S102 - that is what the file is
    except Exception as error:
        raise _failure(path, error) from error
    return namespace


def _failure(path: str, error: Exception) -> ConfigurationError:
    steps = [step for step in traceback.extract_tb(error.__traceback__) if step.filename == path]
    line = error.lineno if isinstance(error, SyntaxError) else steps and steps[-1].lineno
    where = f"{path}, line {line}" if line else path
    # The text of a syntax error repeats the place.
    text = error.msg if isinstance(error, SyntaxError) else error
    return ConfigurationError(f"{where}: {type(error).__name__}: {text}")
