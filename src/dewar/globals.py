"""`request`, `session`, `g` and `current_app`: proxies for the current objects.

Each reads the one cell in `dewar.contexts.current`. Framework code never uses them: it has its
context as an argument.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from dewar.app import Dewar
from dewar.contexts.context import Context
from dewar.contexts.current import contexts, current, current_request
from dewar.contexts.legacy import app_cell, request_cell
from dewar.contexts.namespace import AppGlobals
from dewar.isolation.proxy import LocalProxy, replace_lookup
from dewar.messages.request import Request
from dewar.sessions.session import SessionMixin

# PERF: one frame from the proxy to the object. The state has the app context and the request
# context first; that there is none is found out only in the error case.
_read: Callable[..., Any] = contexts.reader


def _current_request_object() -> Any:
    try:
        found = _read(None)[1]
        request = found._dewar_request
    except (TypeError, AttributeError):
        return current_request().request  # outside of any
    return found.request if request is None else request


def _request_attribute(name: str) -> Any:
    """Return ``request.<name>``, without making the object if it takes none."""
    try:
        found = _read(None)[1]
        request, work_out = found._dewar_request, None
        # A subclass has an object already, or its own way to it.
        if request is None and type(found) is Context:
            composition: Any = found.app._dewar_composed
            work_out = composition.early_attributes.get(name)
    except (TypeError, AttributeError):
        return _look_up(name)  # outside of any, or the app has just been changed
    if work_out is not None:
        asked: Any = found._dewar_asked
        if asked is None:
            asked = found._dewar_asked = {}
        elif name in asked:
            return asked[name]
        value = work_out(found._dewar_environ)
        if value is not None:
            asked[name] = value
            return value
    elif request is not None and name != "_get_current_object":
        return getattr(request, name)
    return _look_up(name)


def _current_session() -> Any:
    return current_request().session


def _current_app() -> Any:
    try:
        return _read(None)[0].app
    except (TypeError, AttributeError):
        pass  # outside of any: not the cause of the error that says so
    return current().app


def _current_namespace() -> Any:
    try:
        found = _read(None)[0]._dewar_g  # PERF: as above; None is asked for below
    except (TypeError, AttributeError):
        found = None
    return current().g if found is None else found


# The lookup that `request` had before.
_look_up: Callable[[str], Any]

if TYPE_CHECKING:
    # To a type checker each proxy is what it stands for.
    current_app = cast("Dewar", None)
    g = cast("AppGlobals", None)
    request = cast("Request", None)
    session = cast("SessionMixin", None)
    context = cast("Context", None)
    app_ctx = cast("Context", None)
    request_ctx = cast("Context", None)
else:
    #: The app that is handling the request, or whose app context is pushed.
    current_app = LocalProxy(_current_app)
    #: A namespace for this request.
    g = LocalProxy(_current_namespace)
    #: The request that is being handled.
    request = LocalProxy(_current_request_object)
    # PERF: views ask for several attributes.
    _look_up = replace_lookup(request, _request_attribute)
    #: The session of the client.
    session = LocalProxy(_current_session)
    #: The context itself.
    context = LocalProxy(current)
    #: The context of the app, and that of the request: they may be one.
    app_ctx = LocalProxy(app_cell.current)
    request_ctx = LocalProxy(request_cell.current)
