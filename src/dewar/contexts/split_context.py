"""`SplitContext`: a request inside an app context that the app makes in a way of its own."""

from typing import Any

from dewar.contexts.context import Context
from dewar.contexts.current import maybe_current

_UNGIVEN: Any = object()


class SplitContext(Context):
    """A request context for an app whose class has an `app_context` method of its own.

    One context is otherwise both. Here the app is asked for its app context, as Flask does for
    each request, and the request's lies on top of that.

    The constructor's arguments are those of `Context`.
    """

    _carrier: Any = None

    def push(self) -> None:
        """Push the app's context, unless it is there already, and then this one."""
        below = maybe_current()
        if self.pushes == 0 and (below is None or below.app is not self.app):
            self._carrier = self.app.app_context()
            self._carrier.push()
        super().push()

    def pop(self, exc: BaseException | None = _UNGIVEN) -> None:
        """Take this context off, and with the last push the app's too."""
        given = () if exc is _UNGIVEN else (exc,)
        try:
            super().pop(*given)
        finally:
            carrier = self._carrier
            if self.pushes == 0 and carrier is not None:
                self._carrier = None
                carrier.pop(*given)
