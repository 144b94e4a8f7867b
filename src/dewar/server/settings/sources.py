"""One source of settings and what it says."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from dewar.server.errors import SettingsError
from dewar.server.settings.table import SETTINGS, Setting


class SettingSource(Enum):
    """Where a value was given. Later ones go before earlier ones."""

    DEFAULT = "default"
    FILE = "file"
    VARIABLE = "variable"
    FLAG = "flag"


class ConfigurationError(SettingsError):
    """Raised when a source says what cannot be; the message names the source.

    Carries the flag as ``flag`` where one is at fault; then the message is about its value alone.
    """

    def __init__(self, message: str, setting: str | None = None, flag: str | None = None) -> None:
        super().__init__(message, setting)
        self.flag = flag


@dataclass(frozen=True, slots=True)
class GivenValue:
    """One value as it was given.

    Attributes:
        raw: A text, what TOML made of it, or, from a program, the value itself.
        source: What kind of source said so.
        place: Which one: ``"--threads"``, ``"DEWAR_THREADS"``, ``"dewar.toml"``.
    """

    raw: object
    source: SettingSource
    place: str

    def value_of(self, setting: Setting) -> object:
        """Return the value for `Settings`.

        Raises:
            ConfigurationError: There is none that it stands for.
        """
        try:
            if self.source is SettingSource.FILE:
                return setting.accept(self.raw)
            return setting.read(self.raw) if isinstance(self.raw, str) else self.raw
        except ValueError:
            problem = f"{setting.name}={self.raw!r} must be {setting.written}."
            raise self.error(problem, setting.name) from None

    def error(self, problem: str, name: str | None) -> ConfigurationError:
        """Return the error that says where *problem* is."""
        if self.source is SettingSource.FLAG:
            return ConfigurationError(problem, name, flag=self.place)
        return ConfigurationError(f"{self.place}: {problem}", name)


#: What one source says, by the names of settings.
SourceValues = Mapping[str, GivenValue]


def read_variables(environ: Mapping[str, str]) -> SourceValues:
    """Return what the environment says; an empty variable says nothing."""
    return {
        setting.name: GivenValue(
            environ[setting.variable], SettingSource.VARIABLE, setting.variable
        )
        for setting in SETTINGS
        if setting.has_text and environ.get(setting.variable)
    }


def misspelt_variables(
    environ: Mapping[str, str], ours: Iterable[str], known: Iterable[str]
) -> list[str]:
    """Return a sentence for each variable that looks like one of ours and is none.

    Args:
        environ: The variables that are set.
        ours: Those that a slip may have been meant for.
        known: Others that have a meaning.
    """
    candidates = {*ours}
    others = {*known}
    said = []
    for name in sorted(environ):
        if not name.startswith("DEWAR_") or name in candidates | others:
            continue
        # 0.8 finds a letter too many, missing or swapped, and takes no other word for a slip.
        near = difflib.get_close_matches(name, candidates | others, n=1, cutoff=0.8)
        if near and near[0] in candidates:
            said.append(f"{name} is no setting and has no effect. Did you mean {near[0]}?")
    return said
