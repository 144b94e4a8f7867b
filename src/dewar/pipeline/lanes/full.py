"""The full lane: every step is a public method of the app."""

from collections.abc import Callable, Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from dewar.contexts.context import Context
from dewar.loop.from_thread import scope_in_thread
from dewar.messages.response import Response
from dewar.pipeline.interface import PipelineApp
from dewar.pipeline.plan import Plan
from dewar.pipeline.teardown import end


def answer(
    app: PipelineApp,
    context: Context,
    plan: Plan,
    environ: WSGIEnvironment,
    start_response: StartResponse,
) -> Iterable[bytes]:
    """Answer a request, and end its context."""

    def dispatch_in_scope() -> Response:
        with scope_in_thread(context):
            return app.full_dispatch_request()

    has_coroutines = plan.unwrapped is not None
    dispatch = dispatch_in_scope if has_coroutines else app.full_dispatch_request
    return _answer(app, context, dispatch, environ, start_response)


def answer_failure(
    app: PipelineApp,
    context: Context,
    failure: BaseException,
    environ: WSGIEnvironment,
    start_response: StartResponse,
) -> Iterable[bytes]:
    """Answer a request whose context could not be pushed, and end its context."""

    def fail() -> Response:
        raise failure

    return _answer(app, context, fail, environ, start_response)


def _answer(
    app: PipelineApp,
    context: Context,
    dispatch: Callable[[], Response],
    environ: WSGIEnvironment,
    start_response: StartResponse,
) -> Iterable[bytes]:
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
        return response(environ, start_response)
    finally:
        end(app, context, error)
