"""The end of a request's context, for all lanes.

All teardown functions are called, even if some raise. The first error is raised afterwards, and
the others are logged.
"""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from dewar.contexts.context import Context, teardown_errors
from dewar.contexts.current import contexts, maybe_current
from dewar.errors import ContextOrderError
from dewar.pipeline.interface import PipelineApp
from dewar.pipeline.stages import plan_of
from dewar.signals import appcontext_popped, appcontext_tearing_down, request_tearing_down
from dewar.support.first_error import FirstError

# Werkzeug's key for a function that wants the context.
_KEEP = "werkzeug.debug.preserve_context"

Function = Callable[..., Any]

_read, _write = contexts.reader, contexts.writer


def end(app: PipelineApp, context: Context, error: BaseException | None) -> None:
    """Take a request's context off, after its teardown functions.

    Raises:
        ContextOrderError: If the view pushed another context of this request's kinds and did not
            pop it.
    """
    if error is None:
        if end_unwatched(app, context):
            return
        if _is_alone(context) and _has_functions_only(app):
            _end_with_functions(app, context)
            return
    error, forgotten = _prepare(app, context, error)
    context.pop(error)
    if forgotten is not None:
        raise forgotten


def end_unwatched(app: PipelineApp, context: Context) -> bool:
    """Take a context off if its end needs no other step; return whether that was so.

    PERF: this is the usual end of a request.
    """
    state, composition = _read(None), app._dewar_composed
    if (
        state is None
        or state[0] is not context
        or state[2] is not None
        or state[3] is not None
        or context._dewar_pushes != 1
        # The class, because a subclass may have another `pop`.
        or type(context) is not Context
        or composition is None
        or composition.has_teardown
        or request_tearing_down.receivers
        or appcontext_tearing_down.receivers
        or appcontext_popped.receivers
        or _KEEP in context._dewar_environ  # type: ignore[operator]  # a request has one
    ):
        return False
    _write(None)
    context._dewar_pushes = 0
    request = context._dewar_request
    if request is not None:
        if composition.has_plain_requests:
            request.close()
            request.environ["werkzeug.request"] = None
        else:
            context._dewar_close_request()
    return True


async def end_with_coroutines(
    app: PipelineApp,
    context: Context,
    functions: Iterable[Function],
    error: BaseException | None,
    call: Callable[[Function], Awaitable[object]],
) -> None:
    """Do what `end` does, with teardown functions that may be coroutine functions.

    Args:
        app: The app.
        context: The context.
        functions: The teardown functions of the request.
        error: What ended the request, if it was an error.
        call: Calls a step on the event loop if that is a coroutine function, else on a thread.

    Raises:
        ContextOrderError: As `end` does.
    """
    error, forgotten = _prepare(app, context, error)
    rest = context._dewar_rest_of(contexts.state)
    errors = teardown_errors(app)
    await _await_all(errors, _steps(app, functions, request_tearing_down, error), call)
    errors.run(context._dewar_close_request)
    if context._dewar_owns_app_context:
        functions = reversed(app.teardown_appcontext_funcs)
        await _await_all(errors, _steps(app, functions, appcontext_tearing_down, error), call)
    if appcontext_popped.receivers:
        await _await_all(errors, [partial(context._dewar_leave, rest)], call)
    else:
        errors.run(context._dewar_leave, rest)
    errors.raise_first()
    if forgotten is not None:
        raise forgotten


def tear_down_request(
    app: PipelineApp, functions: Iterable[Function], error: BaseException | None
) -> None:
    """Run all teardown functions of a request, then raise the first error among theirs."""
    _run_all(app, _steps(app, functions, request_tearing_down, error))


def tear_down_app_context(app: PipelineApp, error: BaseException | None) -> None:
    """Run all teardown functions of an app context, then raise the first error among theirs."""
    functions = map(app.ensure_sync, reversed(app.teardown_appcontext_funcs))
    _run_all(app, _steps(app, functions, appcontext_tearing_down, error))


def _is_alone(context: Context) -> bool:
    """Whether a context can be taken off by setting no context."""
    state = _read(None)
    if state is None or state[0] is not context or context._dewar_pushes != 1:
        return False
    if state[2] is not None or state[3] is not None:
        return False
    # The class, because a subclass may have another `pop`.
    return type(context) is Context and _KEEP not in context._dewar_environ  # type: ignore[operator]  # a request has one


def _has_functions_only(app: PipelineApp) -> bool:
    """Whether teardown functions are all that has to be called at the end."""
    return app._dewar_composition.has_stock_teardown and not (
        request_tearing_down.receivers
        or appcontext_tearing_down.receivers
        or appcontext_popped.receivers
    )


def _end_with_functions(app: PipelineApp, context: Context) -> None:
    """Take off a context that is alone, after its teardown functions."""
    errors = teardown_errors(app)
    for function in plan_of(app, context).teardown:
        errors.run(function, None)
    if context._dewar_request is not None:
        errors.run(context._dewar_close_request)
    for function in reversed(app.teardown_appcontext_funcs):
        errors.run(app.ensure_sync(function), None)
    errors.run(context._dewar_leave, None)
    errors.raise_first()


def _steps(
    app: PipelineApp, functions: Iterable[Function], signal: Any, error: BaseException | None
) -> list[Function]:
    """Return what to call: the teardown functions, and the signal if it has receivers."""
    steps: list[Function] = [partial(function, error) for function in functions]
    if signal.receivers:
        steps.append(partial(signal.send, app, _async_wrapper=app.ensure_sync, exc=error))
    return steps


def _run_all(app: PipelineApp, steps: list[Function]) -> None:
    if len(steps) < 2:
        # PERF: usually there is one, and its error is the first.
        for step in steps:
            step()
        return
    errors = teardown_errors(app)
    for step in steps:
        errors.run(step)
    errors.raise_first()


async def _await_all(
    errors: FirstError, steps: Iterable[Function], call: Callable[[Function], Awaitable[object]]
) -> None:
    for step in steps:
        try:
            await call(step)
        except BaseException as error:  # noqa: BLE001  # the other steps have to run as well
            errors.keep(error)


def _prepare(
    app: PipelineApp, context: Context, error: BaseException | None
) -> tuple[BaseException | None, ContextOrderError | None]:
    """Return the error for the teardown functions, and the error to raise after them."""
    keep = context._dewar_environ.get(_KEEP)  # type: ignore[union-attr]  # a request has one
    if keep is not None:
        _preserve(context, keep)
    if error is not None and app.should_ignore_error(error):
        error = None
    is_on_top = context._dewar_pushes == 1 and context._dewar_is_on_top(contexts.state)
    return error, None if is_on_top else _uncover(context)


def _preserve(context: Context, keep: Callable[[Any], object]) -> None:
    """Give a debugger or a test client the contexts that it needs to enter the request again."""
    app_context = maybe_current()
    if app_context not in {context, None}:
        keep(app_context)
    context._dewar_preserve()
    keep(context)


def _uncover(context: Context) -> ContextOrderError:
    """Take off the contexts that were left on top of one; return the error that names them."""
    left_over = context._dewar_uncover()
    while context._dewar_pushes > 1:
        # The view had pushed it once more.
        left_over = context
        context._dewar_leave(context._dewar_rest_of(contexts.state))
        context._dewar_uncover()
    return ContextOrderError(
        f"The view of {context!r} pushed {left_over!r} and did not pop it; it was removed now."
        " Push and pop a context in the same place, best with a with block:"
        " with app.app_context(): ..."
    )
