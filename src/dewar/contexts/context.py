"""`Context`: everything one request carries, or an app context, which is one without a request.

Ownership: a context belongs to the thread, greenlet or task that pushed it. Nothing here is
locked, because nothing here is shared; `Context.copy` makes one for another owner.
"""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from werkzeug.exceptions import HTTPException

from dewar.contexts.current import contexts, maybe_current, maybe_current_request
from dewar.contexts.interface import Composed
from dewar.contexts.stacks import State, with_popped, with_pushed
from dewar.contexts.state import ContextState
from dewar.errors import ContextOrderError
from dewar.routing.adapters import has_trusted_hosts
from dewar.routing.segment_tree import Match
from dewar.signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_tearing_down,
)
from dewar.support.first_error import FirstError

if TYPE_CHECKING:
    from dewar.contexts.snapshot import Snapshot

_UNGIVEN: Any = object()
# PERF: the two halves of each push and pop, which happen to every request.
_read, _write = contexts.reader, contexts.writer


class Context(ContextState):
    """The app, and while a request is handled also the request, its session and its `g`.

    Use it in a ``with`` block, or `push` and `pop` it. It may be pushed more than once; the
    teardown functions run at the last pop.

    A request context is an app context too, unless it is pushed inside one of the same app. Pushed
    again, it gets a new app context, as in Flask, and so another `g`.

    A subclass opens the session at once, see `dewar.contexts.eager`.

    Args:
        app: The app.
        environ: The WSGI environ of the request; None makes an app context.
        request: An existing request object for that environ.
        session: An existing session.
    """

    __slots__ = ()

    # The app context that the last push made for this request; and for each push before it whether
    # that owned its app context, the one outside of it, and the one made. Nearly all have none.
    _dewar_carrier: Any = None
    _dewar_earlier: tuple[tuple[bool, Any, Any], ...] = ()

    def copy(self) -> "Context":
        """Return a context for another owner, with the same request object and session."""
        if self._dewar_environ is None:
            return type(self)(self.app)
        # Opened now, so that the copy has the same session and not another of the same client.
        copied = type(self)(self.app, self._dewar_environ, self.request, self._dewar_open_session())
        copied._dewar_url_rule = self._dewar_url_rule
        copied._dewar_view_args = self._dewar_view_args
        copied._dewar_routing_exception = self._dewar_routing_exception
        return copied

    def _dewar_snapshot(self) -> "Snapshot":
        """Return a copy of this context for a job, which may begin after the context has ended."""
        from dewar.contexts.snapshot import Snapshot  # here, because most apps have no jobs

        return Snapshot.take(self)

    def _dewar_snapshot_from(self, portable: dict[str, Any]) -> "Snapshot":
        """Return the snapshot of a plain form (`Snapshot.portable`), for this context's app."""
        from dewar.contexts.snapshot import Snapshot

        return Snapshot.from_portable(self.app, portable)

    def push(self) -> None:
        """Make this the current context of the running thread, greenlet or task."""
        state, environ = _read(None), self._dewar_environ
        if environ is None:
            self._dewar_owns_app_context = True
            _write(with_pushed(state, app=self))
        elif state is None and self._dewar_may_own_app_context:
            # PERF: this is the usual request, on a server.
            self._dewar_owns_app_context = True
            self._dewar_may_own_app_context = False
            _write((self, self, None, None))
        else:
            self._dewar_push_over(state)
        self._dewar_pushes += 1
        if appcontext_pushed.receivers and self._dewar_owns_app_context:
            appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)
        if environ is not None and self._dewar_url_rule is None:
            if type(self) is not Context:
                self._dewar_make_parts()
            if self._dewar_routing_exception is None:
                self.match_request()

    def pop(self, exc: BaseException | None = _UNGIVEN) -> None:
        """Take this context off, after the teardown functions if it was pushed once.

        App contexts and request contexts may end in any order among each other. All teardown
        functions run even if some raise; the first error is raised at the end.

        Args:
            exc: The error that ended the work, passed to the teardown functions; by default the
                one that is being handled.

        Raises:
            ContextOrderError: If another context of the same kind is on top, or this one is not
                pushed.
        """
        state, carrier = _read(None), self._dewar_carrier
        if not self._dewar_is_on_top(state):
            raise ContextOrderError(_wrong_order(self))
        error = sys.exc_info()[1] if exc is _UNGIVEN else exc
        try:
            if self._dewar_pushes == 1 and self._dewar_is_watched:
                self._dewar_tear_down(error, self._dewar_rest_of(state))
            else:
                self._dewar_leave(self._dewar_rest_of(state))
                if self._dewar_pushes == 0:
                    self._dewar_close_request()
        finally:
            if carrier is not None:
                if self._dewar_pushes == 0:
                    self._dewar_carrier = None
                carrier.pop(error)

    def _dewar_leave(self, rest: State) -> None:
        """Take this context off, after its teardown functions; `rest` becomes the state."""
        _write(rest)
        self._dewar_pushes -= 1
        owned = self._dewar_owns_app_context
        if self._dewar_pushes and self._dewar_earlier:
            self._dewar_owns_app_context, self._dewar_outer, self._dewar_carrier = (
                self._dewar_earlier[-1]
            )
            self._dewar_earlier = self._dewar_earlier[:-1]
        if appcontext_popped.receivers and owned:
            appcontext_popped.send(self.app, _async_wrapper=self.app.ensure_sync)

    def _dewar_is_on_top(self, state: State) -> bool:
        """Whether this context may be popped in a state: it holds the top of its stacks."""
        return self._dewar_pushes > 0 and self._dewar_has_top_of(state)

    def _dewar_rest_of(self, state: State) -> State:
        """Return a state without this context, which is on top of it."""
        return with_popped(
            state, app=self._dewar_owns_app_context, request=self._dewar_environ is not None
        )

    def _dewar_uncover(self) -> Any:
        """Take off what was pushed over this request context; return one of it, or None."""
        found = None
        while (state := _read(None)) is not None and not self._dewar_has_top_of(state):
            is_request = state[1] is not None and state[1] is not self
            found = state[1] if is_request else state[0]
            # If there is no app context at all, this one was taken apart.
            request = is_request or found is None
            _write(with_popped(state, app=not is_request, request=request))
        return found

    def _dewar_preserve(self) -> None:
        """Let the next push continue with the `g` of this one, which ends."""
        self._dewar_may_own_app_context = self._dewar_owns_app_context

    def match_request(self) -> None:
        """Find the rule for the request; keep a routing error for later."""
        composition = self.app._dewar_composed or self.app._dewar_compose()
        self._dewar_match(composition, composition.index.match(self._dewar_environ or {}))

    def _dewar_match(self, composition: Composed, found: Match | None) -> None:
        """Keep what the index has found; ask the map if that is nothing."""
        refusal = composition.index.refuse(self._dewar_environ or {}) if found is None else None
        if refusal is not None and not has_trusted_hosts(
            self.app.config, composition.request_class
        ):
            self._dewar_fail_routing(refusal)
            return
        if found is None or has_trusted_hosts(self.app.config, composition.request_class):
            adapter = self.url_adapter
            if adapter is None:
                return
            try:
                rule, values = adapter.match(return_rule=True)
            except HTTPException as error:
                self._dewar_fail_routing(error)
                return
            found = rule, dict(values)
        self._dewar_url_rule, self._dewar_view_args = found
        if self._dewar_request is not None:
            self._dewar_request.url_rule, self._dewar_request.view_args = found

    def __enter__(self) -> Self:
        pushes = self._dewar_pushes
        try:
            self.push()
        except BaseException:
            # __exit__ is not called if __enter__ fails.
            if self._dewar_pushes > pushes:
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
        environ = self._dewar_environ
        if environ is None:
            return f"<{type(self).__name__} of {self.app.name}>"
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        return (
            f"<{type(self).__name__} {environ.get('REQUEST_METHOD')} {path!r} of {self.app.name}>"
        )

    @property
    def _dewar_is_watched(self) -> bool:
        """Whether the app or a signal has something to call when the context ends."""
        return (
            (self.app._dewar_composed or self.app._dewar_compose()).has_teardown
            or bool(request_tearing_down.receivers)
            or bool(appcontext_tearing_down.receivers)
            or bool(appcontext_popped.receivers)
        )

    def _dewar_has_top_of(self, state: State) -> bool:
        if state is None:
            return False
        app_context = self if self._dewar_owns_app_context else self._dewar_carrier
        return (self._dewar_environ is None or state[1] is self) and (
            app_context is None or state[0] is app_context
        )

    def _dewar_push_over(self, state: State) -> None:
        """Push a request context where others are, or again."""
        owned, outer, carrier = False, None, None
        if state is not None and state[0] is not None and state[0].app is self.app:
            outer = None if state[0] is self else state[0]
        elif self._dewar_may_own_app_context:
            owned = True
        else:
            outer = carrier = self.app.app_context()
            carrier.__enter__()  # takes itself off again if it fails
            state = _read(None)
        if self._dewar_pushes:
            self._dewar_earlier = (
                *self._dewar_earlier,
                (self._dewar_owns_app_context, self._dewar_outer, self._dewar_carrier),
            )
        self._dewar_owns_app_context, self._dewar_outer, self._dewar_carrier = owned, outer, carrier
        self._dewar_may_own_app_context = False
        _write(with_pushed(state, self if owned else None, self))

    def _dewar_make_parts(self) -> None:
        """Make what a program with classes of its own can see, before the rule is looked for."""
        self.g  # noqa: B018  # made at the first access
        # A URL converter may use it.
        self._dewar_open_session()

    def _dewar_tear_down(self, exc: BaseException | None, rest: State) -> None:
        """Run every step of the end, with `rest` as the state afterwards; raise the first error."""
        errors = teardown_errors(self.app)
        if self._dewar_environ is not None:
            errors.run(self.app.do_teardown_request, exc)
            if self._dewar_request is not None:
                errors.run(self._dewar_close_request)
        if self._dewar_owns_app_context:
            errors.run(self.app.do_teardown_appcontext, exc)
        errors.run(self._dewar_leave, rest)
        errors.raise_first()


def teardown_errors(app: Any) -> FirstError:
    """Return a collector for the errors at the end of a context; all but the first are logged."""
    return FirstError(
        lambda error: app.logger.error("A second teardown function failed", exc_info=error)
    )


def _wrong_order(context: Context) -> str:
    if context not in [*contexts.apps, *contexts.requests]:
        return (
            f"{context!r} cannot be popped: it is not pushed in this thread, greenlet or task."
            " Push and pop a context in the same place, best with a with block:"
            " with app.app_context(): ..."
        )
    request = maybe_current_request()
    is_request = context._dewar_environ is not None and request is not context
    top = request if is_request else maybe_current()
    return (
        f"{context!r} cannot be popped before {top!r}, which was pushed after it. Pop them in"
        " the opposite order of pushing, best with nested with blocks."
    )
