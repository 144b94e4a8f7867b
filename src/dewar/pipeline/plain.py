"""Answers that need no `Response`: a plain value that nobody wants to see or change."""

from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from dewar.contexts.context import Context
from dewar.json.provider import DefaultJSONProvider
from dewar.pipeline.interface import PipelineApp
from dewar.pipeline.plan import Plan
from dewar.pipeline.stages import has_session_cookie
from dewar.signals import request_finished

Header = tuple[str, str]

_HTML: Header = ("Content-Type", "text/html; charset=utf-8")
_JSON: Header = ("Content-Type", "application/json")


def plain_body(app: PipelineApp, returned: Any) -> tuple[Header, bytes] | None:
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


def wants_response(app: PipelineApp, plan: Plan, context: Context) -> bool:
    """Whether a hook, the session or a signal has to see a `Response`."""
    if plan.after or request_finished.receivers:
        return True
    if context.opened_session is not None or context.after_functions is not None:
        return True
    return has_session_cookie(app, context)


def send(
    plain: tuple[Header, bytes], environ: WSGIEnvironment, start_response: StartResponse
) -> list[bytes]:
    """Answer with a plain body."""
    content_type, body = plain
    start_response("200 OK", [content_type, ("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
