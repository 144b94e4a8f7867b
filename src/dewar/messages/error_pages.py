"""The response that an HTTP error is."""

from typing import Any
from wsgiref.types import WSGIEnvironment

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

from dewar.messages import sending
from dewar.messages.header_fields import has_field, to_headers
from dewar.messages.response import Response

# As they are at import, for the reason in `dewar.pipeline.composition.stock_methods`.
_CALL, _GET_RESPONSE = HTTPException.__call__, HTTPException.get_response


def has_stock_page(error: HTTPException) -> bool:
    """Whether an error becomes a response in Werkzeug's way, and has none yet."""
    kind = type(error)
    return (
        error.response is None
        # With a lower one, fields may be left out.
        and type(error.code) is int
        and error.code >= 400
        and kind.__call__ is _CALL
        and kind.get_response is _GET_RESPONSE
        and "get_response" not in vars(error)
    )


def page_of(error: HTTPException, environ: WSGIEnvironment) -> Response:
    """Return what `Response.force_type` returns, while the class `Response` is stock.

    PERF: that makes a response, runs it as an application, and makes another one of the result.
    Here the one is changed as that would: its fields are those that are sent, and its body is no
    list, so hooks see it as streamed.
    """
    environ = environ.copy()
    headers: Any = error.get_headers(environ, None)
    body: Any = error.get_body(environ, None)
    response: Any
    # Werkzeug makes one of its own class, which has another type by default.
    if type(headers) is list and has_field(headers, "content-type"):
        response = Response(body, error.code, headers)
    else:
        response = WerkzeugResponse(body, error.code, headers)
    started: list[Any] = []

    def start_response(*args: Any) -> Any:
        started.append(args)

    body = sending.send(response, environ, start_response, may_change=False)
    response.headers = to_headers(started[0][1])
    response.response = iter([*body])
    response.__class__ = Response
    return response  # type: ignore[no-any-return]  # it is one now
