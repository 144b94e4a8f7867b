"""`AppGlobals`: the namespace behind `g`."""

from collections.abc import Iterator
from typing import Any

from dewar.contexts.current import maybe_current

_MISSING: Any = object()


class AppGlobals:
    """A plain namespace for values that a request keeps until it ends.

    Attributes are the values: ``g.user = load_user()``. Each context has its own.
    """

    def __getattr__(self, name: str) -> Any:
        # Called only if the attribute is missing; type checkers allow any name because of it.
        raise AttributeError(
            f"g has no {name!r} in this context. Set it first (g.{name} = ...),"
            f" or give a default: g.get({name!r}, None)."
        )

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self.__dict__[name]
        except KeyError:
            raise AttributeError(name) from None

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of `name`, or `default` if it is not set."""
        return self.__dict__.get(name, default)

    def pop(self, name: str, default: Any = _MISSING) -> Any:
        """Remove `name` and return its value.

        Raises:
            KeyError: If it is not set and no `default` is given.
        """
        if default is _MISSING:
            return self.__dict__.pop(name)
        return self.__dict__.pop(name, default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Return the value of `name`, which is first set to `default` if it is not set."""
        return self.__dict__.setdefault(name, default)

    def __contains__(self, name: str) -> bool:
        return name in self.__dict__

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __repr__(self) -> str:
        context = maybe_current()
        if context is None:
            return object.__repr__(self)
        # Flask's own text: tests of Flask programs compare it.
        return f"<flask.g of {context.app.name!r}>"
