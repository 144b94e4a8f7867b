"""The end of a request's context, whatever its view has left on top of it."""

from typing import Any

from dewar.contexts.context import Context
from dewar.contexts.current import contexts
from dewar.errors import ContextOrderError
from dewar.pipeline.interface import PipelineApp

# Werkzeug's key for what wants the context.
_KEEP = "werkzeug.debug.preserve_context"


def end(app: PipelineApp, context: Context, error: BaseException | None) -> None:
    """Take a request's context off, after its teardown functions.

    Raises:
        ContextOrderError: If the view pushed another and did not pop it.
    """
    # PERF: this and the next are `preserve` and `is_uncovered` without the calls.
    if _KEEP in context.environ:  # type: ignore[operator]  # a request has one
        preserve(context)
    if error is not None and app.should_ignore_error(error):
        error = None
    if contexts.top is context and context.pushes == 1:
        context.pop(error)
        return
    forgotten = uncover(context)
    context.pop(error)
    raise forgotten


def end_unwatched(app: PipelineApp, context: Context, error: BaseException | None) -> None:
    """Do what `end` does for a context that nobody watches, in fewer steps.

    Raises:
        ContextOrderError: As there.
    """
    node = contexts.reader(None)
    is_on_top = bool(node) and node[0] is context and context.pushes == 1
    if is_on_top and _KEEP not in context.environ:  # type: ignore[operator]  # as above
        context.leave(node[1])
        context.close_request()
    else:
        end(app, context, error)


def preserve(context: Context) -> None:
    """Keep the context for a debugger or a test client that asked for it."""
    environ: Any = context.environ
    keep = environ.get(_KEEP)
    if keep is not None:
        keep(context)


def is_uncovered(context: Context) -> bool:
    """Whether a context is on top, as it was when its view began."""
    return contexts.top is context and context.pushes == 1


def uncover(context: Context) -> ContextOrderError:
    """Take off what was left on top of a context; return the error that says so."""
    left_over = contexts.top
    while context in contexts and (contexts.top is not context or context.pushes > 1):
        if contexts.pop() is context:
            context.pushes -= 1  # the view had pushed it once more
    return ContextOrderError(
        f"The view of {context!r} pushed {left_over!r} and did not pop it; it was removed now."
        " Push and pop a context in the same place, best with a with block:"
        " with app.app_context(): ..."
    )
