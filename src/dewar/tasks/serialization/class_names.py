"""A class as text, ``module:qualname``, and the class that such a text names."""

import importlib
import sys
from types import ModuleType

from dewar.tasks.errors import Unreadable


def class_name(cls: type) -> str:
    """Return the text that names a class."""
    return f"{cls.__module__}:{cls.__qualname__}"


def find_class(name: str) -> type | None:
    """Return the class of a name if its module is already imported and has it, or None."""
    module, _, path = name.partition(":")
    return _class_in(sys.modules.get(module), path)


def import_class(name: str) -> type:
    """Return the class of a name; import its module if necessary.

    Raises:
        Unreadable: If there is no such module, or no such class in it.
    """
    module, _, path = name.partition(":")
    try:
        found = _class_in(importlib.import_module(module), path)
    except (ImportError, ValueError) as error:
        raise Unreadable(f"The module of {name!r} cannot be imported: {error}") from error
    if found is None:
        raise Unreadable(f"{module!r} has no class {path!r}. It may have been moved or renamed.")
    return found


def _class_in(module: ModuleType | None, path: str) -> type | None:
    found: ModuleType | type | None = module
    for step in path.split("."):
        inner = getattr(found, step, None)
        if not isinstance(inner, type):
            return None
        found = inner
    return found if isinstance(found, type) else None
