"""Python runs this at the start of each child process of a program on Dewar: see `children`.

Most child processes never import Flask, so Dewar is only imported when they do.
"""

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any


class FirstImport(MetaPathFinder):
    """Installs Dewar at the first import of Flask or Werkzeug, and then removes itself."""

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        """Return the spec of the module that `dewar.compat.install` has put into `sys.modules`."""
        if fullname not in {"flask", "werkzeug"} or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        try:
            from dewar.compat.installing import install
        except ImportError:
            return None  # another Python, where Dewar is not installed
        install()
        return ModuleSpec(fullname, Installed(sys.modules[fullname]))


class Installed(Loader):
    """Loads a module that exists already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, _: ModuleSpec) -> ModuleType:
        """Return the module."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the spec of the module, which the import has replaced."""
        module.__spec__ = self._spec


def run_the_next() -> None:
    """Run the `sitecustomize` that this one hides, if there is one."""
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        module = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(module)


here = Path(__file__).parent
sys.path[:] = [entry for entry in sys.path if Path(entry) != here]
sys.meta_path.insert(0, FirstImport())
run_the_next()
