"""The life of a request, from top to bottom.

There are three lanes. The *full lane* goes through the app's public methods one by one, so that
whatever a subclass overrides is called where Flask calls it, and makes a `Response`. The *fast
lane* takes the same steps from the endpoint's plan, and sends a plain ``str``, ``bytes``,
``dict`` or ``list`` without making a `Response`, where nothing could see or change one. The
*suspendable lane* is taken where there are coroutine functions: a server that understands it
needs no thread while they wait, and with any other the thread waits. All give byte-identical
answers: a property test says so.
"""

from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from dewar.contexts.context import Context
from dewar.loop.from_thread import scope_in_thread
from dewar.loop.suspended import ON_LOOP, SUSPENDS, Suspended, begin, wait_in_thread
from dewar.messages.response import Response
from dewar.pipeline.ending import end
from dewar.pipeline.interface import PipelineApp
from dewar.pipeline.plain import plain_body, send, wants_response
from dewar.pipeline.plan import Plan
from dewar.pipeline.stages import dispatch, preprocess
from dewar.pipeline.suspendable import Suspendable
from dewar.signals import request_started


def respond(
    app: PipelineApp, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer one request (PEP 3333) in a context of its own."""
    context = app.request_context(environ)
    error: BaseException | None = None
    unwrapped: Plan | None = None
    try:
        try:
            context.push()
            composition = app.composition
            rule = context.url_rule
            plan = composition.plan_for(None if rule is None else rule.endpoint)
            if plan.unwrapped is not None and composition.suspends:
                unwrapped = plan.unwrapped
            elif plan.unwrapped is not None:
                response = _dispatch_in_scope(app, context)
            elif rule is None or not composition.has_fast_lane:
                response = app.full_dispatch_request()
            elif (
                plain := plain_body(app, returned := _run_view(app, plan, context))
            ) is not None and not wants_response(app, plan, context):
                return send(plain, environ, start_response)
            else:
                response = app.finalize_request(returned)
        except Exception as failure:  # noqa: BLE001  # every error becomes an answer
            error = failure
            response = app.handle_exception(failure)
        except BaseException as exit_:
            error = exit_
            raise
        if unwrapped is None:
            return response(environ, start_response)
    finally:
        if unwrapped is None:
            end(app, context, error)
    steps = Suspendable(app, context, unwrapped).answer(start_response)
    if SUSPENDS in environ:
        return begin(steps, plan.is_wholly_async and composition.may_be_wholly_async)
    return wait_in_thread(steps)


def maybe_on_loop(
    app: PipelineApp, environ: WSGIEnvironment, start_response: StartResponse
) -> Suspended | None:
    """Return the work on the answer, not begun yet, if all functions in it are coroutine functions.

    None where any may block, or routing has more to say than which rule it is.
    """
    found = app.composition.match_wholly_async(environ)
    if found is None:
        return None
    match, plan = found
    context = app.request_context(environ)
    context.url_rule, context.view_args = match
    steps = Suspendable(app, context, plan, begins_on_loop=True).answer(start_response)
    return Suspended(steps, ON_LOOP, is_wholly_async=True)


def _dispatch_in_scope(app: PipelineApp, context: Context) -> Response:
    """Return the response of coroutine functions that this thread waits for."""
    with scope_in_thread(context):
        return app.full_dispatch_request()


def _run_view(app: PipelineApp, plan: Plan, context: Context) -> Any:
    """Return what a hook, the view, or the handler of their error returned."""
    try:
        if request_started.receivers:
            request_started.send(app, _async_wrapper=app.ensure_sync)
        returned = preprocess(plan, context)
        return dispatch(app, plan, context) if returned is None else returned
    except Exception as error:  # noqa: BLE001  # the app decides what it becomes
        return app.handle_user_exception(error)
