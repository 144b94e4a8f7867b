"""The folders of a module's files."""

import importlib.util
import os
import sys
from pathlib import Path

from dewar.errors import DewarError


class NoRootPathError(DewarError, RuntimeError):
    """Raised when the folder of a module is not known."""


def root_path_of(import_name: str) -> str:
    """Return the folder of a module, or the working directory for an interactive session.

    Raises:
        NoRootPathError: For a namespace package, which has no single folder.
    """
    module = sys.modules.get(import_name)
    filename = getattr(module, "__file__", None)
    if filename is None:
        filename = _origin_of(import_name)
    if filename is not None:
        return str(_absolute(filename).parent)
    if import_name == "__main__" or module is None:
        return str(Path.cwd())
    raise NoRootPathError(
        f"{import_name!r} has no folder of its own (it is a namespace package, or was loaded"
        f" without a file). Say where its files are: Dewar({import_name!r}, root_path='...')."
    )


def _origin_of(import_name: str) -> str | None:
    try:
        spec = importlib.util.find_spec(import_name)
    except (ImportError, ValueError):
        return None  # not importable, or __main__ without a spec
    if spec is None or not spec.has_location:
        return None
    return spec.origin


def instance_path_of(import_name: str, root_path: str) -> str:
    """Return the folder for what an installation keeps: beside the package or its project.

    An installed package has it under the prefix: ``<prefix>/var/<name>-instance``.
    """
    depth = import_name.count(".") if import_name != "__main__" else 0
    folder = Path(root_path)
    module = sys.modules.get(import_name)
    if hasattr(module, "__path__"):
        folder = folder.parent
    elif depth:
        depth -= 1
        folder = folder.parent
    for _ in range(depth):
        folder = folder.parent
    prefix = _absolute(sys.prefix)
    if folder.is_relative_to(prefix):
        return str(prefix / "var" / f"{import_name.partition('.')[0]}-instance")
    return str(folder / "instance")


def _absolute(path: str) -> Path:
    """Return an absolute path with its symbolic links: what belongs to a link is beside it.

    So a release that is linked has the same instance folder as the one before.
    """
    return Path(os.path.abspath(path))  # noqa: PTH100  # Path.absolute() would leave ".."


def name_of(import_name: str) -> str:
    """Return an app's name: its import name, or the name of the script that was started."""
    if import_name != "__main__":
        return import_name
    filename = getattr(sys.modules["__main__"], "__file__", None)
    return "__main__" if filename is None else Path(filename).stem
