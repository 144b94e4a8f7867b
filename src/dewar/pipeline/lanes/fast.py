"""The fast lane: a plain value is sent without a `Response` if no hook has to see one."""

from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from dewar.contexts.context import Context
from dewar.json.provider import DefaultJSONProvider, render
from dewar.messages import sending
from dewar.pipeline.interface import PipelineApp
from dewar.pipeline.plan import Plan
from dewar.pipeline.stages import dispatch, finalize_stock, has_session_cookie, preprocess
from dewar.pipeline.teardown import end, end_unwatched
from dewar.signals import request_finished, request_started

Header = tuple[str, str]

_HTML: Header = ("Content-Type", "text/html; charset=utf-8")
_JSON: Header = ("Content-Type", "application/json")
# As it is at import, for the reason in `dewar.pipeline.composition.stock_methods`.
_STOCK_RESPONSE = DefaultJSONProvider.response


def answer(
    app: PipelineApp,
    context: Context,
    plan: Plan,
    environ: WSGIEnvironment,
    start_response: StartResponse,
) -> Iterable[bytes]:
    """Answer a request, and end its context."""
    error: BaseException | None = None
    try:
        try:
            returned = _run_view(app, context, plan)
            # PERF: most views return text, for which `plain_body` does the same.
            is_text = type(returned) is str
            plain = (_HTML, returned.encode()) if is_text else plain_body(app, returned)
            if plain is not None and not wants_response(app, plan, context):
                return send(plain, environ, start_response)
            answered = returned if plain is None else sending.make(*plain)
            response = finalize_stock(app, context, answered)
        except Exception as failure:  # noqa: BLE001  # every error becomes an answer
            error = failure
            response = app.handle_exception(failure)
        except BaseException as exit_:
            error = exit_
            raise
        may_change = app._dewar_composition.has_teardown
        return sending.send(response, environ, start_response, may_change=may_change)
    finally:
        # PERF: the usual end, without another call.
        if error is not None or not end_unwatched(app, context):
            end(app, context, error)


def _run_view(app: PipelineApp, context: Context, plan: Plan) -> Any:
    """Return what a hook, the view, or the handler of their error returned."""
    try:
        if request_started.receivers:
            request_started.send(app, _async_wrapper=app.ensure_sync)
        # PERF: many have nothing before the view.
        if plan.before or plan.preprocessors:
            returned = preprocess(plan, context)
            if returned is not None:
                return returned
        # PERF: `dispatch` does the same. Nearly all requests have matched, and without a request
        # object nothing can have changed that.
        is_matched = context._dewar_request is None and context._dewar_routing_exception is None
        if is_matched and context._dewar_environ["REQUEST_METHOD"] != "OPTIONS":  # type: ignore[index]  # there is one
            values: Any = context._dewar_view_args
            # PERF: keywords take more than what they say here, the one argument there is.
            if len(values) == 1 and plan.first_parameter in values:
                return plan.view(values[plan.first_parameter])
            return plan.view(**values) if values else plan.view()
        return dispatch(app, plan, context)
    except Exception as error:  # noqa: BLE001  # the app decides what it becomes
        return app.handle_user_exception(error)


def plain_body(app: PipelineApp, returned: Any) -> tuple[Header, bytes] | None:
    """Return the content type and the body of a plain value, or None for any other."""
    kind = type(returned)
    if kind is str:
        return _HTML, returned.encode()
    if kind is bytes:
        return _HTML, returned
    if kind is dict or kind is list:
        provider = app.json
        # Exactly the default provider: another one may make another kind of response. A program
        # may also give the object, or for a test the class, another method.
        if (
            type(provider) is DefaultJSONProvider
            and provider.mimetype == "application/json"
            and "response" not in provider.__dict__
            and DefaultJSONProvider.response is _STOCK_RESPONSE
        ):
            return _JSON, render(provider, returned).encode()
    return None


def wants_response(app: PipelineApp, plan: Plan, context: Context) -> bool:
    """Whether a hook, the session or a signal has to see a `Response`."""
    return bool(
        plan.after
        or request_finished.receivers
        or context._dewar_session is not None
        or context._dewar_after_functions is not None
        # PERF: most clients send none.
        or (
            "HTTP_COOKIE" in context._dewar_environ  # type: ignore[operator]  # there is a request
            and has_session_cookie(app, context)
            and _renews_session(app, context)
        )
    )


def _renews_session(app: PipelineApp, context: Context) -> bool:
    """Whether a session that the request has not used is sent again, as it is permanent."""
    session = context._dewar_open_session()
    return bool(session) and app.session_interface.should_set_cookie(app, session)  # type: ignore[arg-type]  # the app is wider


def send(
    plain: tuple[Header, bytes], environ: WSGIEnvironment, start_response: StartResponse
) -> list[bytes]:
    """Answer with a plain body."""
    content_type, body = plain
    start_response("200 OK", [content_type, ("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
