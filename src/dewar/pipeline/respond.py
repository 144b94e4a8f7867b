"""The life of a request, from top to bottom.

There are three lanes, and the plan of an endpoint says which one its requests take.

- The *full lane* goes through the app's public methods one by one, so that whatever a subclass
  overrides is called where Flask calls it, and makes a `Response`.
- The *fast lane* takes the same steps from the plan, and sends a plain ``str``, ``bytes``, ``dict``
  or ``list`` without making a `Response`, if nothing could see or change one.
- The *suspendable lane* is for coroutine functions. A server that understands it needs no thread
  while they wait; with any other server the thread waits.

All three give byte-identical answers: a property test says so.
"""

from collections.abc import Callable, Iterable
from functools import partial
from wsgiref.types import StartResponse, WSGIEnvironment

from dewar.contexts.context import Context
from dewar.contexts.first_push import push_first
from dewar.loop.suspended import ON_LOOP, Suspended
from dewar.messages.response import Response
from dewar.pipeline.interface import PipelineApp
from dewar.pipeline.lanes import fast, full, suspendable
from dewar.pipeline.plan import FAST, FULL, SUSPENDABLE

_new = object.__new__


def respond(
    app: PipelineApp, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer one request (PEP 3333) in a new context."""
    composition = app._dewar_composed or app._dewar_compose()
    is_plain = composition.has_plain_contexts
    if is_plain:
        context = _new(Context)
        context._dewar_fill(app, environ)  # noqa: SLF001  # in place of the constructor
    else:
        context = app.request_context(environ)
    try:
        if is_plain:
            push_first(context, composition)
        else:
            context.push()
        rule = context._dewar_url_rule
        # Not that of before: the first request may have set up the app, as said below.
        composition = app._dewar_composed or app._dewar_compose()
        endpoint = None if rule is None else rule.endpoint
        plan = composition.plans.get(endpoint) or composition.plan_for(app, endpoint)
    except BaseException as error:  # noqa: BLE001  # answered or raised by the lane
        dispatch: Callable[[], Response] = partial(full.fail, error)
    else:
        lane = plan.lane
        # Not before, as in Flask: what runs earlier in the first request, such as middleware, a
        # session interface or a replaced `full_dispatch_request`, may still set up the app.
        if lane is not FULL and not app._got_first_request:
            app._got_first_request = True
        if lane is FAST:
            return fast.answer(app, context, plan, environ, start_response)
        if lane is SUSPENDABLE:
            return suspendable.answer(app, context, plan, start_response)
        dispatch = app.full_dispatch_request
        if plan.unwrapped is not None:
            dispatch = partial(full.dispatch_in_scope, app, context)
    return full.answer(app, context, dispatch, environ, start_response)


def begin_on_loop(
    app: PipelineApp, environ: WSGIEnvironment, start_response: StartResponse
) -> Suspended | None:
    """Return the work on the answer, not begun yet, if all functions in it are coroutine functions.

    Return None if any may block, or if routing finds more than a rule.
    """
    found = app._dewar_composition.match_wholly_async(app, environ)
    if found is None:
        return None
    if not app._got_first_request:
        app._got_first_request = True
    match, plan = found
    context = app.request_context(environ)
    context._dewar_url_rule, context._dewar_view_args = match
    steps = suspendable.Suspendable(app, context, plan, begins_on_loop=True).answer(start_response)
    return Suspended(steps, ON_LOOP, is_wholly_async=True)
