"""Making and sending the usual response without a method call.

PERF: Werkzeug's methods take 12 µs for what takes 2 here. Usual is a `Response`, none of a
subclass, with the attributes that its constructor sets and no others, while the class is stock. All
else is sent by its own methods. A property test compares both ways.
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.datastructures import Headers
from werkzeug.http import HTTP_STATUS_CODES

from dewar.messages.header_fields import Field, is_ascii_url, to_headers
from dewar.messages.response import Response

# The members of the class that take part in making and sending.
_MEMBERS = (
    "__call__",
    "__getattribute__",
    "__init__",
    "__new__",
    "__setattr__",
    "_clean_status",
    "autocorrect_location_header",
    "automatically_set_content_length",
    "close",
    "force_type",
    "default_mimetype",
    "default_status",
    "get_app_iter",
    "get_wsgi_headers",
    "get_wsgi_response",
    "is_sequence",
    "iter_encoded",
    "set_data",
    "status",
    "status_code",
)
# As they are at import, for the reason in `dewar.pipeline.composition.stock_methods`.
_STOCK = attrgetter(*_MEMBERS)(Response)
_SIZE = len(vars(Response()))
_LIST_ITERATOR: type = type(iter([]))
_URLS = frozenset({"content-location", "location"})


def has_stock_class() -> bool:
    """Whether the class `Response` has the members that it had at import, and 200 is OK."""
    return attrgetter(*_MEMBERS)(Response) == _STOCK and HTTP_STATUS_CODES.get(200) == "OK"


def make(content_type: Field, body: bytes) -> Response:
    """Return what the constructor makes of a body of a type, while the class is stock."""
    response = Response.__new__(Response)
    response.headers = to_headers([content_type, ("Content-Length", str(len(body)))])
    response._status, response._status_code = "200 OK", 200  # noqa: SLF001  # of its class
    response.direct_passthrough = False
    response._on_close = []  # noqa: SLF001
    response.response = [body]
    return response


def send(
    response: Any, environ: WSGIEnvironment, start_response: StartResponse, *, may_change: bool
) -> Iterable[bytes]:
    """Call a response as a WSGI application, while the class `Response` is stock.

    Args:
        response: The response.
        environ: The environ of the request.
        start_response: As PEP 3333 says.
        may_change: Whether functions of the program run after this, which may use the response's
            `call_on_close`.
    """
    if type(response) is Response:
        own = response.__dict__
        # What a program sets on an object may be a method.
        if len(own) == _SIZE and type(own["headers"]) is Headers:
            return _send_usual(response, environ, start_response, may_change)
    return response(environ, start_response)  # type: ignore[no-any-return]  # any WSGI application


def _send_usual(
    response: Response,
    environ: WSGIEnvironment,
    start_response: StartResponse,
    may_change: bool,
) -> Iterable[bytes]:
    own = response.__dict__
    fields: list[Field] = [*own["headers"]._list]  # noqa: SLF001  # as in `header_fields`
    status, pieces = own["_status_code"], own["response"]
    is_whole = type(pieces) is list and len(pieces) == 1 and type(pieces[0]) is bytes
    has_length, is_unusual = False, status < 200 or status == 304
    for name, value in fields:
        lowered = name.lower()
        if lowered == "content-length":
            has_length = True
        elif lowered in _URLS and not _stays(name, value, fields):
            is_unusual = True
    if status == 204:
        fields = [field for field in fields if field[0].lower() != "content-length"]
    elif not has_length and is_whole:
        fields.append(("Content-Length", str(len(pieces[0]))))
    elif not has_length and isinstance(pieces, (list, tuple)):
        is_unusual = True
    if is_unusual:
        return response(environ, start_response)
    body: Iterable[bytes]
    # The page of an error is an iterator.
    is_list = is_whole or (has_length and type(pieces) is _LIST_ITERATOR)
    if not is_list or may_change or own["_on_close"] or own["direct_passthrough"]:
        body = response.get_app_iter(environ)
    elif status == 204 or environ["REQUEST_METHOD"] == "HEAD":
        body = []
    else:
        body = [pieces[0]] if is_whole else [*response.iter_encoded()]
    start_response(own["_status"], fields)
    return body


def _stays(name: str, value: str, fields: list[Field]) -> bool:
    """Whether Werkzeug sends a URL as it is."""
    return (
        name == "Location"
        and is_ascii_url(value) is not None
        and sum(field[0].lower() == "location" for field in fields) == 1
    )
