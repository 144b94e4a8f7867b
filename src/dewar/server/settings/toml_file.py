"""Settings in a file: ``dewar.toml``, or a table of ``pyproject.toml``."""

from pathlib import Path
from typing import Any

from dewar.server.settings.settings import SETTINGS
from dewar.server.settings.sources import (
    ConfigurationError,
    GivenValue,
    SettingSource,
    SourceValues,
)
from dewar.support.near_match import did_you_mean

_FILE = "dewar.toml"
_PROJECT = "pyproject.toml"
_TABLE = "server"


def read_file(path: str | None, folder: Path) -> SourceValues:
    """Return the settings in the file *path*, else those in the file in *folder*, if any.

    ``dewar.toml`` is preferred to ``pyproject.toml``, whose table is ``[tool.dewar.server]``.

    Raises:
        ConfigurationError: It cannot be read, or has an unknown table or key.
    """
    if path is not None:
        return _read(Path(path), path)
    if (folder / _FILE).is_file():
        return _read(folder / _FILE, _FILE)
    if (folder / _PROJECT).is_file():
        return _read(folder / _PROJECT, _PROJECT)
    return {}


def _read(path: Path, shown: str) -> SourceValues:
    document = _load(path, shown)
    prefix = ""
    if path.name == _PROJECT:
        tool = document.get("tool")
        document = tool.get("dewar", {}) if isinstance(tool, dict) else {}
        prefix = "tool.dewar."
        if not isinstance(document, dict):
            raise ConfigurationError(f"{shown}: 'tool.dewar' must be a table: [tool.dewar.server].")
    for name in document:
        if name != _TABLE:
            repair = did_you_mean(name, [_TABLE]) or f" Settings belong in [{prefix}{_TABLE}]."
            raise ConfigurationError(f"{shown}: {prefix + name!r} is not known here.{repair}")
    table = document.get(_TABLE, {})
    if not isinstance(table, dict):
        raise ConfigurationError(f"{shown}: {prefix + _TABLE!r} must be a table: [{prefix}server].")
    return _layer(table, shown)


def _load(path: Path, shown: str) -> dict[str, Any]:
    import tomllib  # here, because most servers have no file

    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigurationError(f"{shown}: it cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{shown}: it is not valid TOML: {error}.") from error


def _layer(table: dict[str, Any], shown: str) -> SourceValues:
    names = [setting.name for setting in SETTINGS if setting.has_text]
    for key in table:
        if key not in names:
            if any(setting.name == key for setting in SETTINGS):
                raise ConfigurationError(
                    f"{shown}: {key!r} is a Python object, which only a program can give:"
                    f" dewar.server.run(app, {key}=...)."
                )
            raise ConfigurationError(
                f"{shown}: there is no setting {key!r}.{did_you_mean(key.replace('-', '_'), names)}"
            )
    return {key: GivenValue(value, SettingSource.FILE, shown) for key, value in table.items()}
