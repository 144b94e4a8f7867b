"""`LocalProxy`: forwards each operation to an object that it looks up at that moment.

Two rules hold in this file:

1. The proxy's own data is never accessed as ``self.name``, which is an attribute of the target.
   The slots are accessed by descriptors (`_resolver_of`, `_set_resolver`, `_set_lookup`).
2. A proxy stores no target. Every operation resolves it first, so one proxy serves all owners.

PERF: attribute access is the one hot operation. The class has a *slot* named
``__getattribute__``. Python finds the slot's descriptor on the type, gets the instance's value
from it, and calls that with the name alone. So each proxy has its own lookup closure: there is no
``self`` to unpack, no failing generic lookup and no second Python frame. Measured by
``python -m bench --only proxy``.
"""

import copy
import math
import operator
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar, cast, runtime_checkable

from dewar.errors import UnboundError

T = TypeVar("T")
Resolver = Callable[[], Any]

UNBOUND = (
    "object unbound: no value is set in this thread, greenlet or task."
    " Set or push one before using the proxy, or test first with bool(proxy)."
)


@runtime_checkable
class Resolvable(Protocol):
    """What a proxy can point to: `Local` and `LocalStack` implement it."""

    def __resolver__(self, name: str | None, unbound_message: str) -> Resolver:
        """Return a function that gives the current object or raises `UnboundError`."""


def _resolver_for(local: object, name: str | None, message: str) -> Resolver:
    if isinstance(local, Resolvable):
        return local.__resolver__(name, message)
    if isinstance(local, ContextVar):
        return _from_context_var(local, name, message)
    if callable(local):
        return _from_callable(local, name)
    raise TypeError(
        f"Don't know how to proxy {type(local).__name__!r} objects. Pass a Local with a name,"
        " a LocalStack, a ContextVar or a function: LocalProxy(my_local, 'user')."
    )


def _from_context_var(variable: ContextVar[Any], name: str | None, message: str) -> Resolver:
    get = variable.get

    def resolve() -> Any:
        try:
            current = get()
        except LookupError:
            raise UnboundError(message) from None
        return current if pick is None else pick(current)

    pick = attrgetter(name) if name else None
    return resolve


def _from_callable(function: Callable[[], Any], name: str | None) -> Resolver:
    if name is None:
        return function
    pick = attrgetter(name)
    return lambda: pick(function())


