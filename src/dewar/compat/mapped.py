"""`MappedModule`: a module of names that stand for functions elsewhere."""

import sys
from types import FunctionType, ModuleType

__all__ = ["MappedModule"]


class MappedModule(ModuleType):
    """What is put in the place of a function here is put in the place of what it stands for.

    Tests do so (``monkeypatch.setattr("flask.templating._render", ...)``), and mean the function
    that the framework itself calls.
    """

    def __setattr__(self, name: str, value: object) -> None:
        origin = self._origins().get(name)
        super().__setattr__(name, value)
        if origin is not None:
            setattr(*origin, value)

    def _origins(self) -> dict[str, tuple[ModuleType, str]]:
        """Return where each function stands and under what name; worked out before any change."""
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
