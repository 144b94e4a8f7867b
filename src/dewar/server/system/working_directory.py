"""The working directory by its name, so that a release that is a moved link is found anew.

The system knows the working directory itself and not the link that led to it. Shells keep the name
that the user gave in ``PWD``, as POSIX says; gunicorn goes by it too.
"""

import importlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dewar.server.errors import SettingsError

T = TypeVar("T")

_logger = logging.getLogger("dewar.server")


def named_directory() -> Path:
    """Return the working directory by the name that the user gave it, links included."""
    real = Path.cwd()
    name = os.environ.get("PWD", "")
    try:
        is_same = bool(name) and Path(name).is_absolute() and Path(name).samefile(real)
    except OSError:
        is_same = False
    return Path(name) if is_same else real


def enter(folder: str | None) -> None:
    """Make *folder* the working directory, by its name; None stays.

    Raises:
        SettingsError: There is no such folder, or it may not be entered.
    """
    if folder is None:
        return
    path = named_directory() / folder
    try:
        os.chdir(path)
    except OSError as error:
        raise SettingsError(
            f"chdir={folder!r} cannot be entered: {error.strerror}. Name a folder that exists.",
            "chdir",
        ) from error
    os.environ["PWD"] = str(path)


def loading_in(folder: Path, load: Callable[[], T]) -> Callable[[], T]:
    """Return *load* for a worker: it first enters *folder* again, which may be another by now."""

    def load_there() -> T:
        try:
            os.chdir(folder)
        except OSError as error:
            _logger.warning(
                "The working directory %s cannot be entered (%s). The app is loaded from where it"
                " was before.",
                folder,
                error.strerror,
            )
        importlib.invalidate_caches()  # the folders of a new release may be as old as the last
        return load()

    return load_there