class LocalProxy(Generic[T]):
    """A proxy to the object that is current in the running thread, greenlet or task.

    All operations of Python objects are forwarded: attributes, operators, calls, iteration,
    context managers, ``await``, `copy.copy`, `isinstance`. While there is no object,
    ``bool(proxy)`` is false, ``dir(proxy)`` is empty, ``repr(proxy)`` says that it is unbound, it
    equals only itself, and everything else raises `UnboundError` (a `RuntimeError`)::

        user = LocalProxy(local, "user")
        user.name  # the name of the user that this request has set

    Args:
        local: A `Local` (which requires a name), a `LocalStack`, a `~contextvars.ContextVar`,
            or a function without parameters that returns the object.
        name: Proxy this attribute of the object. It may have dots (``"user.name"``).
        unbound_message: The message of `UnboundError` while there is no object.

    Raises:
        TypeError: If `local` is none of these, or is a `Local` without a name.
    """

    __slots__ = ("__getattribute__", "_resolver")

    def __init__(
        self,
        local: object,
        name: str | None = None,
        *,
        unbound_message: str | None = None,
    ) -> None:
        resolve = _resolver_for(local, name, unbound_message or UNBOUND)
        _set_resolver(self, resolve)
        _set_lookup(self, _lookup_through(resolve, type(self), local))

    def __setattr__(self, name: str, value: object) -> None:
        setattr(_resolver_of(self)(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_resolver_of(self)(), name)

    def __repr__(self) -> str:
        try:
            return repr(_resolver_of(self)())
        except RuntimeError:
            return f"<{type(self).__name__} unbound>"

    def __bool__(self) -> bool:
        try:
            return bool(_resolver_of(self)())
        except RuntimeError:
            return False

    def __dir__(self) -> list[str]:
        try:
            return dir(_resolver_of(self)())
        except RuntimeError:
            return []

    # NOTE: not in the tables below, because the target is the second argument here.
    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, cast("type", _resolver_of(self)()))

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, cast("type", _resolver_of(self)()))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the current object."""
        return _resolver_of(self)()(*args, **kwargs)


_slots = vars(LocalProxy)
_resolver_of: Callable[[LocalProxy[Any]], Resolver] = _slots["_resolver"].__get__
_set_resolver: Callable[[LocalProxy[Any], Resolver], None] = _slots["_resolver"].__set__
_set_lookup: Callable[[LocalProxy[Any], Callable[[str], Any]], None] = _slots[
    "__getattribute__"
].__set__


def replace_lookup(proxy: LocalProxy[Any], lookup: Callable[[str], Any]) -> Callable[[str], Any]:
    """Give a proxy another function for ``proxy.<name>``; return the one that it had."""
    replaced = cast("Callable[[str], Any]", _slots["__getattribute__"].__get__(proxy))
    _set_lookup(proxy, lookup)
    return replaced


def _lookup_through(resolve: Resolver, cls: type, local: object) -> Callable[[str], Any]:
    """Return the function that looks up ``proxy.<name>`` for one proxy."""
    unbound_answers = {"__class__": cls, "__doc__": cls.__doc__, "__wrapped__": local}

    def lookup(name: str) -> Any:
        if name == "_get_current_object":
            return resolve
        try:
            target = resolve()
        except RuntimeError:
            if name in unbound_answers:
                return unbound_answers[name]
            raise
        return getattr(target, name)

    return lookup


def _swapped(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda target, other: operation(other, target)


def _named(name: str) -> Callable[..., Any]:
    return lambda target, *args: getattr(target, name)(*args)


# The special methods in tables: the operation of each on the resolved target.
_ALONE: dict[str, Callable[[Any], Any]] = {
    "__str__": str, "__bytes__": bytes, "__hash__": hash,
    "__len__": len, "__length_hint__": operator.length_hint,
    "__iter__": iter, "__next__": next, "__reversed__": reversed,
    "__neg__": operator.neg, "__pos__": operator.pos, "__abs__": abs,
    "__invert__": operator.invert,
    "__complex__": complex, "__int__": int, "__float__": float, "__index__": operator.index,
    "__trunc__": math.trunc, "__floor__": math.floor, "__ceil__": math.ceil,
    "__enter__": _named("__enter__"), "__await__": _named("__await__"),
    "__aiter__": _named("__aiter__"), "__anext__": _named("__anext__"),
    "__aenter__": _named("__aenter__"), "__copy__": copy.copy,
}  # fmt: skip

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "matmul": operator.matmul,
    "truediv": operator.truediv, "floordiv": operator.floordiv, "mod": operator.mod,
    "divmod": divmod, "pow": pow, "lshift": operator.lshift, "rshift": operator.rshift,
    "and": operator.and_, "xor": operator.xor, "or": operator.or_,
}  # fmt: skip

_WITH_ARGUMENTS: dict[str, Callable[..., Any]] = {
    "__format__": format, "__round__": round, "__deepcopy__": copy.deepcopy,
    "__exit__": _named("__exit__"), "__aexit__": _named("__aexit__"),
    "__lt__": operator.lt, "__le__": operator.le, "__gt__": operator.gt, "__ge__": operator.ge,
    "__getitem__": operator.getitem, "__setitem__": operator.setitem,
    "__delitem__": operator.delitem, "__contains__": operator.contains,
    **{f"__{name}__": operation for name, operation in _BINARY.items()},
    **{f"__r{name}__": _swapped(operation) for name, operation in _BINARY.items()},
}  # fmt: skip

# With the operation on an unbound proxy. Code that looks for a value, `thing in (None, "")`, may
# meet any module's proxies.
_COMPARED: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], bool]]] = {
    "__eq__": (operator.eq, operator.is_),
    "__ne__": (operator.ne, operator.is_not),
}

# There is no in-place divmod.
_IN_PLACE = [name for name in _BINARY if name != "divmod"]


def _alone(operation: Callable[[Any], Any]) -> Callable[[LocalProxy[Any]], Any]:
    return lambda proxy: operation(_resolver_of(proxy)())


def _with_arguments(operation: Callable[..., Any]) -> Callable[..., Any]:
    def method(proxy: LocalProxy[Any], *args: Any) -> Any:
        return operation(_resolver_of(proxy)(), *args)

    return method


def _compared(
    operation: Callable[[Any, Any], Any], if_unbound: Callable[[Any, Any], bool]
) -> Callable[..., Any]:
    def method(proxy: LocalProxy[Any], other: object) -> Any:
        try:
            target = _resolver_of(proxy)()
        except RuntimeError:
            return if_unbound(proxy, other)
        return operation(target, other)

    return method


def _in_place(operation: Callable[[Any, Any], Any]) -> Callable[..., LocalProxy[Any]]:
    def method(proxy: LocalProxy[Any], other: object) -> LocalProxy[Any]:
        # The target is changed in place. The variable on the left keeps the proxy.
        operation(_resolver_of(proxy)(), other)
        return proxy

    return method


def _special_methods() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, operation in _ALONE.items():
        yield name, _alone(operation)
    for name, operation in _WITH_ARGUMENTS.items():
        yield name, _with_arguments(operation)
    for name, operations in _COMPARED.items():
        yield name, _compared(*operations)
    for name in _IN_PLACE:
        yield f"__i{name}__", _in_place(getattr(operator, f"__i{name}__"))


for _name, _method in _special_methods():
    _method.__name__ = _name
    _method.__qualname__ = f"LocalProxy.{_name}"
    setattr(LocalProxy, _name, _method)
