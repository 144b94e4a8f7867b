"""`SplitContext`: a request inside an app context that a method of the app makes."""

from typing import Any

from dewar.contexts.context import Context
from dewar.contexts.current import maybe_current

_UNGIVEN: Any = object()


class SplitContext(Context):
    """A request context for an app whose class overrides `app_context`.

    Otherwise one context is both. Here `app_context` is called for each request, as Flask does,
    and the request's context is pushed on top of it.

    The constructor's arguments are those of `Context`.
    """

    _carrier: Any = None

    def push(self) -> None:
        """Push the app's context, unless it is the current one, and then this one."""
        below = maybe_current()
        if self.pushes == 0 and (below is None or below.app is not self.app):
            self._carrier = self.app.app_context()
            self._carrier.push()
        super().push()

    def pop(self, exc: BaseException | None = _UNGIVEN) -> None:
        """Take this context off, and the app's too if this was the last push."""
        given = () if exc is _UNGIVEN else (exc,)
        try:
            super().pop(*given)
        finally:
            carrier = self._carrier
            if self.pushes == 0 and carrier is not None:
                self._carrier = None
                carrier.pop(*given)
