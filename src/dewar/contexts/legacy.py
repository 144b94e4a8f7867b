"""The current context as Flask 3 (two context variables) and Flask 2.1 (two stacks) show it.

Dewar has one stack of contexts (`dewar.contexts.current`). Extensions and teaching material expect
two: one of app contexts, one of request contexts. These classes are views of the one stack. They
store nothing, except that `ContextStack` records the contexts of other threads.
"""

from collections.abc import Callable
from typing import Any

from dewar.contexts.current import OUTSIDE_APP, OUTSIDE_REQUEST, contexts, maybe_current
from dewar.errors import UnboundError
from dewar.isolation.local import Local
from dewar.isolation.stack import show
from dewar.signals import appcontext_popped, appcontext_pushed

_UNGIVEN: Any = object()
Part = Callable[[Any], Any]


def app_part(context: Any) -> Any:
    """Return the app context: not that of a request inside a context of the same app."""
    return None if context is None else context.app_context


def request_part(context: Any) -> Any:
    """Return the context that carries the request, or None."""
    return None if context is None else context.request_context


class ContextCell:
    """The current context, as the `contextvars.ContextVar` that Flask 3 keeps it in.

    Args:
        name: The variable's name.
        part: Returns what the variable holds, from the context on top.
        unbound_message: The text of the error if it holds nothing.
    """

    def __init__(self, name: str, part: Part, unbound_message: str) -> None:
        self.name = name
        self._part = part
        self._unbound_message = unbound_message

    def get(self, default: Any = _UNGIVEN) -> Any:
        """Return the context, or the default.

        Raises:
            LookupError: If there is neither.
        """
        context = self._part(maybe_current())
        if context is not None:
            return context
        if default is _UNGIVEN:
            raise LookupError(self._unbound_message)
        return default

    def set(self, context: Any) -> Any:
        """Put a context on top without its hooks; return a token for `reset`."""
        below = contexts.reader(None)
        contexts.push(context)
        return below

    def reset(self, token: Any) -> None:
        """Restore the stack from before `set`."""
        contexts.writer(token)

    def current(self) -> Any:
        """Return the context.

        Raises:
            UnboundError: If there is none.
        """
        context = self._part(maybe_current())
        if context is None:
            raise UnboundError(self._unbound_message)
        return context

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self.get(None)!r}>"


#: Flask's ``_cv_app`` and ``_cv_request``.
app_cell = ContextCell("flask.app_ctx", app_part, OUTSIDE_APP)
request_cell = ContextCell("flask.request_ctx", request_part, OUTSIDE_REQUEST)


class ContextStack:
    """The contexts of one kind, as the `LocalStack` that Flask 2.1 kept them on.

    Args:
        part: Returns a context of this kind from any context, or None.
    """

    def __init__(self, part: Part) -> None:
        self._part = part
        self._seen = Local()
        # From now on the contexts of other threads can be shown as well.
        appcontext_pushed.connect(self._see)
        appcontext_popped.connect(self._see)

    @property
    def top(self) -> Any:
        """The innermost context of this kind, or None."""
        return self._part(maybe_current())

    @property
    def _local(self) -> Local:
        """The storage: ``_local.__storage__`` is ``{owner: {"stack": [context, ...]}}``."""
        self._see()
        return self._seen

    def push(self, context: Any) -> list[Any]:
        """Put a context on top without its hooks."""
        contexts.push(context)
        return self._own()

    def pop(self) -> Any:
        """Take the innermost context off without its hooks, and return it or None."""
        return contexts.pop()

    def _own(self) -> list[Any]:
        return [context for context in contexts if self._part(context) is context]

    def _see(self, _app: Any = None, **_: Any) -> None:
        show(self._seen, self._own())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._own()!r}>"
