"""`Response`: Werkzeug's response with a web page's defaults."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any
from wsgiref.types import WSGIEnvironment

from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response as WerkzeugResponse

from dewar import json
from dewar.contexts.current import maybe_current
from dewar.messages.header_fields import has_field, maybe_fields, to_headers

# As it is at import, for the reason in `dewar.pipeline.composition.stock_methods`.
_SET_DATA = WerkzeugResponse.set_data


class Response(WerkzeugResponse):
    """The answer to the client: a body, a status and headers.

    It is an HTML page unless another `mimetype` is given. Views seldom need it: what they
    return becomes one. The body may be an asynchronous iterator of `str` or `bytes`: each piece
    is sent before the next is asked for.
    """

    # `AsyncBody` is imported when it is made: it needs asyncio, which most apps do not use.

    default_mimetype = "text/html"
    json_module = json
    autocorrect_location_header = False

    def __init__(
        self,
        response: Iterable[bytes] | Iterable[str] | bytes | str | None = None,
        status: int | str | HTTPStatus | None = None,
        headers: Mapping[str, str | Iterable[str]] | Iterable[tuple[str, str]] | None = None,
        mimetype: str | None = None,
        content_type: str | None = None,
        direct_passthrough: bool = False,
    ) -> None:
        # PERF: Werkzeug's constructor, for the usual arguments in a quarter of the time. A subclass
        # may have other methods, which are called in there.
        fields = phrase = None
        code: Any = self.default_status if status is None else status
        if type(code) is HTTPStatus:
            code = code.value
        if type(self) is Response and Response.set_data is _SET_DATA:
            phrase = HTTP_STATUS_CODES.get(code) if type(code) is int else None
            fields = maybe_fields(headers, mimetype, content_type, self.default_mimetype)
        if phrase is None or fields is None:
            super().__init__(response, status, headers, mimetype, content_type, direct_passthrough)
            return
        self.headers = to_headers(fields)
        self._status, self._status_code = f"{code} {phrase.upper()}", code
        self.direct_passthrough = direct_passthrough
        self._on_close = []
        if type(response) is str:
            response = response.encode()
        if type(response) is bytes:
            self.response = [response]
            if self.automatically_set_content_length:
                if headers and has_field(fields, "content-length"):
                    self.headers["Content-Length"] = str(len(response))
                else:
                    fields.append(("Content-Length", str(len(response))))
        elif isinstance(response, (str, bytes, bytearray)):
            self.set_data(response)
        else:
            self.response = [] if response is None else response

    @property
    def max_cookie_size(self) -> int:  # type: ignore[override]  # an attribute in Werkzeug
        """How many bytes a cookie may have before a warning: ``MAX_COOKIE_SIZE``."""
        context = maybe_current()
        if context is None:
            return super().max_cookie_size
        size: int = context.app.config["MAX_COOKIE_SIZE"]
        return size

    def get_app_iter(self, environ: WSGIEnvironment) -> Iterable[bytes]:
        """Return the body for a WSGI server; empty if the method or the status has none.

        A body with `__iter__` and `__aiter__` is iterated, as under Flask.
        """
        source: Any = self.response
        # PERF: nearly every body has no `__aiter__`, and is not asked anything else.
        is_async = hasattr(source, "__aiter__") and not hasattr(source, "__iter__")
        # As for every body: RFC 9110 §6.4.1.
        if (
            is_async
            and environ["REQUEST_METHOD"] != "HEAD"
            and (self.status_code >= 200 and self.status_code not in {204, 304})
        ):
            from dewar.loop.async_body import AsyncBody

            return AsyncBody(_encoded(source), self.close)
        return super().get_app_iter(environ)

    def iter_encoded(self) -> Iterator[bytes]:
        """Return the pieces of the body as bytes."""
        source: Any = self.response
        if hasattr(source, "__aiter__") and not hasattr(source, "__iter__"):
            from dewar.loop.async_body import AsyncBody

            return iter(AsyncBody(_encoded(source)))
        return super().iter_encoded()


async def _encoded(source: AsyncIterable[str | bytes]) -> AsyncIterator[bytes]:
    try:
        async for piece in source:
            yield piece.encode() if isinstance(piece, str) else piece
    finally:
        close: Any = getattr(source, "aclose", None)
        if close is not None:
            await close()
