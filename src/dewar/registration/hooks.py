"""Hook tables that say when they change.

A plan (`dewar.pipeline.plan`) is composed once from these tables. They are public, as in Flask,
and code in the wild changes them directly (``app.before_request_funcs[None].append(f)``); so the
tables themselves report every change, and the plans are composed anew.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Generic, TypeVar
from weakref import WeakMethod

K = TypeVar("K")
V = TypeVar("V")
F = TypeVar("F", bound=Callable[..., Any])


def weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls a bound method as long as its object lives."""
    weak = WeakMethod(method)

    def call() -> None:
        alive = weak()
        if alive is not None:
            alive()

    return call


def _reporting(names: tuple[str, ...]) -> Callable[[type], type]:
    """Make each named method of a container call ``self._changed()`` at its end."""

    def decorate(cls: type) -> type:
        for name in names:
            setattr(cls, name, _reported(getattr(cls, name)))
        return cls

    return decorate


def _reported(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def changing(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        finally:
            self._changed()

    return changing


_LIST_CHANGES = (
    "__delitem__", "__iadd__", "__imul__", "__setitem__", "append", "clear", "extend", "insert",
    "pop", "remove", "reverse", "sort",
)  # fmt: skip
_DICT_CHANGES = (
    "__delitem__", "__ior__", "__setitem__", "clear", "pop", "popitem", "setdefault", "update",
)  # fmt: skip


@_reporting(_LIST_CHANGES)
class WatchedList(list[V]):
    """A list that calls `changed` after each change."""

    def __init__(self, changed: Callable[[], None], items: Any = ()) -> None:
        self._changed = changed
        super().__init__(items)


@_reporting(_DICT_CHANGES)
class WatchedDict(dict[K, V]):
    """A dict that calls `changed` after each change."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        super().__init__()


class HookTable(WatchedDict[str | None, list[F]], Generic[F]):
    """Functions by the name of their blueprint, None standing for the app.

    A missing name reads as an empty list, which stays in the table, as with `defaultdict`.
    """

    def __missing__(self, name: str | None) -> list[F]:
        self[name] = []
        return self[name]

    def __setitem__(self, name: str | None, functions: list[F]) -> None:
        super().__setitem__(name, WatchedList(self._changed, functions))

    def setdefault(self, name: str | None, default: list[F] | None = None) -> list[F]:
        """Return the functions of `name`, or set and return `default` if there are none."""
        if name not in self:
            self[name] = default or []
        return self[name]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take over the functions of other tables, name by name."""
        for name, functions in dict(*args, **kwargs).items():
            self[name] = functions
