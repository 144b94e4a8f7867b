"""The flags of ``dewar run`` for the settings of the server, made from `SETTINGS`."""

from collections.abc import Callable
from typing import TypeVar

import click
from click.core import ParameterSource

from dewar.server.settings.kinds import Size, Switch
from dewar.server.settings.setting import NONE, Setting
from dewar.server.settings.settings import SETTINGS
from dewar.server.settings.sources import GivenValue, SettingSource, SourceValues
from dewar.support.units import format_size

F = TypeVar("F", bound=Callable[..., object])


class SettingOption(click.Option):
    """The option of one setting. Its value stays text, which the setting parses."""

    def __init__(self, setting: Setting) -> None:
        shown = _shown_default(setting)
        help_ = f"{setting.help}  [default: {shown}]" if shown else setting.help
        spellings = [setting.name, setting.flag, *setting.aliases]
        if isinstance(setting.kind, Switch):
            spellings[1] = f"{setting.flag}/--no-{setting.flag.removeprefix('--')}"
            super().__init__(spellings, default=None, help=help_)
        elif setting.name == "bind":
            super().__init__(spellings, multiple=True, metavar=setting.kind.metavar, help=help_)
        else:
            super().__init__(spellings, default=None, metavar=setting.kind.metavar, help=help_)
        self.setting = setting

    def layer(self, ctx: click.Context) -> tuple[SettingSource, GivenValue] | None:
        """Return its source and the given value; None if no value was given."""
        value = ctx.params[self.setting.name]
        if value is None or value == ():
            return None
        raw = ",".join(value) if isinstance(value, tuple) else value
        source = ctx.get_parameter_source(self.setting.name)
        if source is ParameterSource.COMMANDLINE:
            flag = self.setting.flag
            place = f"--no-{flag.removeprefix('--')}" if value is False else flag
            return SettingSource.FLAG, GivenValue(raw, SettingSource.FLAG, place)
        if source is ParameterSource.ENVIRONMENT:
            return SettingSource.VARIABLE, GivenValue(
                raw, SettingSource.VARIABLE, auto_variable(ctx, self)
            )
        return SettingSource.DEFAULT, GivenValue(raw, SettingSource.DEFAULT, "of the command")


def _shown_default(setting: Setting) -> str:
    default = setting.default
    if default is None or isinstance(default, bool):
        return ""
    if isinstance(default, int) and isinstance(setting.kind, Size):
        return format_size(default)
    return f"{default:g}" if isinstance(default, float) else str(default)


def setting_options(command: F) -> F:
    """Add the flags of all settings to a command."""
    # Decorators are applied from the last one up, so Click reverses the order of options.
    given = command.__dict__.setdefault("__click_params__", [])
    options = [SettingOption(s) for s in SETTINGS if s.has_text]
    given.extend(reversed(options))
    return command


def auto_variable(ctx: click.Context, option: click.Parameter) -> str:
    """Return the variable from which Click reads an option of the current command."""
    return f"{ctx.auto_envvar_prefix}_{str(option.name).upper()}"


def option_layers(ctx: click.Context) -> dict[SettingSource, SourceValues]:
    """Return the values of the current command's options, by source."""
    layers: dict[SettingSource, dict[str, GivenValue]] = {source: {} for source in SettingSource}
    for option in ctx.command.params:
        if isinstance(option, SettingOption):
            found = option.layer(ctx)
            if found is not None:
                layers[found[0]][option.setting.name] = found[1]
    return dict(layers)


class SettingsCommand(click.Command):
    """A command whose help shows the settings in their sections."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; the error for an option of another server names ours."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            from dewar.cli.foreign_options import maybe_foreign_hint

            hint = maybe_foreign_hint(error.option_name)
            if hint is None:
                raise
            raise click.NoSuchOption(error.option_name, message=hint, ctx=ctx) from error

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options: those of the command, then the settings group by group."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                title = param.setting.group.value if isinstance(param, SettingOption) else "Options"
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)
        formatter.write_paragraph()
        formatter.write_text(
            "Durations are written 30, 1.5, 500ms or 2m, and sizes 65536, 512k or 1GiB. Optional"
            f" settings can be '{NONE}'. A setting may also come from a variable"
            " (DEWAR_RUN_MAX_BODY for --max-body) or a file ('max_body' in the table [server] of"
            " dewar.toml). A flag overrides a variable, and a variable overrides a file."
        )
