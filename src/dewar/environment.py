"""What the environment says to the command line, and the files that add to it.

Each variable is looked for as ``DEWAR_…`` first and as ``FLASK_…`` second, so that a project that
moves here keeps its settings.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OFF = frozenset({"0", "false", "no", "off", ""})
#: The variable that keeps ``app.run()`` from serving while a command imports the module.
RUN_FROM_CLI = "DEWAR_RUN_FROM_CLI"


def app_variable() -> str | None:
    """Return the app that the environment names: ``DEWAR_APP`` or ``FLASK_APP``."""
    return _variable("APP") or None


def debug_flag() -> bool:
    """Whether the environment asks for debug mode: ``DEWAR_DEBUG`` or ``FLASK_DEBUG``."""
    return _is_on("DEBUG")


def skips_dotenv() -> bool:
    """Whether ``DEWAR_SKIP_DOTENV`` or ``FLASK_SKIP_DOTENV`` says not to read ``.env`` files."""
    return _is_on("SKIP_DOTENV")


def switch_debug(value: bool) -> None:
    """Turn debug mode on or off for every app made from now on, in child processes as well."""
    os.environ["DEWAR_DEBUG"] = "1" if value else "0"


@contextmanager
def importing() -> Iterator[None]:
    """Have ``app.run()`` do nothing in the block.

    A module may call it at its end without asking for ``__main__``; a command that only wants
    the module's app would then never get any further.
    """
    before = os.environ.get(RUN_FROM_CLI)
    os.environ[RUN_FROM_CLI] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[RUN_FROM_CLI]
        else:
            os.environ[RUN_FROM_CLI] = before


def load_dotenv(path: str | os.PathLike[str] | None = None, load_defaults: bool = True) -> bool:
    """Set environment variables from files; one that is set already keeps its value.

    Where several files have a variable, `path` wins over ``.env`` and that over ``.flaskenv``.
    Without python-dotenv nothing is read, and a tip is printed if there is something to read.

    Args:
        path: A file to read.
        load_defaults: Also read the nearest ``.env`` and ``.flaskenv``, here or above.

    Returns:
        Whether a file had any variable in it.
    """
    try:
        import dotenv
    except ImportError:
        _tell_of_unread_files(path)
        return False
    names = (".flaskenv", ".env") if load_defaults else ()
    files = [dotenv.find_dotenv(name, usecwd=True) for name in names]
    found: dict[str, str | None] = {}
    for file in [*files, path]:
        if file and Path(file).is_file():
            found |= dotenv.dotenv_values(file, encoding="utf-8")
    for name, value in found.items():
        if value is not None:
            os.environ.setdefault(name, value)
    return bool(found)


def _tell_of_unread_files(path: str | os.PathLike[str] | None) -> None:
    unread = [name for name in (path, ".env", ".flaskenv") if name and Path(name).is_file()]
    if unread:
        import click

        click.secho(
            f"Tip: {unread[0]} is not read, because python-dotenv is not installed:"
            " pip install 'dewar-web[dotenv]'",
            fg="yellow",
            err=True,
        )


def _variable(name: str) -> str:
    return os.environ.get(f"DEWAR_{name}", os.environ.get(f"FLASK_{name}", ""))


def _is_on(name: str) -> bool:
    return _variable(name).lower() not in _OFF
