"""The response that an HTTP error is."""

from functools import lru_cache
from operator import attrgetter
from typing import Any
from wsgiref.types import WSGIEnvironment

from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response as WerkzeugResponse

from dewar.messages import sending
from dewar.messages.header_fields import Field, has_field, to_headers
from dewar.messages.response import Response

# As they are at import, for the reason in `dewar.pipeline.composition.stock_methods`.
_CALL, _GET_RESPONSE = HTTPException.__call__, HTTPException.get_response
_PARTS = ("__getattribute__", "get_body", "get_description", "get_headers", "name")
_stock_parts = attrgetter(*_PARTS)
_STOCK_PARTS = _stock_parts(HTTPException)
# The page of a longer description is made each time.
_LONGEST = 1024


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
    code: Any = error.code
    description = error.description
    if (
        # Text with markup is not escaped, and is equal to text without.
        (description is None or (type(description) is str and len(description) <= _LONGEST))
        and _stock_parts(type(error)) == _STOCK_PARTS
        and vars(error).keys().isdisjoint(_PARTS)
    ):
        status, fields, text = _known_page(code, HTTP_STATUS_CODES.get(code), description)
        response = sending.make(fields[0], text)
        response._status, response._status_code = status, code  # noqa: SLF001  # of its class
        response.response = iter([] if environ["REQUEST_METHOD"] == "HEAD" else [text])
        return response
    return _made_page(error, environ)


@lru_cache(maxsize=64)
def _known_page(
    code: int,
    phrase: str | None,  # noqa: ARG001  # it is in the page
    description: str | None,
) -> tuple[str, list[Field], bytes]:
    """Return the status, the fields and the body of the page of an error without own parts.

    PERF: a program has few of them, and most are 404.
    """
    error = HTTPException(description)
    error.code = code
    page: Any = _made_page(error, {"REQUEST_METHOD": "GET"})
    [text] = page.response
    return page.status, [*page.headers], text


def _made_page(error: HTTPException, environ: WSGIEnvironment) -> Response:
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
