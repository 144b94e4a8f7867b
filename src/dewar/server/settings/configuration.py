"""What all sources together come to."""

from collections.abc import Iterator

from dewar.server.errors import SettingsError
from dewar.server.settings.settings import Settings
from dewar.server.settings.sources import GivenValue, SettingSource, SourceValues
from dewar.server.settings.table import SETTINGS, Setting, SettingGroup

_HEAD = """\
# What the server runs with, and where each value comes from.
# To keep it: save it as dewar.toml, or name it with --config.

[server]
"""


class Configuration:
    """Settings from several sources.

    Args:
        layers: What each source says; of two that name a setting the later one is heard.
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
        """Hear *given* on the setting *name*, before all layers."""
        self._given[name] = given

    def values(self) -> dict[str, object]:
        """Return what is not left to its default, for `Settings` or ``run``.

        Raises:
            ConfigurationError: A source says what cannot be.
        """
        return {
            setting.name: self._given[setting.name].value_of(setting)
            for setting in SETTINGS
            if setting.name in self._given
        }

    def settings(self) -> Settings:
        """Return the settings.

        Raises:
            ConfigurationError: A source says what cannot be.
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
        """Return the settings as a TOML file that says the same, with the source of each.

        Raises:
            ConfigurationError: A source says what cannot be.
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
        # A name of a file may have a line end in it, which would end the comment.
        place = given.place if given.place.isprintable() else repr(given.place)
        return f"{given.source.value} {place}"
