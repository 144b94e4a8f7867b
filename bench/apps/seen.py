"""A WSGI application that returns the request it got, so that a client can compare."""

import json
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Return method, path, query and body in a header, which HEAD has too."""
    keys = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING")
    seen = [*(environ.get(key, "") for key in keys), _body(environ).decode("latin-1")]
    text = json.dumps(seen).encode().hex()
    start_response("200 OK", [("X-Seen", text), ("Content-Length", "0")])
    return []


def _body(environ: WSGIEnvironment) -> bytes:
    # Not every server ends wsgi.input at the end of the body.
    length = environ.get("CONTENT_LENGTH")
    if length:
        return bytes(environ["wsgi.input"].read(int(length)))
    if environ.get("wsgi.input_terminated") or environ.get("HTTP_TRANSFER_ENCODING"):
        return bytes(environ["wsgi.input"].read())
    return b""
