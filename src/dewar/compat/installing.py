"""Making ``import flask`` and parts of Werkzeug lead here."""

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
from dewar.compat.mapped import MappedModule
from dewar.compat.version import FLASK_VERSION
from dewar.compat.werkzeug import dispatcher, local, serving

__all__ = ["install"]

_HERE = "dewar.compat."


def install() -> None:
    """Have ``flask``, its submodules and parts of Werkzeug resolve to Dewar's own, from now on.

    Call it before anything imports Flask; modules that have done so keep what they have. Whether
    Flask is installed makes no difference. Calling it again does nothing.
    """
    if sys.modules.get("flask") is dewar.compat.flask:
        return
    _warn_of_imported()
    for name in _names_of(dewar.compat.flask):
        module = import_module(name)
        module.__class__ = MappedModule
        sys.modules[name.removeprefix(_HERE)] = module
    _install_werkzeug()
    # The last to be asked: an installed Flask tells of itself.
    sys.meta_path.append(_Metadata())


def _warn_of_imported() -> None:
    imported = [name for name in sys.modules if name == "flask" or name.startswith("flask.")]
    if imported:
        warnings.warn(
            "Flask was imported before dewar.compat.install() was called: the modules that did so"
            " keep Flask's own. Call it first, or start with: python -m dewar.compat script.py",
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
    # Where it was before Werkzeug 0.15.
    werkzeug.wsgi.DispatcherMiddleware = dispatcher.DispatcherMiddleware  # type: ignore[attr-defined]
    werkzeug.run_simple = serving.run_simple
    werkzeug.serving.run_simple = serving.run_simple
    # Before Werkzeug 1.0 the package had every name.
    for module in (local, dispatcher):
        for name in module.__all__:
            if not hasattr(werkzeug, name):
                setattr(werkzeug, name, getattr(module, name))


class _FlaskDistribution(Distribution):
    """What `importlib.metadata` says of Flask where it is not installed."""

    def read_text(self, filename: str) -> str | None:
        if filename != "METADATA":
            return None
        return f"Metadata-Version: 2.1\nName: Flask\nVersion: {FLASK_VERSION}\n"

    def locate_file(self, path: Any) -> NoReturn:
        raise FileNotFoundError(f"Flask is not installed; dewar.compat stands in for it: {path}")


class _Metadata(DistributionFinder):
    """Finds `_FlaskDistribution`, after everybody else has found nothing."""

    def find_distributions(self, context: Any = None) -> Iterable[Distribution]:
        name = getattr(context, "name", None) or ""
        return [_FlaskDistribution()] if name.lower() == "flask" else []

    def find_spec(self, *_: object) -> None:
        """Find no module: they are in `sys.modules`."""
