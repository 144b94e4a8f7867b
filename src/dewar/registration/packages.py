"""The folders of a module's files, where Flask has them.

Paths stay as the import system gives them: symbolic links are not followed, so what belongs to a
link is beside the link, and a release that is linked has the instance folder of the one before.
"""

# A Path would drop "." and "//", and the folders are compared as text.
# ruff: noqa: PTH100, PTH109, PTH119, PTH120

import importlib
import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path, PurePath

from dewar.errors import DewarError


class NoRootPathError(DewarError, RuntimeError):
    """Raised when the folder of a module is not known."""


def root_path_of(import_name: str) -> str:
    """Return the folder of a module, or the working directory if it was not loaded from a file.

    Raises:
        NoRootPathError: For a namespace package, which has no single folder, and for a module
            whose import hook names no file.
    """
    filename = getattr(sys.modules.get(import_name), "__file__", None)
    if filename is None:
        spec = _maybe_spec(import_name)
        if spec is None or spec.loader is None:
            return os.getcwd()
        filename = _filename_from(spec, import_name)
    return os.path.dirname(os.path.abspath(filename))


def _filename_from(spec: ModuleSpec, import_name: str) -> str:
    get_filename = getattr(spec.loader, "get_filename", None)
    if get_filename is not None:
        return str(get_filename(spec.name))
    found: str | None = getattr(importlib.import_module(import_name), "__file__", None)
    if found is None:
        raise NoRootPathError(
            f"{import_name!r} has no folder of its own (it is a namespace package, or was loaded"
            f" without a file). Say where its files are: Dewar({import_name!r}, root_path='...')."
        )
    return found


def find_package(import_name: str) -> tuple[str | None, str]:
    """Return where a package is installed, and the folder that it is imported from.

    Returns:
        The prefix, the folder with ``lib`` and ``bin``; None if the package is neither below
        `sys.prefix` nor in a folder ``site-packages``, which another interpreter's venv has.
        Then the folder, the working directory if no such package can be imported.
    """
    folder = _import_folder_of(import_name.partition(".")[0], import_name)
    own_prefix = os.path.abspath(sys.prefix)
    if PurePath(folder).is_relative_to(own_prefix):
        return own_prefix, folder
    parent, name = os.path.split(folder)
    if name.lower() != "site-packages":
        return None, folder
    # Windows has lib/site-packages, others have lib/python3.x/site-packages.
    for library in (parent, os.path.dirname(parent)):
        if os.path.basename(library).lower() == "lib":
            return os.path.dirname(library), folder
    return parent, folder


def _import_folder_of(top_name: str, import_name: str) -> str:
    spec = _maybe_spec(top_name)
    if spec is None:
        return os.getcwd()
    is_namespace = spec.origin in {None, "namespace"}
    if spec.submodule_search_locations and is_namespace:
        return os.path.dirname(_portion_with(import_name, [*spec.submodule_search_locations]))
    if spec.origin is None:
        return os.getcwd()
    folder = os.path.dirname(spec.origin)
    return os.path.dirname(folder) if spec.submodule_search_locations else folder


def _portion_with(import_name: str, portions: list[str]) -> str:
    """Return the folder of a namespace package (PEP 420) that has a subpackage, else the first."""
    spec = _maybe_spec(import_name)
    if spec is not None and spec.submodule_search_locations:
        own = PurePath(os.path.commonpath(spec.submodule_search_locations))
        return next((p for p in portions if own.is_relative_to(p)), portions[0])
    return portions[0]


def _maybe_spec(import_name: str) -> ModuleSpec | None:
    """Return how a module is or would be imported; None for an interactive session."""
    try:
        return importlib.util.find_spec(import_name)
    except (ImportError, ValueError):
        return None  # not importable, or without a spec as the main module often is


def name_of(import_name: str) -> str:
    """Return an app's name: its import name, or the name of the script that was started."""
    if import_name != "__main__":
        return import_name
    filename = getattr(sys.modules["__main__"], "__file__", None)
    return "__main__" if filename is None else Path(filename).stem
