"""Make the `Configuration` of ``dewar run`` from its options, the environment and a file."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from dewar.cli.setting_options import auto_variable, option_layers
from dewar.config import default_config
from dewar.environment import debug_flag
from dewar.server.errors import SettingsError
from dewar.server.settings.settings import SETTINGS
from dewar.server.settings.sources import (
    Configuration,
    ConfigurationError,
    GivenValue,
    SettingSource,
    SourceValues,
    misspelt_variables,
    read_variables,
)
from dewar.server.settings.toml_file import read_file

if TYPE_CHECKING:
    from dewar.server.gunicorn.config_file import GunicornFile

_HOST = "127.0.0.1"
_PORT = 8000
# Variables that are read elsewhere.
_OTHERS = ("APP", "CONFIG", "DEBUG", "RELOADED", "RUN_FROM_CLI", "SKIP_DOTENV")


def configure(ctx: click.Context, gunicorn: "GunicornFile | None" = None) -> Configuration:
    """Return the settings of a command, from all sources.

    Args:
        ctx: The command.
        gunicorn: The file that ``--config`` names, if it is one of gunicorn.

    Raises:
        click.UsageError: If a source has an invalid setting.
    """
    typed = option_layers(ctx)
    try:
        configuration = Configuration(
            typed[SettingSource.DEFAULT],
            gunicorn.values() if gunicorn else read_file(ctx.params["config"], Path.cwd()),
            _parts_layer(ctx, ParameterSource.ENVIRONMENT),
            read_variables(os.environ),
            typed[SettingSource.VARIABLE],
            typed[SettingSource.FLAG],
            _parts_layer(ctx, ParameterSource.COMMANDLINE),
        )
        settings = configuration.settings()  # raises for a wrong value, with its source
        if "access_log" not in configuration and (settings.access_log_file or debug_flag()):
            why = "with access_log_file" if settings.access_log_file else "in debug mode"
            configuration.add("access_log", GivenValue(True, SettingSource.DEFAULT, why))
    except SettingsError as error:
        raise settings_error(error, ctx) from error
    return configuration


def maybe_gunicorn_file(ctx: click.Context) -> "GunicornFile | None":
    """Return the file that ``--config`` names, executed, if it is one of gunicorn.

    Raises:
        click.UsageError: If it cannot be executed, or has an invalid setting.
    """
    path: str | None = ctx.params["config"]
    if path is None:
        return None
    from dewar.server.gunicorn.reading import is_gunicorn_file, read_gunicorn_file

    if not is_gunicorn_file(path):
        return None
    try:
        return read_gunicorn_file(path, os.environ)
    except SettingsError as error:
        raise settings_error(error, ctx) from error


def settings_error(error: SettingsError, ctx: click.Context) -> click.UsageError:
    """Return a usage error; it names the flag, if one is at fault."""
    flag = error.flag if isinstance(error, ConfigurationError) else None
    if flag is None:
        return click.UsageError(str(error), ctx)
    return click.BadParameter(str(error), ctx, param_hint=repr(flag))


def warn_of_misspelt_variables(ctx: click.Context) -> None:
    """Warn of variables that look like a misspelt setting."""
    settings = [setting.variable for setting in SETTINGS if setting.has_text]
    settings += [auto_variable(ctx, param) for param in ctx.command.params]
    # ``app.config.from_prefixed_env()`` reads the application's variables with the same prefix.
    others = [f"DEWAR_{name}" for name in (*_OTHERS, *default_config())]
    others += [name for name in os.environ if name.startswith("DEWAR_TASKS_")]
    for sentence in misspelt_variables(os.environ, settings, others):
        click.echo(f"Warning: {sentence}", err=True)


def address_of(binds: Sequence[str], host: str | None, port: int | None) -> str:
    """Return the value of ``bind`` for the options ``--bind``, ``--host`` and ``--port``.

    Raises:
        click.UsageError: If ``--bind`` is combined with the others.
    """
    if not binds:
        host = host or _HOST
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"{host}:{_PORT if port is None else port}"
    if host is not None or port is not None:
        raise click.UsageError(
            f"'--bind {binds[0]}' is the whole address, so '--host' and '--port' cannot be given"
            " too."
        )
    return ",".join(binds)


def _parts_layer(ctx: click.Context, source: ParameterSource) -> SourceValues:
    """Return the settings in the options for a part of one: host, port and threads."""
    params = ctx.params
    given = [n for n in ("host", "port") if ctx.get_parameter_source(n) is source]
    is_typed = source is ParameterSource.COMMANDLINE
    layer: dict[str, GivenValue] = {}
    if given:
        whole = ctx.get_parameter_source("bind")
        binds = params["bind"] if is_typed and whole is ParameterSource.COMMANDLINE else ()
        bind = address_of(binds, params["host"], params["port"])
        layer["bind"] = _given(ctx, bind, is_typed, given[0])
    if ctx.get_parameter_source("with_threads") is source and not params["with_threads"]:
        layer["threads"] = _given(ctx, "1", is_typed, "with_threads")
    return layer


def _given(ctx: click.Context, text: str, is_typed: bool, name: str) -> GivenValue:
    option = next(param for param in ctx.command.params if param.name == name)
    if is_typed:
        return GivenValue(text, SettingSource.FLAG, (option.secondary_opts or option.opts)[0])
    return GivenValue(text, SettingSource.VARIABLE, _set_variable(ctx, option))


def _set_variable(ctx: click.Context, option: click.Parameter) -> str:
    """Return the variable that an option got its value from."""
    explicit = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
    return next((n for n in explicit if os.environ.get(n)), auto_variable(ctx, option))
