"""The one cell: it says which contexts the running owner is in.

This file is below nearly everything else in the framework, so that any part may ask what is
current. It does not know what a context consists of: see `dewar.contexts.context`.
"""

from contextvars import ContextVar
from typing import Any

from dewar.contexts.stacks import ContextStacks
from dewar.errors import UnboundError

_cell: ContextVar[Any] = ContextVar("dewar.contexts")


#: The contexts of the running thread, greenlet or task.
contexts = ContextStacks(_cell)

OUTSIDE_APP = """\
Working outside of application context.

What you used needs to know the current app. Inside a view it does; elsewhere, say which:

    with app.app_context():
        ...
"""

OUTSIDE_REQUEST = """\
Working outside of request context.

What you used needs an HTTP request being handled. In a test, make one:

    with app.test_request_context("/path"):
        ...

In a thread or task started by a view, take the request along:

    threading.Thread(target=copy_current_request_context(work)).start()
"""


def maybe_current() -> Any:
    """Return the current app context, or None outside of any.

    It is the context of a request itself, unless that was pushed inside a context of its app.
    """
    state = contexts.reader(None)
    return None if state is None else state[0]


def current() -> Any:
    """Return the current app context.

    Raises:
        UnboundError: Outside of any.
    """
    found = maybe_current()
    if found is None:
        raise UnboundError(OUTSIDE_APP)
    return found


def maybe_current_request() -> Any:
    """Return the context of the request that is being handled, or None."""
    state = contexts.reader(None)
    return None if state is None else state[1]


def current_request(what: str | None = None) -> Any:
    """Return the context of the request that is being handled.

    Args:
        what: The name of the caller, to be named in the error.

    Raises:
        UnboundError: If no request is being handled.
    """
    found = maybe_current_request()
    if found is None:
        name = f"{what!r} was called here. " if what else ""
        raise UnboundError(name + OUTSIDE_REQUEST)
    return found
