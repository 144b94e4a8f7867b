"""The life of a request, from top to bottom.

There are two lanes. The *full lane* goes through the app's public methods one by one, so that
whatever a subclass overrides is called where Flask calls it, and makes a `Response`. The *fast
lane* takes the same steps from the endpoint's plan, and sends a plain ``str``, ``bytes``,
``dict`` or ``list`` without making a `Response`, where nothing could see or change one. Both give
byte-identical answers: a property test says so.
"""

from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from dewar.contexts.context import Context
from dewar.contexts.current import contexts
from dewar.errors import ContextOrderError
from dewar.json.provider import DefaultJSONProvider
from dewar.pipeline.interface import PipelineApp
from dewar.pipeline.plan import Plan
from dewar.pipeline.stages import has_session_cookie, preprocess
from dewar.signals import request_finished, request_started

__all__ = ["dispatch", "respond"]

Header = tuple[str, str]

_HTML: Header = ("Content-Type", "text/html; charset=utf-8")
_JSON: Header = ("Content-Type", "application/json")


def respond(
    app: PipelineApp, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer one request (PEP 3333) in a context of its own."""
    context = app.request_context(environ)
    error: BaseException | None = None
    try:
        try:
            context.push()
            composition = app.composition
            if context.url_rule is None or not composition.has_fast_lane:
                response = app.full_dispatch_request()
            else:
                plan = composition.plan_for(context.url_rule.endpoint)
                returned = _run_view(app, plan, context)
                plain = _plain_body(app, returned)
                if plain is not None and not _wants_response(app, plan, context):
                    return _send(plain, environ, start_response)
                response = app.finalize_request(returned)
        except Exception as failure:  # noqa: BLE001  # every error becomes an answer
            error = failure
            response = app.handle_exception(failure)
        except BaseException as exit_:
            error = exit_
            raise
        return response(environ, start_response)
    finally:
        _end(app, context, error)


def _run_view(app: PipelineApp, plan: Plan, context: Context) -> Any:
    """Return what a hook, the view, or the handler of their error returned."""
    try:
        if request_started.receivers:
            request_started.send(app, _async_wrapper=app.ensure_sync)
        returned = preprocess(plan, context)
        return dispatch(app, plan, context) if returned is None else returned
    except Exception as error:  # noqa: BLE001  # the app decides what it becomes
        return app.handle_user_exception(error)


def dispatch(app: PipelineApp, plan: Plan, context: Context) -> Any:
    """Return what the view returned, or the automatic answer to OPTIONS."""
    request = context.made_request
    # A hook may have changed what routing found; without a request object none could.
    found: Any = context if request is None else request
    if found.routing_exception is not None:
        app.raise_routing_exception(context.request)
    rule = found.url_rule
    if rule is not context.url_rule:
        plan = app.composition.plan_for(rule.endpoint)
    method = context.environ["REQUEST_METHOD"] if request is None else request.method  # type: ignore[index]  # there is a request
    if method == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
        return app.make_default_options_response()
    return plan.view(**found.view_args)


def _plain_body(app: PipelineApp, returned: Any) -> tuple[Header, bytes] | None:
    """Return the content type and the body of a plain value, or None for any other."""
    kind = type(returned)
    if kind is str:
        return _HTML, returned.encode()
    if kind is bytes:
        return _HTML, returned
    if kind is dict or kind is list:
        provider = app.json
        # Exactly the default provider: another one may make another kind of response.
        if type(provider) is DefaultJSONProvider and provider.mimetype == "application/json":
            return _JSON, provider.render(returned).encode()
    return None


def _wants_response(app: PipelineApp, plan: Plan, context: Context) -> bool:
    """Whether a hook, the session or a signal has to see a `Response`."""
    if plan.after or request_finished.receivers:
        return True
    if context.opened_session is not None or context.after_functions is not None:
        return True
    return has_session_cookie(app, context)


def _send(
    plain: tuple[Header, bytes], environ: WSGIEnvironment, start_response: StartResponse
) -> list[bytes]:
    content_type, body = plain
    start_response("200 OK", [content_type, ("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _end(app: PipelineApp, context: Context, error: BaseException | None) -> None:
    environ: Any = context.environ
    preserve = environ.get("werkzeug.debug.preserve_context")
    if preserve is not None:
        preserve(context)
    if error is not None and app.should_ignore_error(error):
        error = None
    if contexts.top is context:
        context.pop(error)
        return
    left_over = contexts.top
    while contexts.top is not context and context in contexts:
        contexts.pop()
    context.pop(error)
    raise ContextOrderError(
        f"The view of {context!r} pushed {left_over!r} and did not pop it; it was removed now."
        " Push and pop a context in the same place, best with a with block:"
        " with app.app_context(): ..."
    )
