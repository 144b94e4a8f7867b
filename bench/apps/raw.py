"""The smallest WSGI application, and a handler that waits for something else for 50 ms."""

import time
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

BODY = b"Hello, World!"
SLEEP_SECONDS = 0.05
_HEADERS = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(BODY)))]


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Greet: at once, or after a nap under ``/sleep``."""
    if environ["PATH_INFO"] == "/sleep":
        time.sleep(SLEEP_SECONDS)
    start_response("200 OK", list(_HEADERS))
    return [BODY]
