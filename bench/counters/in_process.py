"""Requests to an app without a server."""

from collections.abc import Callable
from typing import TypeVar
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from bench.counters.requests import Request
from bench.micro.in_process import Capture, consume

_T = TypeVar("_T")


class InProcess:
    """Calls an app as a server would.

    Args:
        app: What to call.
        request: What to send to it.
    """

    def __init__(self, app: WSGIApplication, request: Request) -> None:
        self._app = app
        self._request = request

    def answer(self) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return the status, the fields and the body of a response."""
        capture = Capture()
        body = consume(self._app(self._request.environ(), capture))
        return capture.status, capture.headers, body

    def check(self) -> None:
        """Send a request.

        Raises:
            ValueError: If the response is not the expected kind.
        """
        status, _, body = self.answer()
        if status[:3] not in ("200", "404"):
            raise ValueError(f"{self._request} is answered with {status}: {body[:200]!r}")

    def here(self, function: Callable[[], _T]) -> _T:
        """Call a function on the thread that sends."""
        return function()

    def prepare(self, count: int) -> Callable[[], None]:
        """Return a function that sends a number of requests."""
        environs = [self._request.environ() for _ in range(count)]
        return lambda: send_all(self._app, environs)

    def prepare_client(self, count: int) -> Callable[[], None]:
        """Return a function that does the same with an app that does nothing."""
        environs = [self._request.environ() for _ in range(count)]
        return lambda: send_all(_nothing, environs)


def send_all(app: WSGIApplication, environs: list[WSGIEnvironment]) -> None:
    """Call the app with each environ, which ends with its request, as in a server."""
    capture = Capture()
    while environs:
        consume(app(environs.pop(), capture))


def _nothing(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:  # noqa: ARG001
    return []
