"""The current contexts as Flask 3 (two context variables) and Flask 2.1 (two stacks) show them.

Dewar has both stacks in one context variable (`dewar.contexts.stacks`). Extensions and teaching
material expect two. These classes are views of the one. They store nothing, except that
`ContextStack` records the contexts of other threads.
"""

from enum import Enum
from typing import Any

from dewar.contexts.current import OUTSIDE_APP, OUTSIDE_REQUEST, contexts
from dewar.contexts.stacks import with_popped, with_pushed
from dewar.errors import UnboundError
from dewar.isolation.local import Local
from dewar.isolation.stack import show
from dewar.signals import appcontext_popped, appcontext_pushed

_UNGIVEN: Any = object()


class Kind(Enum):
    """The two kinds of contexts; the value is the place in the state."""

    APP = 0
    REQUEST = 1

    @property
    def top(self) -> Any:
        """The innermost context of this kind, or None."""
        state = contexts.state
        return None if state is None else state[self.value]

    @property
    def stack(self) -> tuple[Any, Any]:
        """The innermost context of this kind, and the others: pairs, as in the state."""
        return self.top, contexts.state and contexts.state[self.value + 2]

    @stack.setter
    def stack(self, stack: tuple[Any, Any]) -> None:
        # All of this kind are replaced, and all of the other kind stay.
        both = [*(contexts.state or (None,) * 4)]
        both[self.value :: 2] = stack
        contexts.writer(None if both[:2] == [None, None] else tuple(both))

    def push(self, context: Any) -> None:
        """Put a context on top without its hooks."""
        app, request = (context, None) if self is Kind.APP else (None, context)
        contexts.writer(with_pushed(contexts.state, app, request))

    def pop(self) -> Any:
        """Take the innermost context off without its hooks, and return it or None."""
        top = self.top
        contexts.writer(with_popped(contexts.state, self is Kind.APP, self is Kind.REQUEST))
        return top

    def all(self) -> list[Any]:
        """Return the contexts of this kind, the innermost last."""
        return contexts.apps if self is Kind.APP else contexts.requests


class ContextCell:
    """The current context, as the `contextvars.ContextVar` that Flask 3 keeps it in.

    Args:
        name: The variable's name.
        kind: The kind of the contexts.
        unbound_message: The text of the error if it holds nothing.
    """

    def __init__(self, name: str, kind: Kind, unbound_message: str) -> None:
        self.name = name
        self._kind = kind
        self._unbound_message = unbound_message

    def get(self, default: Any = _UNGIVEN) -> Any:
        """Return the context, or the default.

        Raises:
            LookupError: If there is neither.
        """
        context = self._kind.top
        if context is not None:
            return context
        if default is _UNGIVEN:
            raise LookupError(self._unbound_message)
        return default

    def set(self, context: Any) -> Any:
        """Put a context on top without its hooks; return a token for `reset`."""
        before = self._kind.stack
        self._kind.push(context)
        return before

    def reset(self, token: Any) -> None:
        """Restore the contexts of this kind from before `set`."""
        self._kind.stack = token

    def current(self) -> Any:
        """Return the context.

        Raises:
            UnboundError: If there is none.
        """
        context = self._kind.top
        if context is None:
            raise UnboundError(self._unbound_message)
        return context

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self.get(None)!r}>"


#: Flask's ``_cv_app`` and ``_cv_request``.
app_cell = ContextCell("flask.app_ctx", Kind.APP, OUTSIDE_APP)
request_cell = ContextCell("flask.request_ctx", Kind.REQUEST, OUTSIDE_REQUEST)


class ContextStack:
    """The contexts of one kind, as the `LocalStack` that Flask 2.1 kept them on.

    Args:
        kind: The kind of the contexts.
    """

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._seen = Local()
        # From now on the contexts of other threads can be shown as well.
        appcontext_pushed.connect(self._see)
        appcontext_popped.connect(self._see)

    @property
    def top(self) -> Any:
        """The innermost context of this kind, or None."""
        return self._kind.top

    @property
    def _local(self) -> Local:
        """The storage: ``_local.__storage__`` is ``{owner: {"stack": [context, ...]}}``."""
        self._see()
        return self._seen

    def push(self, context: Any) -> list[Any]:
        """Put a context on top without its hooks."""
        self._kind.push(context)
        return self._kind.all()

    def pop(self) -> Any:
        """Take the innermost context off without its hooks, and return it or None."""
        return self._kind.pop()

    def _see(self, _app: Any = None, **_: Any) -> None:
        show(self._seen, self._kind.all())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._kind.all()!r}>"
