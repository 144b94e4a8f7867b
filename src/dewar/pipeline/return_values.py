"""Making a `Response` of what a view returned."""

from collections.abc import AsyncIterator, Iterator
from inspect import iscoroutine
from types import GeneratorType
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

from dewar.contexts.context import Context
from dewar.errors import DewarError
from dewar.messages.error_pages import has_stock_page, page_of
from dewar.messages.response import Response
from dewar.pipeline.interface import PipelineApp

_BODIES = (str, bytes, bytearray, GeneratorType, Iterator, AsyncIterator)
_OBJECTS = (dict, list, Response)
_ALLOWED = "a str, bytes, dict, list, tuple, iterator, Response or WSGI callable"


class InvalidReturnError(DewarError, TypeError):
    """Raised when a view returned something that cannot become a response."""


def make_response(app: PipelineApp, returned: Any, context: Context | None) -> Response:
    """Return the response for what a view returned.

    Args:
        app: Has the response class and the JSON provider.
        returned: The value; a tuple is ``(body, status, headers)``, ``(body, status)`` or
            ``(body, headers)``.
        context: The context of the request, which has the environ for a returned WSGI callable
            and the view for errors; None outside of a request.

    Raises:
        InvalidReturnError: If the value is not of an allowed kind.
    """
    if type(returned) is app.response_class:
        return returned
    body, status, headers = _unpack(returned, context)
    if body is None:
        raise InvalidReturnError(
            f"The view function for {_view_of(context)!r} did not return a valid response. The"
            " function either returned None or ended without a return statement."
            f" Return {_ALLOWED}; for an empty answer write: return '', 204.{_hint(context)}"
        )
    # PERF: asking for an `Iterator` takes longer than making a small body.
    if type(body) not in _OBJECTS and isinstance(body, _BODIES):
        # Status and headers go to the constructor, because a given Content-Type must replace
        # the default one.
        return app.response_class(body, status=status, headers=headers)  # type: ignore[arg-type]  # an iterator is iterable
    response = _from_object(app, body, context)
    if status is not None:
        _set_status(response, status)
    if headers:
        response.headers.update(headers)
    return response


def may_block(returned: Any) -> bool:
    """Whether making a response of a value calls a function of the app: a WSGI callable."""
    body = returned[0] if isinstance(returned, tuple) and returned else returned
    return callable(body) and not isinstance(body, (WerkzeugResponse, HTTPException))


def _unpack(returned: Any, context: Context | None) -> tuple[Any, Any, Any]:
    if not isinstance(returned, tuple):
        return returned, None, None
    if len(returned) == 3:
        return returned
    if len(returned) == 2:
        body, second = returned
        if isinstance(second, (Headers, dict, tuple, list)):
            return body, None, second
        return body, second, None
    raise InvalidReturnError(
        "The view function did not return a valid response tuple. The tuple must have the form"
        " (body, status, headers), (body, status), or (body, headers);"
        f" {_view_of(context)!r} returned {len(returned)} items."
    )


def _hint(context: Context | None) -> str:
    rule = None if context is None else context._dewar_url_rule
    if rule is None or not rule.websocket:
        return ""
    return " To open the WebSocket, receive or send something, or write: await ws.accept()."


def _view_of(context: Context | None) -> str | None:
    rule = None if context is None else context._dewar_url_rule
    return None if rule is None else rule.endpoint


def _from_object(app: PipelineApp, body: Any, context: Context | None) -> Response:
    if isinstance(body, app.response_class):
        return body
    if isinstance(body, (dict, list)):
        response: Response = app.json.response(body)
        return response
    if isinstance(body, WerkzeugResponse) or callable(body):
        environ = None if context is None else context._dewar_environ
        if (
            environ is not None
            and isinstance(body, HTTPException)
            and app.response_class is Response
            and app._dewar_composition.has_stock_response
            and has_stock_page(body)
        ):
            return page_of(body, environ)
        try:
            return app.response_class.force_type(body, environ)  # type: ignore[return-value]  # of that class
        except TypeError as error:
            raise InvalidReturnError(f"{error}\n{_invalid(body)}") from error
    raise InvalidReturnError(_invalid(body))


def _invalid(body: object) -> str:
    if iscoroutine(body):
        return (
            f"A plain function returned the coroutine {body.__qualname__!r} without awaiting it:"
            " a decorator around a coroutine view, perhaps. Make it a coroutine function too:"
            " async def decorated(**values): return await view(**values)."
        )
    return (
        "The view function did not return a valid response. The return type must be a string,"
        " dict, list, tuple with headers or status, Response instance, or WSGI callable, but it"
        f" was a {type(body).__name__}."
    )


def _set_status(response: Response, status: Any) -> None:
    if isinstance(status, (str, bytes, bytearray)):
        response.status = status  # type: ignore[assignment]  # Werkzeug takes bytes as well
    else:
        response.status_code = status
