"""The full lane: every step is a public method of the app."""

from collections.abc import Callable, Iterable
from typing import NoReturn
from wsgiref.types import StartResponse, WSGIEnvironment

from dewar.contexts.context import Context
from dewar.loop.from_thread import scope_in_thread
from dewar.messages import sending
from dewar.messages.response import Response
from dewar.pipeline.interface import PipelineApp
from dewar.pipeline.teardown import end


def answer(
    app: PipelineApp,
    context: Context,
    dispatch: Callable[[], Response],
    environ: WSGIEnvironment,
    start_response: StartResponse,
) -> Iterable[bytes]:
    """Answer a request with what `dispatch` returns, and end its context."""
    error: BaseException | None = None
    try:
        try:
            response = dispatch()
        except Exception as failure:  # noqa: BLE001  # every error becomes an answer
            error = failure
            response = app.handle_exception(failure)
        except BaseException as exit_:
            error = exit_
            raise
        # PERF: most apps of this lane have the stock class.
        composition = app._dewar_composition
        if composition.has_stock_response:
            may_change = composition.has_teardown
            return sending.send(response, environ, start_response, may_change=may_change)
        return response(environ, start_response)
    finally:
        end(app, context, error)


def dispatch_in_scope(app: PipelineApp, context: Context) -> Response:
    """Return the response of a request with coroutine functions; their tasks end with it."""
    with scope_in_thread(context):
        return app.full_dispatch_request()


def fail(error: BaseException) -> NoReturn:
    """Raise the error of a request that has no plan."""
    raise error
