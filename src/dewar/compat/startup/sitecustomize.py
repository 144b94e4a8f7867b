"""Python runs this at the start of each child process of a program on Dewar: see `children`.

Most child processes never import Flask, so Dewar is only imported when they do.
"""

import sys
import warnings
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any


class FirstImport(MetaPathFinder):
    """Installs Dewar at the first import of Flask, Werkzeug or Dewar, and then removes itself.

    Dewar imports Werkzeug, and cannot be installed while it is half imported. So at the import of
    either it is installed when that module is complete.
    """

    def find_spec(self, fullname: str, *details: Any) -> ModuleSpec | None:
        """Return a spec for these modules; None for any other, which the next finder finds."""
        if fullname == "flask":
            return self._find_flask()
        if fullname not in {"dewar", "werkzeug"} or self._find("dewar") is None:
            return None
        spec = self._find(fullname, *details)
        if spec is not None and spec.loader is not None:
            spec.loader = ThenInstalls(spec.loader, self)
        return spec

    def install(self) -> None:
        """Replace Flask.

        Raises:
            ImportError: A part of Dewar cannot be imported.
        """
        from dewar.compat.installing import install

        install()

    def _find_flask(self) -> ModuleSpec | None:
        if self._find("dewar") is None:
            sys.meta_path.remove(self)
            warnings.warn(
                f"Its parent process runs Flask's programs on Dewar, but {sys.executable} has no"
                " Dewar, so this process runs on Flask. Install it there: pip install dewar-web.",
                RuntimeWarning,
                stacklevel=2,
            )
            return None
        with Removed(self):
            self.install()
        return self._find("flask")

    def _find(self, fullname: str, *details: Any) -> ModuleSpec | None:
        """Return what the other finders find."""
        for finder in sys.meta_path:
            if finder is not self:
                spec = finder.find_spec(fullname, *(details or (None,)))
                if spec is not None:
                    return spec
        return None


class Removed:
    """Has a finder removed inside the block, and after it if the block has succeeded.

    In a block inside of such a block it does nothing.
    """

    def __init__(self, finder: MetaPathFinder) -> None:
        self._finder = finder

    def __enter__(self) -> bool:
        self._is_first = self._finder in sys.meta_path
        if self._is_first:
            sys.meta_path.remove(self._finder)
        return self._is_first

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None and self._is_first:
            # A later import must not find Flask itself.
            sys.meta_path.insert(0, self._finder)


class ThenInstalls(Loader):
    """Loads a module, and then installs Dewar."""

    def __init__(self, loader: Loader, first_import: FirstImport) -> None:
        self._loader = loader
        self._first_import = first_import

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return what the loader of the module creates."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module with its own loader in place."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with Removed(self._first_import) as is_first:
            self._loader.exec_module(module)
            if is_first:
                self._first_import.install()


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
