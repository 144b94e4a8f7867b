"""The one cell: the stack that says which context the running owner is in.

This file stands below everything else in the framework, so that any part may ask what is
current. It knows nothing of what a context is made of: see `dewar.contexts.context`.
"""

from contextvars import ContextVar
from typing import Any

from dewar.errors import UnboundError
from dewar.isolation.stack import LocalStack

_cell: ContextVar[Any] = ContextVar("dewar.contexts")


#: The contexts of the running thread, greenlet or task; the innermost is on top.
contexts: LocalStack[Any] = LocalStack(_cell)

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
    """Return the current context, or None outside of any."""
    node = contexts.reader(None)
    return node[0] if node else None


def current() -> Any:
    """Return the current context.

    Raises:
        UnboundError: Outside of any.
    """
    node = contexts.reader(None)
    if not node:
        raise UnboundError(OUTSIDE_APP)
    return node[0]


def current_request(what: str | None = None) -> Any:
    """Return the context of the request that is being handled.

    Args:
        what: The name of the caller, to be named in the error.

    Raises:
        UnboundError: If no request is being handled.
    """
    context = maybe_current()
    found = None if context is None else context.request_context
    if found is None:
        name = f"{what!r} was called here. " if what else ""
        raise UnboundError(name + OUTSIDE_REQUEST)
    return found
