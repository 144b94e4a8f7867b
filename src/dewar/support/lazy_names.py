"""`lazy_names`: names of a package that are imported when somebody first asks for them."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, sources: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package (PEP 562).

    A name that was asked for is kept in the package: from then on it is an attribute as any other.

    Args:
        package: The package's name; it is being imported.
        sources: The names, each with the module that defines it. A submodule stands for itself.
    """
    module = sys.modules[package]

    def get(name: str) -> Any:
        source = sources.get(name)
        if source is None:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}", name=name, obj=module
            )
        found: Any = import_module(source)
        if source != f"{package}.{name}":
            found = getattr(found, name)
        setattr(module, name, found)
        return found

    def names() -> list[str]:
        return sorted({*vars(module), *sources})

    return get, names
