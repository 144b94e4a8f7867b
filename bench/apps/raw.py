"""The smallest WSGI application, and handlers that wait for 50 ms or compute for about one."""

import time
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

BODY = b"Hello, World!"
SLEEP_SECONDS = 0.05
WORK = 15_000
_HEADERS = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(BODY)))]


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Greet: after a wait at ``/sleep``, after some computing at ``/work``, else at once."""
    if environ["PATH_INFO"] == "/sleep":
        time.sleep(SLEEP_SECONDS)
    elif environ["PATH_INFO"] == "/work":
        sum(number * number for number in range(WORK))
    start_response("200 OK", list(_HEADERS))
    return [BODY]
