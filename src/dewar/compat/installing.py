"""`install`: make ``import flask``, and imports of parts of Werkzeug, import Dewar."""

import sys
import warnings
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import Distribution, DistributionFinder
from pkgutil import walk_packages
from types import ModuleType
from typing import Any, NoReturn

import werkzeug.middleware
import werkzeug.serving
import werkzeug.wsgi

import dewar.compat.flask
import dewar.registration.template_folder
import dewar.template_loader  # like the other: imported before its names can be replaced
from dewar.compat.finder import FlaskFinder
from dewar.compat.mapped_module import map_modules
from dewar.compat.version import FLASK_VERSION
from dewar.compat.werkzeug import dispatcher, local, serving

_HERE = "dewar.compat."


def install() -> None:
    """Replace ``flask``, its submodules and parts of Werkzeug by Dewar's modules.

    Call it before anything imports Flask: modules that have imported Flask keep it. Flask need
    not be installed. A second call does nothing.
    """
    if any(isinstance(finder, FlaskFinder) for finder in sys.meta_path):
        return
    _warn_of_imported()
    # All of them first: if one cannot be imported, nothing is replaced, and the error comes again.
    modules = {
        name.removeprefix(_HERE): import_module(name) for name in _names_of(dewar.compat.flask)
    }
    map_modules(modules)
    FlaskFinder(modules).install()
    _install_werkzeug()
    # Appended, so that the metadata of an installed Flask is found first.
    sys.meta_path.append(_Metadata())


def _warn_of_imported() -> None:
    imported = [name for name in sys.modules if name == "flask" or name.startswith("flask.")]
    if imported:
        warnings.warn(
            "Flask was imported before dewar.compat.install() was called, so the modules that"
            " imported it still use Flask. Call install() first, or start the program with:"
            " python -m dewar.compat script.py",
            RuntimeWarning,
            stacklevel=3,
        )
    for name in imported:
        del sys.modules[name]


def _names_of(package: ModuleType) -> Iterable[str]:
    yield package.__name__
    for module in walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith(".__main__"):
            yield module.name


def _install_werkzeug() -> None:
    sys.modules["werkzeug.local"] = local
    werkzeug.local = local  # type: ignore[attr-defined]  # a submodule
    sys.modules["werkzeug.middleware.dispatcher"] = dispatcher
    werkzeug.middleware.dispatcher = dispatcher  # type: ignore[attr-defined]  # a submodule
    # Its location before Werkzeug 0.15.
    werkzeug.wsgi.DispatcherMiddleware = dispatcher.DispatcherMiddleware  # type: ignore[attr-defined]
    werkzeug.run_simple = serving.run_simple
    werkzeug.serving.run_simple = serving.run_simple
    # Before Werkzeug 1.0, the package exported every name.
    for module in (local, dispatcher):
        for name in module.__all__:
            if not hasattr(werkzeug, name):
                setattr(werkzeug, name, getattr(module, name))


class _FlaskDistribution(Distribution):
    """The metadata of Flask for `importlib.metadata`, if Flask is not installed."""

    def read_text(self, filename: str) -> str | None:
        if filename != "METADATA":
            return None
        return f"Metadata-Version: 2.1\nName: Flask\nVersion: {FLASK_VERSION}\n"

    def locate_file(self, path: Any) -> NoReturn:
        raise FileNotFoundError(f"Flask is not installed (dewar.compat replaces it): {path}")


class _Metadata(DistributionFinder):
    """Finds `_FlaskDistribution` if no other finder has found Flask."""

    def find_distributions(self, context: Any = None) -> Iterable[Distribution]:
        name = getattr(context, "name", None) or ""
        return [_FlaskDistribution()] if name.lower() == "flask" else []

    def find_spec(self, *_: object) -> None:
        """Return None: it finds no modules."""
