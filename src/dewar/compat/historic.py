"""Names that Flask has removed, but that tutorials and old extensions still use."""

from functools import cache
from typing import Any

from markupsafe import Markup, escape
from werkzeug.security import safe_join

from dewar.contexts.legacy import ContextStack, Kind, app_cell, request_cell


def _lookup_app_object(name: str) -> Any:
    return getattr(app_cell.current(), name)


def _lookup_req_object(name: str) -> Any:
    return getattr(request_cell.current(), name)


_PLAIN = {
    "Markup": Markup,
    "_find_app": lambda: app_cell.current().app,
    "_lookup_app_object": _lookup_app_object,
    "_lookup_req_object": _lookup_req_object,
    "escape": escape,
    "safe_join": safe_join,
}
_STACKS = {"_app_ctx_stack": Kind.APP, "_request_ctx_stack": Kind.REQUEST}


@cache
def _stack(name: str) -> ContextStack:
    # Created on first use, because it watches every context from then on.
    return ContextStack(_STACKS[name])


def historic(module: str, name: str) -> Any:
    """Return the object that had this name in older releases of Flask.

    Raises:
        AttributeError: If Flask never had this name.
    """
    if name in _STACKS:
        return _stack(name)
    try:
        return _PLAIN[name]
    except KeyError:
        raise AttributeError(f"module {module!r} has no attribute {name!r}") from None
