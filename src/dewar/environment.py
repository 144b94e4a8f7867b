"""The environment variables of the command line, and the files that set them.

Each variable is read as ``DEWAR_…``, or else as ``FLASK_…``, so that a Flask project keeps its
settings.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OFF = frozenset({"0", "false", "no", "off", ""})
_IMPORTING = "DEWAR_RUN_FROM_CLI"
_IN_COMMAND = "FLASK_RUN_FROM_CLI"


def app_variable() -> str | None:
    """Return the value of ``DEWAR_APP`` or ``FLASK_APP``, or None."""
    return _variable("APP") or None


def debug_flag() -> bool:
    """Whether ``DEWAR_DEBUG`` or ``FLASK_DEBUG`` turns on debug mode."""
    return _is_on("DEBUG")


def skips_dotenv() -> bool:
    """Whether ``DEWAR_SKIP_DOTENV`` or ``FLASK_SKIP_DOTENV`` disables ``.env`` files."""
    return _is_on("SKIP_DOTENV")


def switch_debug(value: bool) -> None:
    """Set debug mode for all apps created from now on, in child processes too.

    Both variables have it, because programs written for Flask read ``FLASK_DEBUG``.
    """
    os.environ["DEWAR_DEBUG"] = os.environ["FLASK_DEBUG"] = "1" if value else "0"


def note_command() -> None:
    """Set ``FLASK_RUN_FROM_CLI``, by which programs know that a command has loaded them."""
    os.environ[_IN_COMMAND] = "true"


def runs_from_command() -> bool:
    """Whether a command is importing the app, so that ``app.run()`` does nothing.

    A program that sets ``FLASK_RUN_FROM_CLI`` to something else than ``true`` runs all the same.
    """
    return os.environ.get(_IMPORTING) == "true" == os.environ.get(_IN_COMMAND, "true")


@contextmanager
def importing() -> Iterator[None]:
    """Make ``app.run()`` do nothing inside the block.

    A module may call it without a check for ``__main__``. A command that imports the module would
    then serve the app instead of doing its work.
    """
    before = os.environ.get(_IMPORTING)
    os.environ[_IMPORTING] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_IMPORTING]
        else:
            os.environ[_IMPORTING] = before


def load_dotenv(path: str | os.PathLike[str] | None = None, load_defaults: bool = True) -> bool:
    """Set environment variables from files. Variables that are already set keep their values.

    A value in `path` overrides one in ``.env``, which overrides one in ``.flaskenv``. Without
    python-dotenv nothing is read, and a hint is printed if one of the files exists.

    Args:
        path: A file to read.
        load_defaults: Also read ``.env`` and ``.flaskenv``, in this folder or the nearest parent.

    Returns:
        Whether any variable was found.
    """
    try:
        import dotenv
    except ImportError:
        _hint_at_unread_files(path)
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


def _hint_at_unread_files(path: str | os.PathLike[str] | None) -> None:
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
