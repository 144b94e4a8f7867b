"""Import the module that a user typed: ``package.module``, ``folder/file.py`` or ``file``."""

import os
import pkgutil
import re
import sys
import traceback
from importlib import import_module
from pathlib import Path
from types import ModuleType, TracebackType

from dewar.cli.errors import NoAppError
from dewar.support.near_match import did_you_mean

# A colon before a slash is part of a Windows path. The name may contain colons, as in a dict.
_TARGET = re.compile(r"(?P<module>(?:[A-Za-z]:[\\/])?[^:]*)(?::(?P<name>.*))?", re.DOTALL)


def split_target(target: str) -> tuple[str, str | None]:
    """Return the module and the name of ``module:name``; the name is None if it is left out."""
    match = _TARGET.fullmatch(target)
    if match is None:
        return target, None
    return match["module"], match["name"]


def prepare_import(path: str) -> str:
    """Make a file, folder or module importable, and return its import name.

    The folder that holds the outermost package goes to the front of ``sys.path``.
    """
    file = Path(os.path.realpath(path))
    if file.suffix == ".py":
        file = file.with_suffix("")
    if file.name == "__init__":
        file = file.parent
    parts = [file.name]
    folder = file.parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    if sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))
    return ".".join(parts)


def import_file(path: str) -> ModuleType:
    """Import what a user typed before the colon.

    Raises:
        NoAppError: If there is no such file or module, if another module has its name, or if the
            module raises an error, with its traceback.
    """
    file = Path(path)
    is_file = file.suffix == ".py" or file.name != path
    if is_file and not file.exists() and not file.with_suffix(".py").exists():
        others = [other.name for other in file.parent.glob("*.py")]
        raise NoAppError(f"There is no file {path!r}.{did_you_mean(file.name, others)}")
    try:
        module = import_named(prepare_import(path))
    except NoAppError as error:
        if not file.is_file() or file.suffix == ".py" or error.__cause__ is not None:
            raise
        raise NoAppError(
            f"{path!r} is not a Python file. Name the module, or the .py file, that has the app."
        ) from None
    if is_file and file.is_file():
        _check_origin(module, file)
    return module


def import_named(name: str) -> ModuleType:
    """Import a module.

    Raises:
        NoAppError: If there is no such module, or if it raises an error.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name != missing and not name.startswith(f"{missing}."):
            raise _broken(name, error) from error
        hint = did_you_mean(missing, _neighbours(missing))
        raise NoAppError(
            f"Could not import {name!r}: there is no module {missing!r} in {Path.cwd()} or among"
            f" the installed packages.{hint}"
        ) from None
    except Exception as error:
        raise _broken(name, error) from error


def _neighbours(missing: str) -> list[str]:
    """Return the modules in the package or folder of `missing`."""
    parent = missing.rpartition(".")[0]
    prefix = f"{parent}." if parent else ""
    path = getattr(sys.modules.get(parent), "__path__", None) or sys.path[:1]
    return [prefix + module.name for module in pkgutil.iter_modules(path)]


def _broken(name: str, error: Exception) -> NoAppError:
    shown = "".join(traceback.format_exception(type(error), error, _own_frames(error)))
    return NoAppError(
        f"While importing {name!r}, {_with_article(type(error).__name__)} was raised:\n\n{shown}"
    )


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIOU' else 'a'} {noun}"


def _own_frames(error: Exception) -> TracebackType | None:
    """Return the part of the traceback that begins in the user's module."""
    frames = error.__traceback__
    while frames is not None:
        filename = frames.tb_frame.f_code.co_filename
        machinery = filename == __file__ or "importlib" in filename
        if not machinery:
            break
        frames = frames.tb_next
    return frames


def _check_origin(module: ModuleType, file: Path) -> None:
    origin = getattr(module, "__file__", None)
    if origin is not None and not Path(origin).samefile(file):
        raise NoAppError(
            f"{str(file)!r} cannot be imported as {module.__name__!r}: that module is {origin!r}"
            " already. Give the file another name."
        )
