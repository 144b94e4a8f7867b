"""A WSGI application that takes and sends bodies: ``/down/1000`` sends as many bytes."""

from collections.abc import Iterable
from functools import cache
from wsgiref.types import StartResponse, WSGIEnvironment

_PIECE = 1 << 16


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Send a body, or the number of bytes in that of the request, which is read whole."""
    path = environ["PATH_INFO"]
    if path.startswith("/down/"):
        return _answer(start_response, "200 OK", body_of(int(path.rpartition("/")[2])))
    announced, found = int(environ.get("CONTENT_LENGTH") or 0), 0
    while found < announced:
        piece = environ["wsgi.input"].read(min(_PIECE, announced - found))
        if not piece:
            return _answer(start_response, "400 Bad Request", b"too short")
        found += len(piece)
    return _answer(start_response, "200 OK", str(found).encode())


@cache
def body_of(size: int) -> bytes:
    """Return a body of so many bytes, the same object each time."""
    return b"a" * size


def _answer(start_response: StartResponse, status: str, body: bytes) -> Iterable[bytes]:
    kind = ("Content-Type", "application/octet-stream")
    start_response(status, [kind, ("Content-Length", str(len(body)))])
    return [body]
