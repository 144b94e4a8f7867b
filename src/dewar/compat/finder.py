"""`FlaskFinder`: what Python finds when a program imports one of Flask's modules.

The modules are not simply put into `sys.modules`, because tools that trace a program wait for the
import of ``flask.app``, and wrap its names and methods then (``newrelic-admin``, ``ddtrace-run``).
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_PACKAGE = "flask"
_PYTHONS = (BuiltinImporter, FrozenImporter, PathFinder)


class FlaskFinder(MetaPathFinder):
    """Finds Dewar's modules under the names of Flask's.

    Args:
        modules: Dewar's modules, by these names.
    """

    def __init__(self, modules: Mapping[str, ModuleType]) -> None:
        self._modules = modules
        self._specs = {name: module.__spec__ for name, module in modules.items()}

    def install(self) -> None:
        """Add it to the finders, once.

        It goes before Python's own, which may find an installed Flask, and after those of tools,
        which ask the others and have what is found loaded by a loader of theirs.
        """
        finders = enumerate(sys.meta_path)
        first = next((at for at, finder in finders if finder in _PYTHONS), len(sys.meta_path))
        sys.meta_path.insert(first, self)

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        """Return a spec for Flask's modules; None for any other."""
        module = self._modules.get(fullname)
        if module is None:
            return None
        spec = ModuleSpec(fullname, _Loader(self, fullname), origin=module.__file__)
        if hasattr(module, "__path__"):
            spec.submodule_search_locations = list(module.__path__)
        return spec

    def module(self, name: str) -> ModuleType:
        """Return the module that stands for one of Flask's."""
        return self._modules[name]

    def load(self, name: str) -> None:
        """Complete the import of a module, which is Dewar's and has run already."""
        module = self._modules[name]
        # Of Dewar's module: the import has replaced it.
        module.__spec__ = self._specs[name]
        # Tools look for their hooks by this name.
        module.__name__ = name
        if name == _PACKAGE:
            self._load_submodules()

    def _load_submodules(self) -> None:
        """Import all submodules, and take over what hooks have replaced in them.

        Flask's modules take names from each other after their hooks have run, so that
        ``flask.render_template`` is the wrapped ``flask.templating.render_template``.
        """
        before = {name: dict(vars(module)) for name, module in self._modules.items()}
        for name in self._modules:
            import_module(name)
        for name, names in before.items():
            for key, old in names.items():
                new = getattr(self._modules[name], key, old)
                if new is not old and not key.startswith("__"):
                    self._replace(key, old, new)

    def _replace(self, key: str, old: object, new: object) -> None:
        for module in self._modules.values():
            if vars(module).get(key) is old:
                setattr(module, key, new)


class _Loader(Loader):
    """Loads a module that has run already."""

    def __init__(self, finder: FlaskFinder, name: str) -> None:
        self._finder = finder
        self._name = name

    def create_module(self, _: ModuleSpec) -> ModuleType:
        """Return the module."""
        return self._finder.module(self._name)

    def exec_module(self, _: ModuleType) -> None:
        """Complete the import."""
        self._finder.load(self._name)
