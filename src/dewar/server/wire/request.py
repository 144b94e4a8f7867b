"""`WireRequest`: one complete request of a client."""

from typing import Any, Protocol, Self

Environ = dict[str, Any]


class Body(Protocol):
    """The file that an application reads a body from; the server closes it."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most *size* bytes, or all."""

    def close(self) -> None:
        """Release it."""


class WireRequest:
    """One complete request, ready for an application.

    Attributes:
        environ: The environ, which the application may change.
        http11: Whether the client speaks HTTP/1.1.
        keep_alive: Whether the connection can persist afterwards.
        body: The body, or None if there is none.
        method: The method as received. Middleware may replace it in the environ, but the response
            depends on this one.
        target: The target as received.
    """

    __slots__ = ("body", "environ", "http11", "keep_alive", "method", "target")

    environ: Environ
    http11: bool
    keep_alive: bool
    body: Body | None
    method: str
    target: str

    def begin(self, environ: Environ, http11: bool, keep_alive: bool, body: Body | None) -> Self:
        """Set what was received; return this request.

        PERF: not an ``__init__``, which Python calls by way of C and a second interpreter loop.
        """
        self.environ = environ
        self.http11 = http11
        self.keep_alive = keep_alive
        self.body = body
        self.method = environ["REQUEST_METHOD"]
        self.target = environ["REQUEST_URI"]
        return self

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target!r}>"


def maybe_request(environ: Environ) -> WireRequest | None:
    """Return the request that has *environ*, for a log; None if it is empty, or was emptied."""
    if not {"REQUEST_METHOD", "REQUEST_URI"} <= environ.keys():
        return None
    is_http11 = environ.get("SERVER_PROTOCOL") != "HTTP/1.0"
    return WireRequest().begin(environ, is_http11, keep_alive=False, body=None)
