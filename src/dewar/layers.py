"""`layers`: a WSGI app and the apps that it is middleware for."""

from collections.abc import Iterator
from types import MethodType
from typing import Any

# More layers of middleware than any program has; a circle of them ends here.
_DEPTH = 50
# In front of the names that Dewar has for its own things where a program has names too.
_OWN = "_dewar_"


def layers(app: object) -> Iterator[object]:
    """Yield a WSGI app and the apps that it is middleware for, from the outside in.

    PEP 3333 does not define how to find them. Most middleware has the wrapped app as ``app``, some
    as ``wsgi_app``; middleware around a method is around the object of the method.
    """
    layer: object | None = app
    for _ in range(_DEPTH):
        if layer is None:
            return
        yield layer
        layer = _inner(layer)


def maybe_method(layer: object, name: str) -> Any:
    """Return the method that a server calls by a name, or None.

    A layer of Dewar's own has it as ``_dewar_<name>``, because a program may keep something else
    under the plain name. A layer of another kind has it under that name.
    """
    for own in (_OWN + name, name):
        method = getattr(layer, own, None)
        if callable(method):
            return method
    return None


def maybe_layer_with(app: object, method: str) -> Any:
    """Return the outermost layer that has a method, see `maybe_method`, or None."""
    for layer in layers(app):
        if maybe_method(layer, method) is not None:
            return layer
    return None


def maybe_own_method(app: object, name: str) -> Any:
    """Return a method of a WSGI app that says something of what a call would do, or None.

    A subclass with a ``__call__`` of its own does more than the method says, and so does middleware
    that has every attribute of the app inside.
    """
    known = _OWN + name if hasattr(type(app), _OWN + name) else name
    for cls in type(app).__mro__:
        if known in vars(cls):
            method = getattr(app, known)
            return method if callable(method) else None
        if "__call__" in vars(cls):
            return None
    return None


def _inner(layer: object) -> object | None:
    if isinstance(layer, MethodType):
        return layer.__self__
    for name in ("app", "wsgi_app"):
        inner: object = getattr(layer, name, None)
        if callable(inner):
            return inner
    return None
