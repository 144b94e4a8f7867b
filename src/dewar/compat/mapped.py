"""`MappedModule`: a module of functions that are defined in other modules."""

import sys
from types import FunctionType, ModuleType


class MappedModule(ModuleType):
    """A module in which setting a function also sets it in the module that defines it.

    Tests replace functions (``monkeypatch.setattr("flask.templating._render", ...)``) and expect
    the framework to call the replacement.
    """

    def __setattr__(self, name: str, value: object) -> None:
        origin = self._origins().get(name)
        super().__setattr__(name, value)
        if origin is not None:
            setattr(*origin, value)

    def _origins(self) -> dict[str, tuple[ModuleType, str]]:
        """Return the module and the name of each function, as they were before any change."""
        known: dict[str, tuple[ModuleType, str]] | None = self.__dict__.get("__origins__")
        if known is None:
            known = self.__dict__["__origins__"] = {
                name: (sys.modules[value.__module__], value.__name__)
                for name, value in self.__dict__.items()
                if isinstance(value, FunctionType) and _stands_elsewhere(value, self)
            }
        return known


def _stands_elsewhere(function: FunctionType, module: ModuleType) -> bool:
    origin = sys.modules.get(function.__module__)
    return origin is not module and getattr(origin, function.__name__, None) is function
