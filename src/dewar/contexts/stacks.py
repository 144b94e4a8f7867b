"""`ContextStacks`: the app contexts and the request contexts of the running owner.

There are two stacks, as in Flask, because the two kinds of contexts need not be nested: a test
client keeps a request beyond the ``with app.app_context()`` block in which it was sent.

Both are in one context variable, so that they are read, kept and restored together. Its value, the
*state*, is None if nothing is current, and else a tuple that is never changed::

    (app context, request context, other app contexts, other request contexts)

The others are linked pairs ``(context, rest)``, the innermost first. So a push and a pop take
constant time, and a task that copied the variable cannot change the stacks of its creator.
"""

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

# PERF: plain tuples; the proxies read the first two items by their index.
State = tuple[Any, Any, Any, Any] | None
_NOTHING = (None, None)


def with_pushed(state: State, app: Any = None, request: Any = None) -> State:
    """Return a state with an app context, a request context, or both, on top."""
    if state is None:
        return (app, request, None, None)
    top_app, top_request, apps, requests = state
    if app is not None:
        top_app, apps = app, _linked(top_app, apps)
    if request is not None:
        top_request, requests = request, _linked(top_request, requests)
    return (top_app, top_request, apps, requests)


def with_popped(state: State, app: bool = False, request: bool = False) -> State:
    """Return a state without the app context on top, the request context on top, or both."""
    if state is None:
        return None
    top_app, top_request, apps, requests = state
    if app:
        top_app, apps = apps or _NOTHING
    if request:
        top_request, requests = requests or _NOTHING
    if top_app is None and top_request is None:
        return None
    return (top_app, top_request, apps, requests)


def _linked(top: Any, rest: Any) -> Any:
    return None if top is None else (top, rest)


class ContextStacks:
    """The two stacks of the running thread, greenlet or task.

    Args:
        context_var: The variable that stores the state.
    """

    __slots__ = ("reader", "writer")

    def __init__(self, context_var: ContextVar[Any]) -> None:
        #: Returns the state, or its argument if nothing was ever current.
        self.reader: Callable[[None], State] = context_var.get
        #: Sets the state.
        self.writer: Callable[[State], object] = context_var.set

    @property
    def state(self) -> State:
        """The state; None outside of any context."""
        return self.reader(None)

    @property
    def apps(self) -> list[Any]:
        """The app contexts, from the outermost to the innermost."""
        state = self.reader(None)
        return [] if state is None else [*_downward(state[0], state[2])][::-1]

    @property
    def requests(self) -> list[Any]:
        """The request contexts, from the outermost to the innermost."""
        state = self.reader(None)
        return [] if state is None else [*_downward(state[1], state[3])][::-1]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.apps!r} {self.requests!r}>"


def _downward(top: Any, rest: Any) -> Iterator[Any]:
    node = _linked(top, rest)
    while node:
        top, node = node
        yield top
