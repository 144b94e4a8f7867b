"""`Context`: everything one request carries, or an app context, which is one without a request.

Ownership: a context belongs to the thread, greenlet or task that pushed it. Nothing here is
locked, because nothing here is shared; `Context.copy` makes one for another owner.
"""

import sys
from types import TracebackType
from typing import Any, Self

from werkzeug.exceptions import HTTPException

from dewar.contexts.current import contexts, maybe_current
from dewar.contexts.snapshot import Snapshot
from dewar.contexts.state import ContextState
from dewar.errors import ContextOrderError
from dewar.routing.adapters import has_trusted_hosts
from dewar.signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_tearing_down,
)
from dewar.support.first_error import FirstError

_UNGIVEN: Any = object()
# PERF: the two halves of the stack's push and pop, which happen to every request.
_read, _write = contexts.reader, contexts.writer


class Context(ContextState):
    """The app, and while a request is handled also the request, its session and its `g`.

    Use it in a ``with`` block, or `push` and `pop` it. It may be pushed more than once; the
    teardown functions run at the last pop.

    Args:
        app: The app.
        environ: The WSGI environ of the request; None makes an app context.
        request: An existing request object for that environ.
        session: An existing session.
    """

    __slots__ = ()

    def copy(self) -> "Context":
        """Return a context for another owner, with the same request object and session."""
        if self.environ is None:
            return type(self)(self.app)
        # Opened now, so that the copy has the same session and not another of the same client.
        copied = type(self)(self.app, self.environ, self.request, self.open_session())
        copied.url_rule = self.url_rule
        copied.view_args = self.view_args
        copied.routing_exception = self.routing_exception
        return copied

    def snapshot(self) -> Snapshot:
        """Return a copy of this context for a job, which may begin after the context has ended."""
        return Snapshot.take(self)

    def snapshot_from(self, portable: dict[str, Any]) -> Snapshot:
        """Return the snapshot of a plain form (`Snapshot.portable`), for this context's app."""
        return Snapshot.from_portable(self.app, portable)

    def push(self) -> None:
        """Make this the current context of the running thread, greenlet or task."""
        node = _read(None)
        if self.pushes == 0 and node:
            self._below = node[0]
        _write((self, node))
        self.pushes += 1
        if appcontext_pushed.receivers and self.owns_app_context:
            appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)
        if self.environ is not None and self.url_rule is None:
            self._begin_request()

    def pop(self, exc: BaseException | None = _UNGIVEN) -> None:
        """Take this context off, after the teardown functions if it was pushed once.

        All teardown functions run even if some raise; the first error is raised at the end.

        Args:
            exc: The error that ended the work, passed to the teardown functions; by default the
                one that is being handled.

        Raises:
            ContextOrderError: If another context is on top, or this one is not pushed.
        """
        node = _read(None)
        if not node or node[0] is not self:
            raise ContextOrderError(_wrong_order(self))
        if self.pushes == 1 and self.is_watched:
            self._tear_down(sys.exc_info()[1] if exc is _UNGIVEN else exc, node[1])
        else:
            self.leave(node[1])
            if self.pushes == 0:
                self.close_request()

    def leave(self, rest: Any) -> None:
        """Take this context off, after its teardown functions; `rest` becomes the stack."""
        _write(rest)
        self.pushes -= 1
        if appcontext_popped.receivers and self.owns_app_context:
            appcontext_popped.send(self.app, _async_wrapper=self.app.ensure_sync)

    def match_request(self) -> None:
        """Find the rule for the request; keep a routing error for later."""
        app = self.app
        found = app._dewar_composition.index.match(self.environ or {})
        if found is None or has_trusted_hosts(app.config, app.request_class):
            adapter = self.url_adapter
            if adapter is None:
                return
            try:
                rule, values = adapter.match(return_rule=True)
            except HTTPException as error:
                self._fail_routing(error)
                return
            found = rule, dict(values)
        self.url_rule, self.view_args = found
        if self.made_request is not None:
            self.made_request.url_rule, self.made_request.view_args = found

    def __enter__(self) -> Self:
        try:
            self.push()
        except BaseException:
            # __exit__ is not called if __enter__ fails.
            self.pop()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.pop(exc_value)

    def __repr__(self) -> str:
        environ = self.environ
        if environ is None:
            return f"<{type(self).__name__} of {self.app.name}>"
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        return (
            f"<{type(self).__name__} {environ.get('REQUEST_METHOD')} {path!r} of {self.app.name}>"
        )

    @property
    def is_watched(self) -> bool:
        """Whether the app or a signal has something to call when the context ends."""
        return (
            self.app._dewar_composition.has_teardown
            or bool(request_tearing_down.receivers)
            or bool(appcontext_tearing_down.receivers)
            or bool(appcontext_popped.receivers)
        )

    def _begin_request(self) -> None:
        # The session first, because a URL converter may use it.
        if self.opened_session is None and self.app._dewar_composition.opens_session_at_once:
            self.open_session()
        if self.routing_exception is None:
            self.match_request()

    def _tear_down(self, exc: BaseException | None, rest: Any) -> None:
        """Run every step of the end, with `rest` as the stack afterwards; raise the first error."""
        errors = teardown_errors(self.app)
        if self.environ is not None:
            errors.run(self.app.do_teardown_request, exc)
            if self.made_request is not None:
                errors.run(self.close_request)
        if self.owns_app_context:
            errors.run(self.app.do_teardown_appcontext, exc)
        errors.run(self.leave, rest)
        errors.raise_first()


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


def teardown_errors(app: Any) -> FirstError:
    """Return a collector for the errors at the end of a context; all but the first are logged."""
    return FirstError(
        lambda error: app.logger.error("A second teardown function failed", exc_info=error)
    )


def _wrong_order(context: Context) -> str:
    top = contexts.top
    if top is None or context not in list(contexts):
        return (
            f"{context!r} cannot be popped: it is not pushed in this thread, greenlet or task."
            " Push and pop a context in the same place, best with a with block:"
            " with app.app_context(): ..."
        )
    return (
        f"{context!r} cannot be popped before {top!r}, which was pushed after it. Pop them in"
        " the opposite order of pushing, best with nested with blocks."
    )
