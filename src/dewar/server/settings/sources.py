"""The sources of settings, such as files and variables, and `Configuration`, which joins them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from dewar.server.errors import SettingsError
from dewar.server.settings.setting import Setting, SettingGroup
from dewar.server.settings.settings import SETTINGS, Settings
from dewar.support.near_match import maybe_near

_HEAD = """\
# What the server runs with, and where each value comes from.
# To keep it: save it as dewar.toml, or name it with --config.

[server]
"""


class SettingSource(Enum):
    """Where a value was given. A later source overrides an earlier one."""

    DEFAULT = "default"
    FILE = "file"
    VARIABLE = "variable"
    FLAG = "flag"


class ConfigurationError(SettingsError):
    """Raised when a source has an invalid setting; the message names the source.

    If the source is a flag, ``flag`` has its name, and the message is about the value alone.
    """

    def __init__(self, message: str, setting: str | None = None, flag: str | None = None) -> None:
        super().__init__(message, setting)
        self.flag = flag


@dataclass(frozen=True, slots=True)
class GivenValue:
    """One value as it was given.

    Attributes:
        raw: A text, a value from TOML, or, from a program, the final value.
        source: The kind of source.
        place: Which one: ``"--threads"``, ``"DEWAR_THREADS"``, ``"dewar.toml"``.
    """

    raw: object
    source: SettingSource
    place: str

    def value_of(self, setting: Setting) -> object:
        """Return the value for `Settings`.

        Raises:
            ConfigurationError: It is not valid.
        """
        try:
            if self.source is SettingSource.FILE:
                return setting.accept(self.raw)
            return setting.read(self.raw) if isinstance(self.raw, str) else self.raw
        except ValueError:
            problem = f"{setting.name}={self.raw!r} must be {setting.written}."
            raise self.error(problem, setting.name) from None

    def error(self, problem: str, name: str | None) -> ConfigurationError:
        """Return an error for *problem* that names the place."""
        if self.source is SettingSource.FLAG:
            return ConfigurationError(problem, name, flag=self.place)
        return ConfigurationError(f"{self.place}: {problem}", name)


#: The values of one source, by the names of settings.
SourceValues = Mapping[str, GivenValue]


class Configuration:
    """Settings from several sources.

    Args:
        layers: The values of each source; a later one overrides an earlier one.
    """

    def __init__(self, *layers: SourceValues) -> None:
        self._given: dict[str, GivenValue] = {}
        for layer in layers:
            self._given.update(layer)

    def __repr__(self) -> str:
        return f"<Configuration {', '.join(sorted(self._given)) or 'of defaults'}>"

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def add(self, name: str, given: GivenValue) -> None:
        """Set a value that overrides all layers."""
        self._given[name] = given

    def values(self) -> dict[str, object]:
        """Return the values that were given, for `Settings` or ``run``.

        Raises:
            ConfigurationError: A value is not valid.
        """
        return {
            setting.name: self._given[setting.name].value_of(setting)
            for setting in SETTINGS
            if setting.name in self._given
        }

    def settings(self) -> Settings:
        """Return the settings.

        Raises:
            ConfigurationError: A value is not valid.
        """
        values = self.values()
        try:
            return Settings(**values)  # type: ignore[arg-type]  # it checks each value itself
        except SettingsError as error:
            given = self._given.get(error.setting or "")
            if given is None:
                raise
            raise given.error(str(error), error.setting) from error

    def as_toml(self) -> str:
        """Return the settings as a TOML file, with the source of each as a comment.

        Raises:
            ConfigurationError: A value is not valid.
        """
        settings = self.settings()
        return _HEAD + "".join(self._lines(settings))

    def _lines(self, settings: Settings) -> Iterator[str]:
        group: SettingGroup | None = None
        for setting in SETTINGS:
            if not setting.has_text:
                continue
            if setting.group is not group:
                group = setting.group
                yield f"\n# {group.value}\n"
            line = f"{setting.name} = {setting.write(getattr(settings, setting.name))}"
            yield f"{line}  # {self._origin(setting)}\n"

    def _origin(self, setting: Setting) -> str:
        given = self._given.get(setting.name)
        if given is None:
            return SettingSource.DEFAULT.value
        # The name of a file may contain a line end, which would end the comment.
        place = given.place if given.place.isprintable() else repr(given.place)
        return f"{given.source.value} {place}"


def read_variables(environ: Mapping[str, str]) -> SourceValues:
    """Return the values of the environment; empty variables are ignored."""
    return {
        setting.name: GivenValue(
            environ[setting.variable], SettingSource.VARIABLE, setting.variable
        )
        for setting in SETTINGS
        if setting.has_text and environ.get(setting.variable)
    }


def misspelt_variables(
    environ: Mapping[str, str], candidates: Iterable[str], others: Iterable[str]
) -> list[str]:
    """Return a sentence for each variable that looks like a misspelt setting.

    Args:
        environ: The variables that are set.
        candidates: The variables of settings.
        others: Variables with another meaning, which are no misspelt settings.
    """
    settings = {*candidates}
    known = settings | {*others}
    sentences = []
    for name in sorted(environ):
        if not name.startswith("DEWAR_") or name in known:
            continue
        # 0.8 finds an extra, missing or swapped letter, and does not match other words.
        near = maybe_near(name, known, cutoff=0.8)
        if near in settings:
            sentences.append(f"{name} is not a setting and has no effect. Did you mean {near}?")
    return sentences
