"""`layers`: a WSGI app and the apps that it is middleware for."""

from collections.abc import Iterator
from types import MethodType
from typing import Any

# More layers of middleware than any program has; a circle of them ends here.
_DEPTH = 50


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


def maybe_layer_with(app: object, method: str) -> Any:
    """Return the outermost layer that has a method, or None."""
    for layer in layers(app):
        if callable(getattr(layer, method, None)):
            return layer
    return None


def maybe_own_method(app: object, name: str) -> Any:
    """Return a method of a WSGI app that says something of what a call would do, or None.

    A subclass with a ``__call__`` of its own does more than the method says, and so does middleware
    that has every attribute of the app inside.
    """
    for cls in type(app).__mro__:
        if name in vars(cls):
            return getattr(app, name)
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
