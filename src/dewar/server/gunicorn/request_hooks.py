"""``pre_request`` and ``post_request``: middleware that is there only if a file has one of them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dewar.loop.suspended import SUSPENDS
from dewar.server.gunicorn.views import RequestView, ResponseView, WorkerView
from dewar.server.proxies.middleware import Application
from dewar.server.wire.request import Environ


class RequestHooks:
    """Calls the hooks around each request.

    What ``pre_request`` raises is answered with 500; what ``post_request`` raises is logged.

    Args:
        app: The application.
        before: ``pre_request``, or None.
        after: ``post_request``, or None. It is called when the response is closed.
        worker: Returns the worker of this process.
    """

    def __init__(
        self,
        app: Application,
        before: Callable[..., object] | None,
        after: Callable[..., object] | None,
        worker: Callable[[], WorkerView | None],
    ) -> None:
        self.app = app
        self._before = before
        self._after = after
        self._worker = worker

    def __repr__(self) -> str:
        return f"<RequestHooks around {self.app!r}>"

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Call the hooks and the application."""
        request = RequestView(environ)
        if self._before is not None:
            self._before(self._worker(), request)
        if self._after is None:
            result: Iterable[bytes] = self.app(environ, start_response)
            return result
        # The response has to come through here, so the application may not leave it to the loop.
        environ.pop(SUSPENDS, None)
        response = ResponseView()

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            response.status, response.headers = status, headers
            return start_response(status, headers, *error)

        try:
            body = self.app(environ, start)
        except BaseException:
            self._end(request, environ, response)
            raise
        return ObservedBody(body, response, lambda: self._end(request, environ, response))

    def _end(self, request: RequestView, environ: Environ, response: ResponseView) -> None:
        worker = self._worker()
        try:
            if self._after is not None:
                self._after(worker, request, environ, response)
        except Exception:
            if worker is not None:
                worker.log.exception("Exception in post_request hook")


class ObservedBody:
    """The body of a response, which counts its bytes and tells when it is closed.

    Args:
        body: What the application returned.
        response: Where the bytes are counted.
        on_close: Called after the body was closed.
    """

    def __init__(
        self, body: Iterable[bytes], response: ResponseView, on_close: Callable[[], None]
    ) -> None:
        self._body = body
        self._response = response
        self._on_close = on_close

    def __repr__(self) -> str:
        return f"<ObservedBody {self._body!r}>"

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._body:
            self._response.sent += len(piece)
            yield piece

    def close(self) -> None:
        """Close the body (PEP 3333), then call the hook."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._on_close()
