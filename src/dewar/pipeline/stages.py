"""The stages of a request that the app's public methods stand for."""

from collections.abc import Callable
from functools import partial
from typing import Any

from dewar.contexts.context import Context
from dewar.contexts.current import current_request
from dewar.errors import DewarError
from dewar.messages.response import Response
from dewar.messages.switched_response import SwitchedResponse
from dewar.pipeline import failures
from dewar.pipeline.interface import PipelineApp
from dewar.pipeline.plan import Plan
from dewar.pipeline.return_values import make_response
from dewar.signals import request_finished, request_started

FINALIZING_FAILED = "Request finalizing failed with an error while handling an error"


class NoResponseReturnedError(DewarError, TypeError):
    """Raised when an `after_request` function forgot to return the response."""


def plan_of(app: PipelineApp, context: Context) -> Plan:
    """Return the plan for the rule that a request matched, or for none."""
    rule = context._dewar_url_rule
    plan: Plan = app._dewar_composition.plan_for(app, None if rule is None else rule.endpoint)
    return plan


def full_dispatch(app: PipelineApp) -> Response:
    """Take a request through the app's methods, from its hooks to its response."""
    try:
        if request_started.receivers:
            request_started.send(app, _async_wrapper=app.ensure_sync)
        returned = app.preprocess_request()
        if returned is None:
            returned = app.dispatch_request()
    except Exception as error:  # noqa: BLE001  # the app decides what it becomes
        returned = app.handle_user_exception(error)
    return app.finalize_request(returned)


def preprocess(plan: Plan, context: Context) -> Any:
    """Run the functions before the view; return the first answer that is not None."""
    if plan.preprocessors:
        request = context.request
        for preprocessor in plan.preprocessors:
            preprocessor(request.endpoint, request.view_args)
    for before in plan.before:
        returned = before()
        if returned is not None:
            return returned
    return None


def dispatch(app: PipelineApp, plan: Plan, context: Context) -> Any:
    """Return what the view returned, or the automatic answer to OPTIONS."""
    request = context._dewar_request
    # A hook may have changed the match, but only through the request object.
    error: Any
    values: Any
    if request is None:
        error, rule = context._dewar_routing_exception, context._dewar_url_rule
        values, method = context._dewar_view_args, context._dewar_environ["REQUEST_METHOD"]  # type: ignore[index]  # there is a request
    else:
        error, rule = request.routing_exception, request.url_rule
        values, method = request.view_args, request.method
    if error is not None:
        if failures.is_own_answer(app, context, error):
            # PERF: nothing of the program sees that it is not raised. What raised it in the map has
            # frames that refer to this request.
            error.__traceback__ = error.__context__ = None
            return error
        app.raise_routing_exception(context.request)
    if rule is not context._dewar_url_rule:
        plan = app._dewar_composition.plan_for(app, rule.endpoint)  # type: ignore[union-attr]  # no error, so it has one
    if method == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
        return app.make_default_options_response()
    return plan.view(**values)


def finalize(app: PipelineApp, returned: Any, from_error_handler: bool) -> Response:
    """Make a response of a returned value, and run the functions after the view."""
    if type(returned) is SwitchedResponse:
        begin_background_work_after(app, current_request(), returned)
        return returned  # the hooks have seen it
    response = app.make_response(returned)
    try:
        response = app.process_response(response)
        if request_finished.receivers:
            request_finished.send(app, _async_wrapper=app.ensure_sync, response=response)
    except Exception:
        if not from_error_handler:
            raise
        # The client gets the answer to the first error.
        app.logger.exception(FINALIZING_FAILED)
    begin_background_work_after(app, current_request(), response)
    return response


def finalize_stock(app: PipelineApp, context: Context, returned: Any) -> Response:
    """Do what `finalize` does for an app that overrides none of its stages."""
    # PERF: without a lookup of the context and a call in each of four methods.
    if type(returned) is SwitchedResponse:
        return finalize(app, returned, from_error_handler=False)
    response = returned
    if type(response) is not Response:
        response = make_response(app, returned, context)
    response = process_response(app, context, response)
    if request_finished.receivers:
        request_finished.send(app, _async_wrapper=app.ensure_sync, response=response)
    if context._dewar_background_work is not None:
        begin_background_work_after(app, context, response)
    return response


def begin_background_work_after(app: PipelineApp, context: Context, response: Response) -> None:
    """Start the background work of a request when its response has been sent."""
    if context._dewar_background_work is not None:
        response.call_on_close(
            partial(app._dewar_after_responses.begin, context._dewar_background_work)
        )


def process_response(app: PipelineApp, context: Context, response: Response) -> Response:
    """Run the `after_request` functions, and save the session into the response."""
    returned: Response | None
    for function in context._dewar_after_functions or ():
        returned = app.ensure_sync(function)(response)
        response = checked(function, returned) if returned is None else returned
    for function in plan_of(app, context).after:
        returned = function(response)
        # PERF: a call for a mistake only.
        response = checked(function, returned) if returned is None else returned
    # PERF: most requests have no session and no cookie.
    if (
        context._dewar_session is not None
        or "HTTP_COOKIE" in context._dewar_environ  # type: ignore[operator]  # a request has one
        or type(context) is not Context
    ):
        save_session(app, context, response)
    return response


def save_session(app: PipelineApp, context: Context, response: Response) -> None:
    """Save the session into the response, if there is one."""
    session: Any = context._dewar_session
    if session is None and type(context) is Context:
        if not has_session_cookie(app, context):
            return
        # The cookie of a permanent session is refreshed even if the session was not read.
        session = context._dewar_open_session()
    # It is None if it could not be opened.
    if not app.session_interface.is_null_session(session):
        app.session_interface.save_session(app, session, response)  # type: ignore[arg-type]  # the app is wider


def checked(function: Callable[..., Any], returned: Response | None) -> Response:
    """Return what an `after_request` function returned, unless that is None."""
    if returned is None:
        raise NoResponseReturnedError(
            f"The after_request function {function!r} returned None. It has to return the"
            " response that it received, or another one: return response."
        )
    return returned


def has_session_cookie(app: PipelineApp, context: Context) -> bool:
    """Whether the client may have sent a session; it may be true without one."""
    cookie = None if context._dewar_environ is None else context._dewar_environ.get("HTTP_COOKIE")
    return cookie is not None and app.session_interface.get_cookie_name(app) in cookie  # type: ignore[arg-type]  # the app is wider
