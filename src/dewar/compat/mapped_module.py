"""`MappedModule`: one of Flask's modules, in which setting a name has the effect that it has there.

Tests replace what a module of Flask has (``mock.patch("flask.app.send_from_directory")``), and
expect the code of this module to use the replacement, and that of other modules not to.
"""

import sys
from collections.abc import Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType

from blinker import Signal

# Where Dewar has the code that Flask has in a module: modules and folders.
_CODE = {
    "flask.app": (
        "app",
        "contexts.context",
        "pipeline",
        "registration.registrar",
        "routing.adapters",
        "running",
        "templating",
    ),
    "flask.blueprints": ("registration.registrar",),
    "flask.cli": ("cli", "running"),
    "flask.config": ("config",),
    "flask.ctx": ("contexts",),
    "flask.debughelpers": ("messages.errors",),
    "flask.globals": ("globals",),
    "flask.helpers": ("files", "helpers", "environment", "contexts.streaming"),
    "flask.json": ("json",),
    "flask.json.provider": ("json.provider",),
    "flask.json.tag": ("json.tagged",),
    "flask.logging": ("logging",),
    "flask.sansio.app": (
        "app_parts",
        "pipeline.failures",
        "pipeline.url_building",
        "registration.app_registrar",
        "template_loader",
    ),
    "flask.sansio.blueprints": ("blueprints",),
    "flask.sansio.scaffold": (
        "app_parts",
        "registration.registrar",
        "registration.template_folder",
    ),
    "flask.sessions": ("sessions",),
    "flask.signals": ("signals",),
    "flask.templating": ("template_lookup", "templating"),
    "flask.testing": ("testing",),
    "flask.views": ("views",),
    "flask.wrappers": ("messages",),
}
# The classes that Flask's code calls by these names. All others it only inherits from, or keeps on
# a class, where a replacement has no effect.
_CALLED = frozenset(
    {
        "BlueprintSetupState",
        "DispatchingJinjaLoader",
        "EnvironBuilder",
        "FileSystemLoader",
        "FlaskCliRunner",
        "FlaskClient",
        "InternalServerError",
        "ScriptInfo",
    }
)
#: Where a name of a module is used: a module of Dewar's, and its name there.
Place = tuple[ModuleType, str]


class MappedModule(ModuleType):
    """A module of Flask's; `map_modules` makes one of a module."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        for module, known_as in self.__dict__.get("__places__", {}).get(name, ()):
            setattr(module, known_as, value)


def map_modules(modules: Mapping[str, ModuleType]) -> None:
    """Have modules set their names where these are used, too.

    Call it when all modules that may use them are imported, and before any name is replaced.

    Args:
        modules: The modules of `dewar.compat`, by the names of those of Flask's.
    """
    own = {name: module for name, module in sys.modules.items() if name.startswith("dewar.")}
    for name, module in modules.items():
        users = [
            user
            for user_name, user in own.items()
            if any(f"{user_name}.".startswith(f"dewar.{folder}.") for folder in _CODE.get(name, ()))
        ]
        module.__dict__["__places__"] = _places(module, users)
        module.__class__ = MappedModule


def _places(module: ModuleType, users: Iterable[ModuleType]) -> dict[str, list[Place]]:
    """Return where the names of a module that can be replaced are used."""
    names = {id(value): name for name, value in vars(module).items() if _can_be_told(name, value)}
    places: dict[str, list[Place]] = {}
    for user in users:
        for known_as, value in vars(user).items():
            if id(value) in names:
                places.setdefault(names[id(value)], []).append((user, known_as))
    return places


def _can_be_told(name: str, value: object) -> bool:
    return name in _CALLED or isinstance(value, (FunctionType, BuiltinFunctionType, Signal))
